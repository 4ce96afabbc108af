//! What administrators do with a deployment that exists.

use super::{DeploymentError, DeploymentStatus, Deployments};
use crate::database::{DeploymentHead, StatusChange};
use farrier_protocol::{ClientId, DeploymentId};

/// Bytes of a reason, at most.
const MAX_REASON_BYTES: usize = 300;

impl Deployments {
    /// Pauses a deployment: nothing new is begun, from the clients' next contact on.
    ///
    /// # Errors
    /// When there is none, or it is cancelled.
    pub async fn pause(&self, id: DeploymentId, reason: &str, now: i64) -> Result<(), DeploymentError> {
        let reason = by_administrator(reason)?;
        let event = format!("Paused: {reason}.");
        self.change(id, DeploymentStatus::Paused, &[DeploymentStatus::Active], &reason, &event, now).await
    }

    /// Lets a paused deployment go on. Failures up to now do not stop it again.
    ///
    /// # Errors
    /// When there is none, or it is cancelled.
    pub async fn resume(&self, id: DeploymentId, now: i64) -> Result<(), DeploymentError> {
        let event = "Resumed by the administrator.";
        self.change(id, DeploymentStatus::Active, &[DeploymentStatus::Paused], "", event, now).await
    }

    /// Ends a deployment for good, from the clients' next contact on; installations under way go on to their end.
    ///
    /// # Errors
    /// When there is none.
    pub async fn cancel(&self, id: DeploymentId, reason: &str, now: i64) -> Result<(), DeploymentError> {
        let reason = by_administrator(reason)?;
        let event = format!("Cancelled: {reason}.");
        let from = [DeploymentStatus::Active, DeploymentStatus::Paused];
        self.change(id, DeploymentStatus::Cancelled, &from, &reason, &event, now).await?;
        self.signals.content_changed.notify_one();
        Ok(())
    }

    /// Lets the roll-out go on after the phase at this place (from 0), whatever its thresholds say.
    ///
    /// # Errors
    /// When there is no such phase, it has not opened, or nothing comes after it.
    pub async fn approve(&self, id: DeploymentId, phase: i64, now: i64) -> Result<(), DeploymentError> {
        let head = self.head(id).await?;
        if head.status == DeploymentStatus::Cancelled {
            return Err(DeploymentError::Refused("the deployment is cancelled: nothing of it goes on".to_owned()));
        }
        if phase < 0 || phase + 1 >= head.phases {
            let number = phase.saturating_add(1);
            let message =
                format!("there is no phase after phase {number} of this deployment, which has {}", head.phases);
            return Err(DeploymentError::Refused(message));
        }
        let event = format!("Phase {}: an administrator lets the roll-out go on.", phase + 1);
        if !self.database.approve_phase(head.row, phase, &event, now).await? {
            let message = format!(
                "phase {} is not open, or was let go on already: look at the deployment and choose the phase it is in",
                phase + 1
            );
            return Err(DeploymentError::Refused(message));
        }
        super::role::look_after(&self.database, head.row, now).await?;
        self.changed();
        Ok(())
    }

    /// Has clients try again what failed: these, or all. Returns how many.
    ///
    /// # Errors
    /// When there is no such deployment, or it is cancelled.
    pub async fn retry(
        &self,
        id: DeploymentId,
        clients: Option<&[ClientId]>,
        now: i64,
    ) -> Result<i64, DeploymentError> {
        let head = self.head(id).await?;
        if head.status == DeploymentStatus::Cancelled {
            return Err(DeploymentError::Refused("the deployment is cancelled: make a new one".to_owned()));
        }
        let retried = self.database.retry_deployment(head.row, clients, now).await?;
        self.changed();
        Ok(retried)
    }

    /// Removes a cancelled deployment with everything that clients said of it.
    ///
    /// # Errors
    /// When there is none, or it is not cancelled.
    pub async fn delete(&self, id: DeploymentId, now: i64) -> Result<(), DeploymentError> {
        let head = self.head(id).await?;
        if head.status != DeploymentStatus::Cancelled {
            return Err(DeploymentError::Refused("the deployment is not cancelled: cancel it before".to_owned()));
        }
        self.database.delete_deployment(head.row, now).await?;
        self.changed();
        Ok(())
    }

    async fn change(
        &self,
        id: DeploymentId,
        to: DeploymentStatus,
        from: &[DeploymentStatus],
        reason: &str,
        event: &str,
        now: i64,
    ) -> Result<(), DeploymentError> {
        let head = self.head(id).await?;
        let change = StatusChange { to, from, reason, event };
        if self.database.change_deployment_status(head.row, &change, now).await? {
            tracing::info!(deployment.id = %id, status = to.as_str(), "Deployment changed");
            self.changed();
            return Ok(());
        }
        // Somebody was faster, or it is so already.
        match self.head(id).await?.status {
            status if status == to => Ok(()),
            status => Err(DeploymentError::Refused(format!(
                "the deployment is {}: it cannot be {} now",
                status.as_str(),
                to.as_str()
            ))),
        }
    }

    async fn head(&self, id: DeploymentId) -> Result<DeploymentHead, DeploymentError> {
        self.database.deployment_head(id).await?.ok_or_else(|| DeploymentError::unknown_deployment(id))
    }
}

fn by_administrator(reason: &str) -> Result<String, DeploymentError> {
    let reason = reason.trim().trim_end_matches('.');
    if reason.len() > MAX_REASON_BYTES || reason.contains('\0') {
        return Err(DeploymentError::invalid("reason", format!("write at most {MAX_REASON_BYTES} bytes")));
    }
    Ok(if reason.is_empty() { "by the administrator".to_owned() } else { reason.to_owned() })
}
