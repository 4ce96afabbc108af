//! The role: keeps the members of collections, the clients of deployments and the phases up to date, and runs the
//! automatic deployment rules.
//!
//! It takes no input. A bell or the clock wakes it; it reads the database and makes the world match. Any number of
//! processes of a site may run it: every step is taken once, by whoever is first.

use super::{DeploymentError, Deployments, phases};
use crate::collections;
use crate::database::{Database, now};
use crate::signals::Signals;
use std::time::Duration;

/// How often to look for what other processes changed: the command line, and the other servers of a site.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to look after every deployment, whether anything is known to have changed or not: phases open by time.
const LOOK_AFTER_ALL_SECONDS: i64 = 15;
/// How often to compare the clients of every deployment with the members of its collections, even if nobody said that
/// they changed.
const COMPARE_SECONDS: i64 = 300;
/// How long to wait for a database that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Looks after the deployments, for ever. Stopping is dropping the future.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run(database: Database, signals: Signals) -> anyhow::Result<()> {
    let mut role = Role::new(database, signals.clone());
    loop {
        let pause = match role.pass(now()).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "Deployments are looked after again later"
                );
                TRY_AGAIN_AFTER
            }
        };
        tokio::select! {
            () = signals.deployments_changed.notified() => {}
            () = signals.collections_changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The role, with what it remembers between two passes.
#[derive(Debug)]
pub struct Role {
    deployments: Deployments,
    looked_after_all_at: Option<i64>,
    compared_at: Option<i64>,
    seen_deployed: Option<i64>,
    seen_version: Option<u64>,
}

impl Role {
    /// A role that has not looked yet.
    #[must_use]
    pub fn new(database: Database, signals: Signals) -> Self {
        let deployments = Deployments::new(database, signals);
        Self { deployments, looked_after_all_at: None, compared_at: None, seen_deployed: None, seen_version: None }
    }

    /// Makes the world match, once.
    ///
    /// # Errors
    /// When the database fails; what was done until then is done.
    pub async fn pass(&mut self, now: i64) -> Result<(), DeploymentError> {
        let database = self.deployments.database.clone();
        let moved = match collections::evaluate(&database, now).await {
            Ok(evaluation) => !evaluation.changed.is_empty(),
            Err(collections::CollectionError::Definition(collections::DefinitionError::Database(error))) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "Collections cannot be evaluated");
                false
            }
        };
        self.deployments.run_rules(now).await?;
        self.update_clients(moved, now).await?;
        let is_due = is_due(self.looked_after_all_at, LOOK_AFTER_ALL_SECONDS, now);
        let deployments = database.deployments_to_look_after(is_due || moved).await?;
        for deployment in &deployments {
            roll_out(&database, *deployment, now).await?;
        }
        if is_due {
            self.looked_after_all_at = Some(now);
        }
        self.ring(!deployments.is_empty() && !is_due).await
    }

    /// The clients of deployments follow the members of collections. Which ones that concerns is not looked up:
    /// comparing all of them is cheap enough for when members have changed.
    async fn update_clients(&mut self, moved: bool, now: i64) -> Result<(), DeploymentError> {
        if !moved && !is_due(self.compared_at, COMPARE_SECONDS, now) {
            return Ok(());
        }
        // Until it is done: what fails is done again.
        self.compared_at = None;
        let database = &self.deployments.database;
        for deployment in database.deployments_to_look_after(true).await? {
            database.update_deployment_clients(deployment, now).await?;
        }
        self.compared_at = Some(now);
        Ok(())
    }

    /// Wakes whoever has to do with what changed, here or in another process.
    async fn ring(&mut self, changed: bool) -> Result<(), DeploymentError> {
        let signals = &self.deployments.signals;
        let version = self.deployments.database.assignment_version().await?;
        if self.seen_deployed.replace(version.deployed) != Some(version.deployed) {
            signals.content_changed.notify_one();
        }
        if self.seen_version.replace(version.version) != Some(version.version) || changed {
            signals.deployments_look_different();
        }
        Ok(())
    }
}

/// Makes the clients and the phases of a deployment what they should be by now.
///
/// # Errors
/// When the database fails.
pub async fn look_after(database: &Database, deployment: i64, now: i64) -> Result<(), sqlx::Error> {
    database.update_deployment_clients(deployment, now).await?;
    roll_out(database, deployment, now).await
}

async fn roll_out(database: &Database, deployment: i64, now: i64) -> Result<(), sqlx::Error> {
    database.roll_out(deployment, now, |rollout| phases::steps(rollout, now)).await?;
    database.record_deployment_history(deployment, now).await
}

/// Whether something that was done then is to be done again, also if the clock went back.
fn is_due(done_at: Option<i64>, every_seconds: i64, now: i64) -> bool {
    done_at.is_none_or(|done_at| !(done_at..done_at.saturating_add(every_seconds)).contains(&now))
}
