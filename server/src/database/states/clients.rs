//! Writing what many clients say of themselves, and how far their streams are.

use super::ClientChanges;
use crate::database::Engine;
use crate::database::rows::{Marks, number_list, storable};
use farrier_protocol::UnixTime;
use farrier_protocol::state_message::{Abilities, Facts, Inventory, ScanResult};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor as _};
use std::collections::BTreeSet;

/// Rows of one statement, at most.
const ROWS_PER_STATEMENT: usize = 500;

/// Writes everything.
pub(super) async fn write(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    write_streams(connection, engine, clients, now).await?;
    forget_scans(connection, clients).await?;
    let inventories: Vec<_> =
        clients.iter().filter_map(|client| Some((client.client, client.changes.inventory?))).collect();
    write_inventories(connection, engine, &inventories).await?;
    let facts: Vec<_> = clients.iter().filter_map(|client| Some((client.client, client.changes.facts?))).collect();
    write_facts(connection, engine, &facts).await?;
    let abilities: Vec<_> =
        clients.iter().filter_map(|client| Some((client.client, client.changes.abilities?))).collect();
    write_abilities(connection, engine, &abilities).await?;
    let scans: Vec<_> = clients.iter().filter_map(|client| Some((client.client, client.changes.scan?))).collect();
    write_scans(connection, engine, &scans, now).await?;
    write_plugins(connection, engine, clients).await
}

async fn write_streams(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    for clients in clients.chunks(ROWS_PER_STATEMENT) {
        let set = format!(
            "stream = v.column2, last_serial = v.column3, incomplete_since = v.column4, last_contact_at = {now}"
        );
        let mut query = update(engine, &set, clients.len(), 4);
        for ClientChanges { client, stream, incomplete_since, .. } in clients {
            let number = stream.number.map(u64::cast_signed);
            query = query.bind(*client).bind(number).bind(stream.last_serial.cast_signed()).bind(*incomplete_since);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A client that starts anew is no scanned one until it says so: without a state, an update is not `NotRequired` on
/// it.
async fn forget_scans(connection: &mut AnyConnection, clients: &[ClientChanges<'_>]) -> Result<(), sqlx::Error> {
    let reset = number_list(clients.iter().filter(|client| client.changes.reset).map(|client| client.client));
    if !reset.is_empty() {
        let set = "scanned_at = NULL, scan_assignment = NULL, scan_evaluated = 0";
        let sql = format!("UPDATE clients SET {set} WHERE id IN ({reset})");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    }
    Ok(())
}

async fn write_inventories(
    connection: &mut AnyConnection,
    engine: Engine,
    inventories: &[(i64, &Inventory)],
) -> Result<(), sqlx::Error> {
    for inventories in inventories.chunks(ROWS_PER_STATEMENT) {
        let set = "hostname = v.column2, operating_system = v.column3, machine = v.column4, agent_version = v.column5, \
                   unevaluated = 1";
        let mut query = update(engine, set, inventories.len(), 5);
        for (client, inventory) in inventories {
            query = query.bind(*client).bind(text(&inventory.hostname)).bind(text(&inventory.operating_system));
            query = query.bind(text(&inventory.machine)).bind(text(&inventory.agent_version));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What collections are made by: they are evaluated anew for these clients.
async fn write_facts(
    connection: &mut AnyConnection,
    engine: Engine,
    facts: &[(i64, &Facts)],
) -> Result<(), sqlx::Error> {
    if facts.is_empty() {
        return Ok(());
    }
    for facts in facts.chunks(ROWS_PER_STATEMENT) {
        let set = "os = v.column2, release = v.column3, time_zone = v.column4, unevaluated = 1";
        let mut query = update(engine, set, facts.len(), 4);
        for (client, facts) in facts {
            query = query.bind(*client).bind(text(&facts.os)).bind(text(&facts.release)).bind(text(&facts.time_zone));
        }
        query.execute(&mut *connection).await?;
    }
    let clients = number_list(facts.iter().map(|(client, _)| *client));
    let sql = format!("DELETE FROM client_tags WHERE client_id IN ({clients})");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let of_client = |(client, facts): &(i64, &Facts)| -> BTreeSet<(i64, String)> {
        facts.tags.iter().map(|tag| (*client, text(tag))).collect()
    };
    let tags: Vec<(i64, String)> = facts.iter().flat_map(of_client).collect();
    for tags in tags.chunks(ROWS_PER_STATEMENT) {
        let values = Marks::new(engine).rows(tags.len(), 2);
        let sql = format!("INSERT INTO client_tags (client_id, tag) VALUES {values}");
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = tags.iter().fold(query, |query, (client, tag)| query.bind(*client).bind(tag.clone()));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_scans(
    connection: &mut AnyConnection,
    engine: Engine,
    scans: &[(i64, &ScanResult)],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    for scans in scans.chunks(ROWS_PER_STATEMENT) {
        let set = "scanned_at = v.column2, scan_assignment = v.column3, scan_evaluated = v.column4";
        let mut query = update(engine, set, scans.len(), 4);
        for (client, scan) in scans {
            // A client's clock may be wrong, but no scan ended in the future.
            query = query.bind(*client).bind(scan.scanned_at.min(now));
            query = query.bind(scan.assignment_version.cast_signed()).bind(i64::from(scan.evaluated));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_plugins(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
) -> Result<(), sqlx::Error> {
    let scanned =
        number_list(clients.iter().filter(|client| client.changes.scan.is_some()).map(|client| client.client));
    if scanned.is_empty() {
        return Ok(());
    }
    let sql = format!("DELETE FROM client_plugins WHERE client_id IN ({scanned})");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let mut plugins = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        plugins.extend(changes.plugins().into_iter().map(|plugin| (*client, plugin)));
    }
    for plugins in plugins.chunks(ROWS_PER_STATEMENT) {
        let values = Marks::new(engine).rows(plugins.len(), 4);
        let sql = format!("INSERT INTO client_plugins (client_id, name, version, error) VALUES {values}");
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (client, (name, plugin)) in plugins {
            query = query.bind(*client).bind(text(name)).bind(text(&plugin.version)).bind(text(&plugin.error));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_abilities(
    connection: &mut AnyConnection,
    engine: Engine,
    abilities: &[(i64, &Abilities)],
) -> Result<(), sqlx::Error> {
    // The site stores signed numbers; no agent gives more than they hold.
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    for abilities in abilities.chunks(ROWS_PER_STATEMENT) {
        let set = "wit = v.column2, engine = v.column3, plugin_memory_bytes = v.column4, component_bytes = v.column5";
        let mut query = update(engine, set, abilities.len(), 5);
        for (client, can) in abilities {
            query = query.bind(*client).bind(text(&can.wit)).bind(text(&can.engine));
            query = query.bind(number(can.plugin_memory_bytes)).bind(number(can.component_bytes));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// An update of as many clients as there are `rows`; the first column of each is the client's row.
fn update(engine: Engine, set: &str, rows: usize, columns: usize) -> Query<'static, Any, AnyArguments> {
    let values = Marks::new(engine).rows(rows, columns);
    let sql = format!("UPDATE clients SET {set} FROM (VALUES {values}) AS v WHERE clients.id = v.column1");
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

fn text(text: &str) -> String {
    storable(text).into_owned()
}
