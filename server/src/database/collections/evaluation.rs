//! Keeping members up to date: what is looked at, and what is written of it.

use super::change::lock_definitions;
use super::facts::{ClientFacts, EvaluationInput, Membership, clients_after, collections, facts};
use super::{ALL_CLIENTS, CollectionId};
use crate::database::rows::{number_list, number_rows};
use crate::database::{Database, assignment_version};
use farrier_protocol::UnixTime;
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// Clients of one transaction, at most: others who write wait no longer than these take.
pub const CLIENTS_PER_TRANSACTION: i64 = 2_000;
/// Rows of numbers in one statement, at most.
const NUMBER_ROWS_PER_STATEMENT: usize = 8_000;

/// Which clients are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those of which something changed.
    Changed,
    /// Those for whom the passing of time may have changed something.
    Due,
    /// Everybody, because definitions changed.
    All {
        /// The row of the last client that was looked at, 0 at first.
        after: i64,
        /// The collections, with the version of their definitions when the first client was looked at.
        seen: &'a [(CollectionId, i64)],
    },
}

/// What one transaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// How many clients were looked at.
    pub clients: usize,
    /// The row of the last of them, if there may be more.
    pub more_after: Option<i64>,
    /// The collections whose members changed.
    pub changed: BTreeSet<CollectionId>,
}

impl Database {
    /// Looks at some clients and makes their memberships those that `decide` says, one for each client in their order.
    ///
    /// # Errors
    /// When the database fails, or `decide` does; then nothing changed.
    pub async fn update_members<E: From<sqlx::Error>>(
        &self,
        which: Which<'_>,
        now: UnixTime,
        decide: impl FnOnce(&EvaluationInput) -> Result<Vec<Membership>, E>,
    ) -> Result<Written, E> {
        let mut transaction = self.begin_write().await?;
        lock_definitions(&mut transaction, self.engine()).await?;
        let rows = clients_to_look_at(&mut transaction, which, now).await?;
        let clients = facts(&mut transaction, Some(self.engine()), &rows).await?;
        let input = EvaluationInput { collections: collections(&mut transaction).await?, clients };
        let decided = decide(&input)?;
        let changed = write(&mut transaction, &input.clients, &decided, now).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == CLIENTS_PER_TRANSACTION);
        match which {
            Which::Changed => mark_evaluated(&mut transaction, &rows).await?,
            Which::All { seen, .. } if !is_full => finish(&mut transaction, seen).await?,
            Which::All { .. } | Which::Due => {}
        }
        if decides_assignments(&mut transaction, &changed).await? {
            assignment_version::bump(&mut transaction, now).await?;
        }
        transaction.commit().await?;
        Ok(Written { clients: rows.len(), more_after: rows.last().copied().filter(|_| is_full), changed })
    }

    /// Whether there is anything to look at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_anything_unevaluated(&self, now: UnixTime) -> Result<bool, sqlx::Error> {
        let found: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT 1 WHERE \
             EXISTS (SELECT 1 FROM clients WHERE unevaluated = 1) \
             OR EXISTS (SELECT 1 FROM collections WHERE unevaluated = 1) \
             OR EXISTS (SELECT 1 FROM collection_due WHERE due_at <= $1)) AS found",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(found > 0)
    }

    /// The collections whose definitions changed since everybody was looked at, with the versions of their definitions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unevaluated_collections(&self) -> Result<Vec<(CollectionId, i64)>, sqlx::Error> {
        let rows = sqlx::query("SELECT id, changed_at FROM collections WHERE unevaluated = 1 ORDER BY id");
        let rows = rows.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((CollectionId(row.try_get("id")?), row.try_get("changed_at")?))).collect()
    }

    /// When the passing of time may next change a membership.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_evaluation_due_at(&self) -> Result<Option<UnixTime>, sqlx::Error> {
        sqlx::query_scalar("SELECT MIN(due_at) FROM collection_due").fetch_one(&self.pool).await
    }

    /// What is known of the next clients after this row, [`CLIENTS_PER_TRANSACTION`] at most; none at the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_facts(&self, after: i64) -> Result<Vec<ClientFacts>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let rows = clients_after(&mut connection, after).await?;
        facts(&mut connection, None, &rows).await
    }
}

