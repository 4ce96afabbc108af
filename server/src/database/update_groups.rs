//! Update groups: software updates that are deployed together.

use super::deployments::mark_unevaluated;
use super::rows::{Marks, number_list, number_rows};
use super::{Database, ROWS_PER_STATEMENT, assignment_version};
use farrier_protocol::{UnixTime, UpdateId};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

/// Ids of one query, at most.
const IDS_PER_QUERY: usize = 500;

/// An update group in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateGroup {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many updates it has.
    pub updates: i64,
    /// How many deployments use it.
    pub deployments: i64,
    /// When it was made.
    pub created_at: i64,
}

/// An update, as a group or a deployment sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupedUpdate {
    /// Its row.
    pub row: i64,
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// `{suite}/{source}/{version}`.
    pub name: String,
    /// Source package and version.
    pub title: String,
    /// Whether it is superseded or expired, so that it is not deployed.
    pub dropped_out: bool,
    /// How long its installation may take, if its group says so.
    pub max_run_seconds: Option<i64>,
}

const SELECT: &str = "SELECT g.id, g.name, g.description, g.created_at, \
    (SELECT COUNT(*) FROM update_group_updates u WHERE u.update_group_id = g.id) AS updates, \
    (SELECT COUNT(*) FROM deployments d WHERE d.update_group_id = g.id) AS deployments FROM update_groups g";

impl Database {
    /// The update groups, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_groups(&self) -> Result<Vec<UpdateGroup>, sqlx::Error> {
        let sql = format!("{SELECT} ORDER BY g.name");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(UpdateGroup::of_row).collect()
    }

    /// One update group; none if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_group(&self, id: i64) -> Result<Option<UpdateGroup>, sqlx::Error> {
        let sql = format!("{SELECT} WHERE g.id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(UpdateGroup::of_row).transpose()
    }

    /// The updates of a group, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn grouped_updates(&self, group: i64) -> Result<Vec<GroupedUpdate>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT u.id, u.update_id, u.name, u.source, u.version, u.superseded_by, u.expired_at, g.max_run_seconds \
             FROM update_group_updates g JOIN software_updates u ON u.id = g.software_update_id \
             WHERE g.update_group_id = $1 ORDER BY u.name",
        )
        .bind(group)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(GroupedUpdate::of_row).collect()
    }

    /// The updates with these ids that the site knows, each once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn updates_with_ids(&self, ids: &[UpdateId]) -> Result<Vec<GroupedUpdate>, sqlx::Error> {
        let mut updates: Vec<GroupedUpdate> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_PER_QUERY) {
            let sql = format!(
                "SELECT u.id, u.update_id, u.name, u.source, u.version, u.superseded_by, u.expired_at, \
                 CAST(NULL AS BIGINT) AS max_run_seconds FROM software_updates u WHERE u.update_id IN ({})",
                Marks::new(self.engine()).list(ids.len())
            );
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            let query = ids.iter().fold(query, |query, id| query.bind(id.as_bytes()));
            for row in query.fetch_all(&self.pool).await? {
                updates.push(GroupedUpdate::of_row(&row)?);
            }
        }
        updates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        updates.dedup_by_key(|update| update.row);
        Ok(updates)
    }

    /// Makes a group of these updates (as rows) and returns its row; none if the name is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_update_group(
        &self,
        name: &str,
        description: &str,
        updates: &[i64],
        now: UnixTime,
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let group = insert_group(&mut transaction, name, description, updates, now).await?;
        transaction.commit().await?;
        Ok(group)
    }

    /// Adds updates (as rows) to a group.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_to_update_group(&self, group: i64, updates: &[i64], now: UnixTime) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        insert_updates(&mut transaction, group, updates).await?;
        changed(&mut transaction, group, now).await?;
        transaction.commit().await
    }

    /// Takes updates (as rows) out of a group.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_from_update_group(
        &self,
        group: i64,
        updates: &[i64],
        now: UnixTime,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        for updates in updates.chunks(ROWS_PER_STATEMENT) {
            let list = number_list(updates.iter().copied());
            let sql = format!(
                "DELETE FROM update_group_updates WHERE update_group_id = $1 AND software_update_id IN ({list})"
            );
            sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(group).execute(&mut *transaction).await?;
        }
        changed(&mut transaction, group, now).await?;
        transaction.commit().await
    }

    /// Sets how long the installation of an update of a group may take; `false` if the group does not have it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_max_run(
        &self,
        group: i64,
        update: i64,
        seconds: Option<i64>,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let query = "UPDATE update_group_updates SET max_run_seconds = $1 \
                     WHERE update_group_id = $2 AND software_update_id = $3";
        let set = sqlx::query(query).bind(seconds).bind(group).bind(update).execute(&mut *transaction).await?;
        changed(&mut transaction, group, now).await?;
        transaction.commit().await?;
        Ok(set.rows_affected() == 1)
    }

    /// Removes a group; `false` if a deployment uses it, or it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_update_group(&self, group: i64) -> Result<bool, sqlx::Error> {
        let query = "DELETE FROM update_groups WHERE id = $1 \
                     AND NOT EXISTS (SELECT 1 FROM deployments d WHERE d.update_group_id = $1)";
        Ok(sqlx::query(query).bind(group).execute(&self.pool).await?.rows_affected() == 1)
    }
}

/// Makes a group; none if the name is taken.
pub(super) async fn insert_group(
    transaction: &mut Transaction<'_, Any>,
    name: &str,
    description: &str,
    updates: &[i64],
    now: UnixTime,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO update_groups (name, description, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING \
         RETURNING id",
    )
    .bind(name.to_owned())
    .bind(description.to_owned())
    .bind(now)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let group = row.try_get("id")?;
    insert_updates(transaction, group, updates).await?;
    Ok(Some(group))
}

async fn insert_updates(
    transaction: &mut Transaction<'_, Any>,
    group: i64,
    updates: &[i64],
) -> Result<(), sqlx::Error> {
    for updates in updates.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<[i64; 2]> = updates.iter().map(|update| [group, *update]).collect();
        let sql = format!(
            "INSERT INTO update_group_updates (update_group_id, software_update_id) VALUES {} \
             ON CONFLICT (update_group_id, software_update_id) DO NOTHING",
            number_rows(&rows)
        );
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn changed(transaction: &mut Transaction<'_, Any>, group: i64, now: UnixTime) -> Result<(), sqlx::Error> {
    let query = sqlx::query_scalar("SELECT id FROM deployments WHERE update_group_id = $1 AND status <> 2 ORDER BY id");
    let deployments: Vec<i64> = query.bind(group).fetch_all(&mut **transaction).await?;
    if !deployments.is_empty() {
        mark_unevaluated(transaction, deployments).await?;
        assignment_version::bump_deployed(transaction, now).await?;
    }
    Ok(())
}

impl UpdateGroup {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            updates: row.try_get("updates")?,
            deployments: row.try_get("deployments")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

impl GroupedUpdate {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let (source, version): (String, String) = (row.try_get("source")?, row.try_get("version")?);
        let superseded = row.try_get::<Option<i64>, _>("superseded_by")?.is_some();
        Ok(Self {
            row: row.try_get("id")?,
            id: UpdateId::from_slice(row.try_get("update_id")?)
                .ok_or_else(|| sqlx::Error::Decode("an update's id is no id".into()))?,
            name: row.try_get("name")?,
            title: format!("{source} {version}"),
            dropped_out: superseded || row.try_get::<Option<i64>, _>("expired_at")?.is_some(),
            max_run_seconds: row.try_get("max_run_seconds")?,
        })
    }
}

fn as_text<S: serde::Serializer>(id: &UpdateId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
