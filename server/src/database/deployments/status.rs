//! Whether a deployment goes on, and what administrators ask of its clients.

use super::rollup::mark_unevaluated;
use super::write_event;
use crate::database::rows::Marks;
use crate::database::{Database, assignment_version};
use crate::deployment::DeploymentStatus;
use crate::deployment::words::counted;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ClientId, DeploymentId, UnixTime};
use sqlx::{AssertSqlSafe, Row as _};

/// Clients of one statement, at most.
const CLIENTS_PER_STATEMENT: usize = 500;
/// What a client can be asked to try again, at most: the wire has 16 bits.
const MAX_RETRIES: u16 = u16::MAX;

/// A deployment as far as one needs it to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeploymentHead {
    /// Its row.
    pub row: i64,
    /// Whether it goes on.
    pub status: DeploymentStatus,
    /// How many phases it has.
    pub phases: i64,
}

/// Another status for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange<'a> {
    /// What it becomes.
    pub to: DeploymentStatus,
    /// What it has to be before.
    pub from: &'a [DeploymentStatus],
    /// Why.
    pub reason: &'a str,
    /// What is noted.
    pub event: &'a str,
}

impl Database {
    /// The deployment with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment_head(&self, id: DeploymentId) -> Result<Option<DeploymentHead>, sqlx::Error> {
        let query = "SELECT d.id, d.status, \
                     (SELECT COUNT(*) FROM deployment_phases p WHERE p.deployment_id = d.id) AS phases \
                     FROM deployments d WHERE d.deployment_id = $1";
        let Some(row) = sqlx::query(query).bind(id.as_bytes()).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let status = DeploymentStatus::from_number(row.try_get("status")?);
        Ok(Some(DeploymentHead {
            row: row.try_get("id")?,
            status: status.ok_or_else(|| sqlx::Error::Decode("a deployment has an unknown status".into()))?,
            phases: row.try_get("phases")?,
        }))
    }

    /// The deployments with this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployments_named(&self, name: &str) -> Result<Vec<DeploymentId>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT deployment_id FROM deployments WHERE name = $1 ORDER BY id");
        let ids: Vec<Vec<u8>> = query.bind(name.to_owned()).fetch_all(&self.pool).await?;
        let id = |bytes: &Vec<u8>| DeploymentId::from_slice(bytes);
        let no_id = || sqlx::Error::Decode("a deployment's id is no id".into());
        ids.iter().map(|bytes| id(bytes).ok_or_else(no_id)).collect()
    }

    /// Changes the status; `false` if it is none of those it has to be before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_deployment_status(
        &self,
        deployment: i64,
        change: &StatusChange<'_>,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let from: Vec<String> = change.from.iter().map(|status| (*status as i64).to_string()).collect();
        let sql = format!(
            "UPDATE deployments SET status = $1, status_reason = $2, status_at = $3, unevaluated = 1 \
             WHERE id = $4 AND status IN ({})",
            from.join(",")
        );
        let changed = sqlx::query(AssertSqlSafe(sql))
            .bind(change.to as i64)
            .bind(change.reason.to_owned())
            .bind(now)
            .bind(deployment)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if changed == 0 {
            return Ok(false);
        }
        if change.to == DeploymentStatus::Active {
            sqlx::query(
                "UPDATE deployment_phases SET accepted_failures = (SELECT COUNT(*) FROM deployment_clients k \
                 WHERE k.deployment_id = deployment_phases.deployment_id AND k.phase = deployment_phases.position \
                 AND k.state IN ($1, $2)) WHERE deployment_id = $3",
            )
            .bind(EnforcementState::Failed as i64)
            .bind(EnforcementState::RolledBack as i64)
            .bind(deployment)
            .execute(&mut *transaction)
            .await?;
        }
        write_event(&mut transaction, deployment, change.event, now).await?;
        match change.to {
            DeploymentStatus::Cancelled => assignment_version::bump_deployed(&mut transaction, now).await?,
            DeploymentStatus::Active | DeploymentStatus::Paused => {
                assignment_version::bump(&mut transaction, now).await?;
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that an administrator lets the roll-out go on after an open phase; `false` if it is not open, or was let
    /// go on already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approve_phase(
        &self,
        deployment: i64,
        phase: i64,
        event: &str,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        mark_unevaluated(&mut transaction, [deployment]).await?;
        let approved = sqlx::query(
            "UPDATE deployment_phases SET approved_at = $1 WHERE deployment_id = $2 AND position = $3 \
             AND opened_at IS NOT NULL AND approved_at IS NULL",
        )
        .bind(now)
        .bind(deployment)
        .bind(phase)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if approved == 0 {
            return Ok(false);
        }
        write_event(&mut transaction, deployment, event, now).await?;
        assignment_version::bump(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Asks clients on which something failed to try it again: these, or all. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retry_deployment(
        &self,
        deployment: i64,
        clients: Option<&[ClientId]>,
        now: UnixTime,
    ) -> Result<i64, sqlx::Error> {
        let failed = format!(
            "UPDATE deployment_clients SET retries = retries + 1 WHERE deployment_id = {deployment} \
             AND state IN ({}, {}) AND retries < {MAX_RETRIES}",
            EnforcementState::Failed as u8,
            EnforcementState::RolledBack as u8
        );
        let mut transaction = self.begin_write().await?;
        let mut retried = 0;
        match clients {
            None => retried = sqlx::query(AssertSqlSafe(failed)).execute(&mut *transaction).await?.rows_affected(),
            Some(clients) => {
                for clients in clients.chunks(CLIENTS_PER_STATEMENT) {
                    let marks = Marks::new(self.engine()).list(clients.len());
                    let sql =
                        format!("{failed} AND client_id IN (SELECT id FROM clients WHERE client_id IN ({marks}))");
                    let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
                    let query = clients.iter().fold(query, |query, client| query.bind(client.as_bytes()));
                    retried += query.execute(&mut *transaction).await?.rows_affected();
                }
            }
        }
        let retried = i64::try_from(retried).unwrap_or(i64::MAX);
        if retried > 0 {
            let event = format!("{} asked to try again what failed.", counted(retried, "client"));
            write_event(&mut transaction, deployment, &event, now).await?;
            assignment_version::bump(&mut transaction, now).await?;
            transaction.commit().await?;
        }
        Ok(retried)
    }

    /// Removes a deployment with everything that was said of it; its update group stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_deployment(&self, deployment: i64, now: UnixTime) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        sqlx::query("DELETE FROM deployments WHERE id = $1").bind(deployment).execute(&mut *transaction).await?;
        assignment_version::bump_deployed(&mut transaction, now).await?;
        transaction.commit().await
    }
}