async fn clients_to_look_at(
    connection: &mut AnyConnection,
    which: Which<'_>,
    now: UnixTime,
) -> Result<Vec<i64>, sqlx::Error> {
    match which {
        Which::Changed => {
            let sql = "SELECT id FROM clients WHERE unevaluated = 1 ORDER BY id LIMIT $1";
            sqlx::query_scalar(sql).bind(CLIENTS_PER_TRANSACTION).fetch_all(connection).await
        }
        Which::Due => {
            let sql = "SELECT client_id FROM collection_due WHERE due_at <= $1 \
                       GROUP BY client_id ORDER BY MIN(due_at), client_id LIMIT $2";
            let query = sqlx::query_scalar(sql).bind(now).bind(CLIENTS_PER_TRANSACTION);
            let mut rows: Vec<i64> = query.fetch_all(connection).await?;
            rows.sort_unstable();
            Ok(rows)
        }
        Which::All { after, .. } => clients_after(connection, after).await,
    }
}

/// Writes what differs, and says whose members changed.
async fn write(
    connection: &mut AnyConnection,
    clients: &[ClientFacts],
    decided: &[Membership],
    now: UnixTime,
) -> Result<BTreeSet<CollectionId>, sqlx::Error> {
    let mut come = Vec::new();
    let mut gone: BTreeMap<CollectionId, Vec<i64>> = BTreeMap::new();
    let mut due = Vec::new();
    let mut due_no_more: BTreeMap<CollectionId, Vec<i64>> = BTreeMap::new();
    for (client, decided) in clients.iter().zip(decided) {
        let stored = &client.membership;
        come.extend(decided.member_of.difference(&stored.member_of).map(|id| [id.0, client.row, now]));
        for id in stored.member_of.difference(&decided.member_of) {
            gone.entry(*id).or_default().push(client.row);
        }
        due.extend(
            decided
                .due
                .iter()
                .filter(|(id, at)| stored.due.get(id) != Some(at))
                .map(|(id, at)| [id.0, client.row, *at]),
        );
        for id in stored.due.keys().filter(|id| !decided.due.contains_key(id)) {
            due_no_more.entry(*id).or_default().push(client.row);
        }
    }
    delete(connection, "collection_members", &gone).await?;
    delete(connection, "collection_due", &due_no_more).await?;
    for rows in come.chunks(NUMBER_ROWS_PER_STATEMENT) {
        let values = number_rows(rows);
        let sql = format!("INSERT INTO collection_members (collection_id, client_id, since) VALUES {values}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    for rows in due.chunks(NUMBER_ROWS_PER_STATEMENT) {
        let values = number_rows(rows);
        let sql = format!(
            "INSERT INTO collection_due (collection_id, client_id, due_at) VALUES {values} \
             ON CONFLICT (client_id, collection_id) DO UPDATE SET due_at = excluded.due_at"
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    Ok(come.iter().map(|[id, ..]| CollectionId(*id)).chain(gone.into_keys()).collect())
}

async fn delete(
    connection: &mut AnyConnection,
    table: &str,
    rows: &BTreeMap<CollectionId, Vec<i64>>,
) -> Result<(), sqlx::Error> {
    for (id, clients) in rows {
        let list = number_list(clients.iter().copied());
        let sql = format!("DELETE FROM {table} WHERE collection_id = {id} AND client_id IN ({list})");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    Ok(())
}

async fn mark_evaluated(connection: &mut AnyConnection, clients: &[i64]) -> Result<(), sqlx::Error> {
    if clients.is_empty() {
        return Ok(());
    }
    let list = number_list(clients.iter().copied());
    let sql = format!("UPDATE clients SET unevaluated = 0 WHERE id IN ({list})");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}

/// A definition that changed meanwhile has another version and stays to be evaluated for everybody.
async fn finish(connection: &mut AnyConnection, seen: &[(CollectionId, i64)]) -> Result<(), sqlx::Error> {
    for (id, changed_at) in seen {
        sqlx::query("UPDATE collections SET unevaluated = 0 WHERE id = $1 AND changed_at = $2")
            .bind(id.0)
            .bind(*changed_at)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Whether what clients are assigned depends on the members of any of these: on their windows, or on versions of plugins
/// that only they have.
async fn decides_assignments(
    connection: &mut AnyConnection,
    collections: &BTreeSet<CollectionId>,
) -> Result<bool, sqlx::Error> {
    if collections.is_empty() {
        return Ok(false);
    }
    let list = number_list(collections.iter().map(|id| id.0));
    let sql = format!(
        "SELECT id FROM collections WHERE id IN ({list}) AND \
         (EXISTS (SELECT 1 FROM maintenance_windows w WHERE w.collection_id = collections.id) \
         OR EXISTS (SELECT 1 FROM plugin_assignments p WHERE p.collection_id = collections.id AND \
         p.collection_id <> {everybody})) LIMIT 1",
        everybody = ALL_CLIENTS.0
    );
    Ok(sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_optional(connection).await?.is_some())
}
