//! Deployments: writing them, their clients and their phases, and reading what is published and assigned of them.
//!
//! Locks are taken in one order everywhere: clients of deployments, then deployments, then what is said of them, and
//! the version of the assignments last.

mod assigned;
mod create;
mod history;
mod members;
mod need;
mod progress;
mod published;
mod rollup;
mod status;

pub use assigned::ClientDeployment;
pub use create::{DeploymentRecord, GroupOfRecord, RuleOfRecord, RuleRun};
pub use need::ContentNeed;
pub use published::{AuthoredPart, PublishableDeployment, PublishableFile, PublishableUpdate};
pub(super) use rollup::{mark_unevaluated, roll_up};
pub use status::{DeploymentHead, StatusChange};

use super::Database;
use crate::deployment::settings::DeploymentSettings;
use farrier_protocol::UnixTime;
use sqlx::AnyConnection;

/// Writes what happened to a deployment.
async fn write_event(
    connection: &mut AnyConnection,
    deployment: i64,
    text: &str,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO deployment_events (deployment_id, at, text) VALUES ($1, $2, $3)")
        .bind(deployment)
        .bind(now)
        .bind(text)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn settings_of(json: &str) -> Result<DeploymentSettings, sqlx::Error> {
    serde_json::from_str(json)
        .map_err(|error| sqlx::Error::Decode(format!("stored settings of a deployment are damaged: {error}").into()))
}

pub(super) fn json_of(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

impl Database {
    /// The deployments that have something to be looked after: all that go on, or only those where something changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployments_to_look_after(&self, all: bool) -> Result<Vec<i64>, sqlx::Error> {
        let query = if all {
            "SELECT id FROM deployments WHERE status <> 2 OR unevaluated = 1 ORDER BY id"
        } else {
            "SELECT id FROM deployments WHERE unevaluated = 1 ORDER BY id"
        };
        sqlx::query_scalar(query).fetch_all(&self.pool).await
    }
}
