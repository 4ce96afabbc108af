//! Writing the states and findings of many clients with few statements.

use super::ClientChanges;
use crate::database::Engine;
use crate::database::rows::{Marks, number_list, number_rows, storable};
use farrier_protocol::state_message::Finding;
use farrier_protocol::{ComplianceState, UnixTime, UpdateId};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor as _, Row as _};
use std::collections::{BTreeSet, HashMap};

/// Rows of numbers in one statement: some 40 bytes each, far below SQLite's million bytes of a statement. The more, the
/// fewer pages SQLite sets aside for undoing a statement that fails halfway.
const NUMBER_ROWS_PER_STATEMENT: usize = 8_000;
/// Rows with texts in one statement, at most.
const TEXT_ROWS_PER_STATEMENT: usize = 500;

/// The rows of the updates that the messages name and the site knows.
type UpdateRows = HashMap<UpdateId, i64>;

/// Writes everything; `clients` are in the order of their rows.
pub(super) async fn apply(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let updates = known_updates(connection, engine, clients).await?;
    void(connection, clients, &updates).await?;
    write_states(connection, clients, &updates, now).await?;
    write_findings(connection, engine, clients, &updates).await?;
    super::clients::write(connection, engine, clients, now).await
}

async fn known_updates(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
) -> Result<UpdateRows, sqlx::Error> {
    let named = |client: &ClientChanges<'_>| {
        let of_findings: Vec<_> = client.changes.findings.keys().map(|(update, _)| *update).collect();
        client.changes.states.keys().copied().chain(of_findings).collect::<Vec<_>>()
    };
    let ids: Vec<UpdateId> = clients.iter().flat_map(named).collect::<BTreeSet<_>>().into_iter().collect();
    let mut known = UpdateRows::with_capacity(ids.len());
    for ids in ids.chunks(TEXT_ROWS_PER_STATEMENT) {
        let marks = Marks::new(engine).list(ids.len());
        let sql = format!("SELECT id, update_id FROM software_updates WHERE update_id IN ({marks})");
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = ids.iter().fold(query, |query, id| query.bind(id.as_bytes()));
        for row in query.fetch_all(&mut *connection).await? {
            let id = UpdateId::from_slice(row.try_get("update_id")?);
            known.insert(id.ok_or_else(|| sqlx::Error::Decode("an update's id is no id".into()))?, row.try_get("id")?);
        }
    }
    if known.len() < ids.len() {
        let unknown = ids.len() - known.len();
        tracing::info!(updates = unknown, "Ignored the states of software updates that this site does not know");
    }
    Ok(known)
}

/// Removes what the messages make void: everything of a client that starts anew, findings of updates with a new state,
/// states that are `NotRequired`.
async fn void(
    connection: &mut AnyConnection,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
) -> Result<(), sqlx::Error> {
    let mut statements = String::new();
    let mut delete = |table: &str, client: i64, updates: Option<Vec<i64>>| {
        if updates.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let updates = updates.map(|ids| format!(" AND software_update_id IN ({})", number_list(ids)));
        let statement = format!("DELETE FROM {table} WHERE client_id = {client}{};\n", updates.unwrap_or_default());
        statements.push_str(&statement);
    };
    for ClientChanges { client, changes, .. } in clients {
        let with_state = |wanted: fn(ComplianceState) -> bool| {
            let states = changes.states.iter().filter(|(_, state)| wanted(**state));
            states.filter_map(|(update, _)| updates.get(update).copied()).collect::<Vec<_>>()
        };
        let not_required = with_state(|state| state == ComplianceState::NotRequired);
        delete("compliance_states", *client, (!changes.reset).then_some(not_required));
        delete("findings", *client, (!changes.reset).then(|| with_state(|_| true)));
    }
    if !statements.is_empty() {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await?;
    }
    Ok(())
}

async fn write_states(
    connection: &mut AnyConnection,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        let stored = changes.states.iter().filter(|(_, state)| **state != ComplianceState::NotRequired);
        rows.extend(stored.filter_map(|(update, state)| Some([*client, *updates.get(update)?, *state as i64, now])));
    }
    // In the order of the table's key.
    rows.sort_unstable();
    for rows in rows.chunks(NUMBER_ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO compliance_states (client_id, software_update_id, state, changed_at) VALUES {} \
             ON CONFLICT (client_id, software_update_id) DO UPDATE SET state = excluded.state, \
             changed_at = excluded.changed_at WHERE compliance_states.state <> excluded.state",
            number_rows(rows)
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    Ok(())
}

async fn write_findings(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        let known = changes
            .findings
            .iter()
            .filter_map(|((update, subject), finding)| Some((*client, *updates.get(update)?, &**subject, *finding)));
        rows.extend(known);
    }
    rows.sort_unstable_by_key(|(client, update, subject, _)| (*client, *update, *subject));
    for rows in rows.chunks(TEXT_ROWS_PER_STATEMENT) {
        let mut marks = Marks::new(engine);
        let value = |(client, update, _, finding): &(i64, i64, &str, &Finding)| {
            format!("({client},{update},{},{})", finding.state as i64, marks.list(2))
        };
        let sql = format!(
            "INSERT INTO findings (client_id, software_update_id, state, subject, detail) VALUES {} \
             ON CONFLICT (client_id, software_update_id, subject) DO UPDATE SET state = excluded.state, \
             detail = excluded.detail",
            rows.iter().map(value).collect::<Vec<_>>().join(",")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let bind = |query: Query<'static, Any, AnyArguments>, (_, _, subject, finding): &(i64, i64, &str, &Finding)| {
            query.bind((*subject).to_owned()).bind(storable(&finding.detail).into_owned())
        };
        rows.iter().fold(query, bind).execute(&mut *connection).await?;
    }
    Ok(())
}
