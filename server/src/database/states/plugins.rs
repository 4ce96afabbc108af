//! Writing how versions of plugins that do not count would have answered, and which versions failed.

use super::ClientChanges;
use super::apply::UpdateRows;
use super::enforcement::MAX_TIME;
use crate::database::Engine;
use crate::database::rows::{Marks, number_list, storable};
use farrier_protocol::UnixTime;
use farrier_protocol::state_message::{Difference, FallBack, ShadowResult};
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _};
use std::collections::HashSet;

/// Rows of one statement, at most.
const ROWS_PER_STATEMENT: usize = 500;

/// Client, plugin and what is said.
type Said<'a, T> = (i64, &'a str, &'a T);

/// Writes everything. What is said of plugins that the site does not have is passed over.
pub(super) async fn write(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    forget(connection, clients).await?;
    let is_silent = |client: &ClientChanges<'_>| {
        let changes = &client.changes;
        changes.shadows.is_empty() && changes.differences.is_empty() && changes.fallbacks.is_empty()
    };
    if clients.iter().all(is_silent) {
        return Ok(());
    }
    let plugins: Vec<String> = sqlx::query_scalar("SELECT name FROM plugins").fetch_all(&mut *connection).await?;
    let plugins: HashSet<String> = plugins.into_iter().collect();
    write_shadows(connection, engine, clients, &plugins, now).await?;
    write_differences(connection, engine, clients, &plugins, updates).await?;
    write_fallbacks(connection, engine, clients, &plugins, now).await
}

/// Forgets what clients said that start anew.
async fn forget(connection: &mut AnyConnection, clients: &[ClientChanges<'_>]) -> Result<(), sqlx::Error> {
    let reset = number_list(clients.iter().filter(|client| client.changes.reset).map(|client| client.client));
    if !reset.is_empty() {
        for table in ["shadow_results", "shadow_differences", "client_fallbacks"] {
            let sql = format!("DELETE FROM {table} WHERE client_id IN ({reset})");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
    }
    Ok(())
}

async fn write_shadows(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    plugins: &HashSet<String>,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let mut said: Vec<Said<'_, ShadowResult>> = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        let known = changes.shadows.iter().filter(|(plugin, _)| plugins.contains(plugin.as_ref()));
        said.extend(known.map(|(plugin, shadow)| (*client, plugin.as_ref(), *shadow)));
    }
    let voided: Vec<(i64, &str)> = said.iter().map(|(client, plugin, _)| (*client, *plugin)).collect();
    for table in ["shadow_differences", "shadow_results"] {
        delete(connection, engine, table, &voided).await?;
    }
    said.retain(|(_, _, shadow)| !shadow.version.is_empty());
    for said in said.chunks(ROWS_PER_STATEMENT) {
        let mut marks = Marks::new(engine);
        let value = |(client, _, shadow): &Said<'_, ShadowResult>| {
            // A client's clock may be wrong, but no scan ended in the future.
            let at = shadow.scanned_at.clamp(0, now.max(0));
            format!("({client},{at},{},{},{})", shadow.compared, shadow.differing, marks.list(4))
        };
        let values = said.iter().map(value).collect::<Vec<_>>().join(",");
        let sql = format!(
            "INSERT INTO shadow_results (client_id, scanned_at, compared, differing, plugin, version, shadow_version, \
             error) VALUES {values}"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (_, plugin, shadow) in said {
            query = query.bind((*plugin).to_owned()).bind(text(&shadow.version));
            query = query.bind(text(&shadow.shadow_version)).bind(text(&shadow.error));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A difference without a word on its shadow is passed over: nobody would ever void it.
async fn write_differences(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    plugins: &HashSet<String>,
    updates: &UpdateRows,
) -> Result<(), sqlx::Error> {
    let mut said: Vec<(i64, i64, &str, &Difference)> = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        let known = changes.differences.iter().filter(|((plugin, _), _)| plugins.contains(plugin.as_ref()));
        said.extend(known.filter_map(|((plugin, update), difference)| {
            Some((*client, *updates.get(update)?, plugin.as_ref(), *difference))
        }));
    }
    said.sort_unstable_by_key(|(client, update, plugin, _)| (*client, *plugin, *update));
    for said in said.chunks(ROWS_PER_STATEMENT) {
        let mut marks = Marks::new(engine);
        let values = marks.rows(said.len(), 7);
        let sql = format!(
            "INSERT INTO shadow_differences (client_id, plugin, software_update_id, state, shadow_state, detail, \
             shadow_detail) SELECT CAST(v.column1 AS BIGINT), v.column2, CAST(v.column3 AS BIGINT), \
             CAST(v.column4 AS BIGINT), CAST(v.column5 AS BIGINT), v.column6, v.column7 FROM (VALUES {values}) AS v \
             WHERE EXISTS (SELECT 1 FROM shadow_results r WHERE r.client_id = CAST(v.column1 AS BIGINT) \
             AND r.plugin = v.column2) \
             ON CONFLICT (client_id, plugin, software_update_id) DO UPDATE SET state = excluded.state, \
             shadow_state = excluded.shadow_state, detail = excluded.detail, shadow_detail = excluded.shadow_detail"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (client, update, plugin, difference) in said {
            query = query.bind(*client).bind((*plugin).to_owned()).bind(*update);
            query = query.bind(difference.state as i64).bind(difference.shadow_state as i64);
            query = query.bind(text(&difference.detail)).bind(text(&difference.shadow_detail));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_fallbacks(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    plugins: &HashSet<String>,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let mut said: Vec<Said<'_, FallBack>> = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        let known = changes.fallbacks.iter().filter(|(plugin, _)| plugins.contains(plugin.as_ref()));
        said.extend(known.map(|(plugin, fallback)| (*client, plugin.as_ref(), *fallback)));
    }
    let voided: Vec<(i64, &str)> = said.iter().map(|(client, plugin, _)| (*client, *plugin)).collect();
    delete(connection, engine, "client_fallbacks", &voided).await?;
    said.retain(|(_, _, fallback)| !fallback.failed_version.is_empty());
    for said in said.chunks(ROWS_PER_STATEMENT) {
        let mut marks = Marks::new(engine);
        let value = |(client, _, fallback): &Said<'_, FallBack>| {
            let since = fallback.since.clamp(0, now.clamp(0, MAX_TIME));
            format!("({client},{since},{})", marks.list(4))
        };
        let values = said.iter().map(value).collect::<Vec<_>>().join(",");
        let sql = format!(
            "INSERT INTO client_fallbacks (client_id, since, plugin, failed_version, version, reason) VALUES {values}"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (_, plugin, fallback) in said {
            query = query.bind((*plugin).to_owned()).bind(text(&fallback.failed_version));
            query = query.bind(text(&fallback.version)).bind(text(&fallback.reason));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes the rows of these clients and plugins.
async fn delete(
    connection: &mut AnyConnection,
    engine: Engine,
    table: &str,
    rows: &[(i64, &str)],
) -> Result<(), sqlx::Error> {
    let plugins: HashSet<&str> = rows.iter().map(|(_, plugin)| *plugin).collect();
    // A few plugins and many clients: one statement each.
    for plugin in plugins {
        let clients = rows.iter().filter(|(_, of)| *of == plugin).map(|(client, _)| *client);
        let mark = Marks::new(engine).list(1);
        let sql = format!("DELETE FROM {table} WHERE client_id IN ({}) AND plugin = {mark}", number_list(clients));
        sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(plugin.to_owned()).execute(&mut *connection).await?;
    }
    Ok(())
}

fn text(text: &str) -> String {
    storable(text).into_owned()
}
