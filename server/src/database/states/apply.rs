//! Writing the states and findings of many clients with few statements.

use super::ClientChanges;
use crate::database::Engine;
use crate::database::rows::{Marks, number_list, number_rows, storable};
use farrier_protocol::state_message::Finding;
use farrier_protocol::{ComplianceState, UnixTime, UpdateId};
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _};
use std::collections::{BTreeSet, HashMap};

/// Rows of numbers in one statement, at most. The more, the fewer pages SQLite sets aside for undoing a statement
/// that fails halfway.
const NUMBER_ROWS_PER_STATEMENT: usize = 8_000;
/// Rows with texts, or ids, in one statement, at most.
const TEXT_ROWS_PER_STATEMENT: usize = 500;
/// Statements that travel together; SQLite copies what is left of them for each.
const DELETES_AT_ONCE: usize = 32;

/// The rows of the updates that the messages name and the site knows.
pub(super) type UpdateRows = HashMap<UpdateId, i64>;

/// Client, update, subject and the finding itself.
type FindingRow<'a> = (i64, i64, &'a str, &'a Finding);

/// Writes everything; `clients` are in the order of their rows.
pub(super) async fn apply(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &mut [ClientChanges<'_>],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let updates = known_updates(connection, engine, clients).await?;
    for client in &mut *clients {
        if client.changes.updates().any(|update| !updates.contains_key(update)) {
            client.incomplete_since.get_or_insert(client.newest_update);
        }
    }
    void(connection, clients, &updates).await?;
    write_states(connection, clients, &updates, now).await?;
    write_findings(connection, engine, clients, &updates).await?;
    super::clients::write(connection, engine, clients, now).await?;
    super::plugins::write(connection, engine, clients, &updates, now).await?;
    super::enforcement::write(connection, engine, clients, &updates, now).await
}

async fn known_updates(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
) -> Result<UpdateRows, sqlx::Error> {
    let ids: BTreeSet<&UpdateId> = clients.iter().flat_map(|client| client.changes.updates()).collect();
    let ids: Vec<&UpdateId> = ids.into_iter().collect();
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

/// Removes what the messages make void.
async fn void(
    connection: &mut AnyConnection,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
) -> Result<(), sqlx::Error> {
    let statements: Vec<String> = clients.iter().flat_map(|client| void_of(client, updates)).collect();
    for statements in statements.chunks(DELETES_AT_ONCE) {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statements.concat()))).await?;
    }
    Ok(())
}

/// Statements that delete everything of a client that starts anew, else the states that are `NotRequired` now and the
/// findings of all updates with a new state. One per client: SQLite finds `(client_id, software_update_id) IN (...)`
/// by reading the whole table.
fn void_of(ClientChanges { client, changes, .. }: &ClientChanges<'_>, updates: &UpdateRows) -> Vec<String> {
    if changes.reset {
        return ["compliance_states", "findings"]
            .map(|table| format!("DELETE FROM {table} WHERE client_id = {client};"))
            .into();
    }
    let known = changes.states.iter().filter_map(|(update, state)| Some((*updates.get(update)?, *state)));
    let not_required = known.clone().filter(|(_, state)| *state == ComplianceState::NotRequired);
    let lists = [
        ("compliance_states", number_list(not_required.map(|(update, _)| update))),
        ("findings", number_list(known.map(|(update, _)| update))),
    ];
    let delete = |(table, list): &(_, String)| {
        format!("DELETE FROM {table} WHERE client_id = {client} AND software_update_id IN ({list});")
    };
    lists.iter().filter(|(_, list)| !list.is_empty()).map(delete).collect()
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
    let mut rows: Vec<FindingRow<'_>> = Vec::new();
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
        let value = |(client, update, _, finding): &FindingRow<'_>| {
            format!("({client},{update},{},{})", finding.state as i64, marks.list(2))
        };
        let sql = format!(
            "INSERT INTO findings (client_id, software_update_id, state, subject, detail) VALUES {} \
             ON CONFLICT (client_id, software_update_id, subject) DO UPDATE SET state = excluded.state, \
             detail = excluded.detail",
            rows.iter().map(value).collect::<Vec<_>>().join(",")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (_, _, subject, finding) in rows {
            query = query.bind((*subject).to_owned()).bind(storable(&finding.detail).into_owned());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
