//! Writing how far many clients are with what is deployed.

use super::ClientChanges;
use super::apply::UpdateRows;
use crate::database::Engine;
use crate::database::deployments::{mark_unevaluated, roll_up};
use crate::database::rows::{Marks, number_list, storable};
use farrier_protocol::state_message::Enforcement;
use farrier_protocol::{DeploymentId, UnixTime};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::{BTreeSet, HashMap};

/// Rows of one statement, at most.
const ROWS_PER_STATEMENT: usize = 500;

/// No client's clock is before 1970 or after the year 9999; what says so is wrong, and not worth an error.
pub(super) const MAX_TIME: i64 = 253_402_300_799;

/// Deployment, client, update (as rows) and what is said.
type Said<'a> = ([i64; 3], &'a Enforcement);

/// Writes everything. What is said of deployments that the site does not have (any more) is passed over.
pub(super) async fn write(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
    updates: &UpdateRows,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let mut pairs = forget(connection, clients).await?;
    let deployments = known_deployments(connection, engine, clients).await?;
    let mut said: Vec<Said<'_>> = Vec::new();
    for ClientChanges { client, changes, .. } in clients {
        said.extend(changes.enforcements.iter().filter_map(|((deployment, update), enforcement)| {
            Some(([*deployments.get(deployment)?, *client, *updates.get(update)?], *enforcement))
        }));
    }
    said.sort_unstable_by_key(|(rows, _)| *rows);
    for said in said.chunks(ROWS_PER_STATEMENT) {
        upsert(connection, engine, said, now).await?;
    }
    pairs.extend(said.iter().map(|([deployment, client, _], _)| [*deployment, *client]));
    let pairs: Vec<[i64; 2]> = pairs.into_iter().collect();
    roll_up(connection, &pairs, now).await?;
    let touched: BTreeSet<i64> = pairs.iter().map(|[deployment, _]| *deployment).collect();
    mark_unevaluated(connection, touched).await
}

/// Forgets what clients said that start anew; returns of which deployments.
async fn forget(
    connection: &mut AnyConnection,
    clients: &[ClientChanges<'_>],
) -> Result<BTreeSet<[i64; 2]>, sqlx::Error> {
    let reset = number_list(clients.iter().filter(|client| client.changes.reset).map(|client| client.client));
    if reset.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = format!("DELETE FROM deployment_states WHERE client_id IN ({reset}) RETURNING deployment_id, client_id");
    let rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
    rows.iter().map(|row| Ok([row.try_get("deployment_id")?, row.try_get("client_id")?])).collect()
}

async fn known_deployments(
    connection: &mut AnyConnection,
    engine: Engine,
    clients: &[ClientChanges<'_>],
) -> Result<HashMap<DeploymentId, i64>, sqlx::Error> {
    let ids: BTreeSet<DeploymentId> = clients
        .iter()
        .flat_map(|client| client.changes.enforcements.keys().map(|(deployment, _)| *deployment))
        .collect();
    let ids: Vec<DeploymentId> = ids.into_iter().collect();
    let mut known = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let marks = Marks::new(engine).list(ids.len());
        let sql = format!("SELECT id, deployment_id FROM deployments WHERE deployment_id IN ({marks})");
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = ids.iter().fold(query, |query, id| query.bind(id.as_bytes()));
        for row in query.fetch_all(&mut *connection).await? {
            let id = DeploymentId::from_slice(row.try_get("deployment_id")?);
            let id = id.ok_or_else(|| sqlx::Error::Decode("a deployment's id is no id".into()))?;
            known.insert(id, row.try_get("id")?);
        }
    }
    Ok(known)
}

async fn upsert(
    connection: &mut AnyConnection,
    engine: Engine,
    said: &[Said<'_>],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let mut marks = Marks::new(engine);
    let value = |([deployment, client, update], said): &Said<'_>| {
        let (state, since, installations) = (said.state as u8, said.since.clamp(0, MAX_TIME), said.installations);
        // The site stores signed numbers; nobody downloads more than they hold.
        let bytes_left = i64::try_from(said.bytes_left).unwrap_or(i64::MAX);
        let until = said.until.map_or_else(|| "NULL".to_owned(), |until| until.clamp(0, MAX_TIME).to_string());
        let reason = marks.list(1);
        format!("({deployment},{client},{update},{state},{since},{installations},{bytes_left},{until},{now},{reason})")
    };
    let values = said.iter().map(value).collect::<Vec<_>>().join(",");
    let sql = format!(
        "INSERT INTO deployment_states (deployment_id, client_id, software_update_id, state, since, installations, \
         bytes_left, until, received_at, reason) VALUES {values} \
         ON CONFLICT (deployment_id, client_id, software_update_id) DO UPDATE SET state = excluded.state, \
         since = excluded.since, installations = excluded.installations, bytes_left = excluded.bytes_left, \
         until = excluded.until, received_at = excluded.received_at, reason = excluded.reason"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    let query = said.iter().fold(query, |query, (_, said)| query.bind(storable(&said.reason).into_owned()));
    query.execute(connection).await?;
    Ok(())
}
