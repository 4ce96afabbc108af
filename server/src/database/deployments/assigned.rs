//! What a client is assigned of the deployments.

use crate::database::Database;
use crate::deployment::DeploymentStatus;
use farrier_protocol::assignment::{MAX_DEPLOYMENTS, Standing};
use farrier_protocol::{ClientId, DeploymentId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// A deployment, as it stands for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientDeployment {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The place of the client's phase.
    pub phase: u8,
    /// How that stands.
    pub standing: Standing,
    /// How often the client was asked to try again what failed.
    pub retries: u16,
}

impl Database {
    /// The deployments that concern a client: those that go on, the newest first, and then the cancelled ones, as many
    /// as an assignment holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assigned_deployments(&self, client: ClientId) -> Result<Vec<ClientDeployment>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT d.deployment_id, d.status, k.phase, k.retries, p.opened_at, p.expected_at FROM deployment_clients \
             k JOIN deployments d ON d.id = k.deployment_id \
             JOIN deployment_phases p ON p.deployment_id = k.deployment_id AND p.position = k.phase \
             WHERE k.client_id = (SELECT id FROM clients WHERE client_id = $1) \
             ORDER BY CASE d.status WHEN 2 THEN 1 ELSE 0 END, d.created_at DESC, d.id DESC LIMIT $2",
        )
        .bind(client.as_bytes())
        .bind(i64::try_from(MAX_DEPLOYMENTS).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(ClientDeployment::of_row).collect()
    }
}

impl ClientDeployment {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let damaged = |what: &str| sqlx::Error::Decode(format!("a deployment of a client has {what}").into());
        let opened_at: Option<i64> = row.try_get("opened_at")?;
        let status = DeploymentStatus::from_number(row.try_get("status")?);
        let standing = match (status.ok_or_else(|| damaged("an unknown status"))?, opened_at) {
            (DeploymentStatus::Cancelled, _) => Standing::Cancelled,
            (DeploymentStatus::Paused, _) => Standing::Paused,
            (DeploymentStatus::Active, Some(since)) => Standing::Open { since },
            (DeploymentStatus::Active, None) => Standing::Planned { expected_at: row.try_get("expected_at")? },
        };
        Ok(Self {
            deployment: DeploymentId::from_slice(row.try_get("deployment_id")?)
                .ok_or_else(|| damaged("an id that is none"))?,
            phase: u8::try_from(row.try_get::<i64, _>("phase")?).map_err(|_| damaged("an impossible phase"))?,
            standing,
            retries: u16::try_from(row.try_get::<i64, _>("retries")?).map_err(|_| damaged("too many retries"))?,
        })
    }
}
