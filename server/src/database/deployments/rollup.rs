//! How far a client is with a deployment, from how far it is with each update: the least of it.

use crate::database::ROWS_PER_STATEMENT;
use crate::database::rows::{number_list, number_rows};
use crate::deployment::LEAST_DONE_FIRST;
use farrier_protocol::UnixTime;
use sqlx::{AnyConnection, AssertSqlSafe};
use std::fmt::Write as _;

/// Works out the states of these clients of these deployments (deployment, client; as rows). Pairs that are no client
/// of the deployment are passed over.
pub(in crate::database) async fn roll_up(
    connection: &mut AnyConnection,
    pairs: &[[i64; 2]],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    for pairs in pairs.chunks(ROWS_PER_STATEMENT) {
        let values = format!("(VALUES {}) AS v", number_rows(pairs));
        roll_up_those(connection, &values, "v.column1", "v.column2", now).await?;
    }
    Ok(())
}

/// The same for the clients of a deployment that are not known to have said anything: those that just came (back).
pub(super) async fn roll_up_silent(
    connection: &mut AnyConnection,
    deployment: i64,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let silent = format!(
        "(SELECT k.deployment_id, k.client_id FROM deployment_clients k WHERE k.deployment_id = {deployment} \
         AND k.state IS NULL) AS v"
    );
    roll_up_those(connection, &silent, "v.deployment_id", "v.client_id", now).await
}

async fn roll_up_those(
    connection: &mut AnyConnection,
    pairs: &str,
    deployment: &str,
    client: &str,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let (mut rank, mut state) = (String::from("CASE s.state"), String::from("CASE r.least"));
    for (place, least) in LEAST_DONE_FIRST.into_iter().enumerate() {
        // Writing into a string cannot fail.
        let _ = write!(rank, " WHEN {} THEN {place}", least as u8);
        let _ = write!(state, " WHEN {place} THEN {}", least as u8);
    }
    let sql = format!(
        "UPDATE deployment_clients SET state = {state} END, changed_at = {now} FROM \
         (SELECT {deployment} AS deployment_id, {client} AS client_id, MIN({rank} END) AS least FROM {pairs} \
         LEFT JOIN deployment_states s ON s.deployment_id = {deployment} AND s.client_id = {client} \
         GROUP BY {deployment}, {client}) AS r \
         WHERE deployment_clients.deployment_id = r.deployment_id AND deployment_clients.client_id = r.client_id \
         AND deployment_clients.state IS DISTINCT FROM {state} END"
    );
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(connection).await?;
    Ok(())
}

/// Has the role look after these deployments.
pub(in crate::database) async fn mark_unevaluated(
    connection: &mut AnyConnection,
    deployments: impl IntoIterator<Item = i64>,
) -> Result<(), sqlx::Error> {
    let list = number_list(deployments);
    if !list.is_empty() {
        let sql = format!("UPDATE deployments SET unevaluated = 1 WHERE id IN ({list}) AND unevaluated = 0");
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(connection).await?;
    }
    Ok(())
}
