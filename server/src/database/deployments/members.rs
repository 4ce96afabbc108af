//! Whom a deployment concerns, and in which phase: kept like the members of its collections.

use super::rollup::{mark_unevaluated, roll_up_silent};
use crate::database::rows::number_rows;
use crate::database::{CollectionId, Database, ROWS_PER_STATEMENT, assignment_version};
use farrier_protocol::deployment::bucket;
use farrier_protocol::{ClientId, DeploymentId, UnixTime};
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use std::collections::HashSet;

/// The first phase that a client is a member of; every client has one, as the last phase takes everybody.
const PHASE: &str = "(SELECT MIN(p.position) FROM deployment_phases p WHERE p.deployment_id = k.deployment_id \
    AND (k.bucket < p.buckets_below OR p.collection_id IN \
    (SELECT m.collection_id FROM collection_members m WHERE m.client_id = k.client_id)))";
/// Members of the deployment's collection that it does not have yet.
const NEW: &str = "FROM deployments d JOIN collection_members m ON m.collection_id = d.collection_id \
    JOIN clients c ON c.id = m.client_id WHERE d.id = $1 AND NOT EXISTS \
    (SELECT 1 FROM deployment_clients k WHERE k.deployment_id = d.id AND k.client_id = m.client_id)";
/// Clients of the deployment that left its collection.
const GONE: &str = "deployment_id = $1 AND client_id NOT IN (SELECT m.client_id FROM collection_members m \
    JOIN deployments d ON d.collection_id = m.collection_id WHERE d.id = $1)";

impl Database {
    /// Makes the clients of a deployment, and their phases, what its collections say. Nothing is written where nothing
    /// differs, and nothing changes about a cancelled deployment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_deployment_clients(&self, deployment: i64, now: UnixTime) -> Result<(), sqlx::Error> {
        let head = sqlx::query("SELECT deployment_id FROM deployments WHERE id = $1 AND status <> 2").bind(deployment);
        let Some(head) = head.fetch_optional(&self.pool).await? else { return Ok(()) };
        let id = DeploymentId::from_slice(head.try_get("deployment_id")?);
        let id = id.ok_or_else(|| sqlx::Error::Decode("a deployment's id is no id".into()))?;
        let new = self.new_clients(deployment, id).await?;
        if new.is_empty() && !self.clients_differ(deployment).await? {
            return Ok(());
        }
        let mut transaction = self.begin_write().await?;
        let query = format!("DELETE FROM deployment_clients WHERE {GONE}");
        sqlx::query(AssertSqlSafe(query)).bind(deployment).execute(&mut *transaction).await?;
        insert(&mut transaction, deployment, &new, now).await?;
        move_to_phases(&mut transaction, deployment).await?;
        roll_up_silent(&mut transaction, deployment, now).await?;
        mark_unevaluated(&mut transaction, [deployment]).await?;
        assignment_version::bump(&mut transaction, now).await?;
        transaction.commit().await
    }

    /// The members of a collection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_ids(&self, collection: CollectionId) -> Result<HashSet<ClientId>, sqlx::Error> {
        let query = "SELECT c.client_id FROM collection_members m JOIN clients c ON c.id = m.client_id \
                     WHERE m.collection_id = $1";
        let rows = sqlx::query(query).bind(collection.0).fetch_all(&self.pool).await?;
        rows.iter().map(client_id).collect()
    }

    /// Row and bucket of the clients that a deployment does not have yet.
    async fn new_clients(&self, deployment: i64, id: DeploymentId) -> Result<Vec<[i64; 2]>, sqlx::Error> {
        let query = format!("SELECT c.id, c.client_id {NEW} ORDER BY c.id");
        let rows = sqlx::query(AssertSqlSafe(query)).bind(deployment).fetch_all(&self.pool).await?;
        let of_row = |row| Ok([row_id(row)?, i64::from(bucket(id, client_id(row)?))]);
        rows.iter().map(of_row).collect()
    }

    async fn clients_differ(&self, deployment: i64) -> Result<bool, sqlx::Error> {
        let query = format!(
            "SELECT (SELECT COUNT(*) FROM deployment_clients WHERE {GONE}) + \
             (SELECT COUNT(*) FROM deployment_clients k WHERE k.deployment_id = $1 AND k.phase <> {PHASE})"
        );
        let differ: i64 = sqlx::query_scalar(AssertSqlSafe(query)).bind(deployment).fetch_one(&self.pool).await?;
        Ok(differ > 0)
    }
}

/// A client that was removed meanwhile is passed over.
async fn insert(
    transaction: &mut Transaction<'_, Any>,
    deployment: i64,
    clients: &[[i64; 2]],
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    for clients in clients.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO deployment_clients (deployment_id, client_id, bucket, phase, changed_at) \
             SELECT {deployment}, c.id, v.column2, 0, {now} FROM (VALUES {}) AS v JOIN clients c ON c.id = v.column1 \
             WHERE 1 = 1 ON CONFLICT (deployment_id, client_id) DO NOTHING",
            number_rows(clients)
        );
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn move_to_phases(transaction: &mut Transaction<'_, Any>, deployment: i64) -> Result<(), sqlx::Error> {
    let sql = format!(
        "UPDATE deployment_clients SET phase = v.phase FROM \
         (SELECT k.client_id, {PHASE} AS phase FROM deployment_clients k WHERE k.deployment_id = $1) AS v \
         WHERE deployment_clients.deployment_id = $1 AND deployment_clients.client_id = v.client_id \
         AND deployment_clients.phase <> v.phase"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(deployment).execute(&mut **transaction).await?;
    Ok(())
}

fn row_id(row: &sqlx::any::AnyRow) -> Result<i64, sqlx::Error> {
    row.try_get("id")
}

fn client_id(row: &sqlx::any::AnyRow) -> Result<ClientId, sqlx::Error> {
    let id = ClientId::from_slice(row.try_get("client_id")?);
    id.ok_or_else(|| sqlx::Error::Decode("a client's id is no id".into()))
}
