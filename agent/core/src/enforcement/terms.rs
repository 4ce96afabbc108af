//! What a deployment asks of this client, with every moment as an instant.

use super::Job;
use alloc::format;
use alloc::string::String;
use core::fmt;
use farrier_protocol::assignment::{AssignedDeployment, Standing};
use farrier_protocol::deployment::{
    DeployedUpdate, DeploymentPolicy, Moment, Purpose, RestartBehaviour, delay_seconds,
};
use farrier_protocol::{ClientId, UnixTime};

/// What a deployment asks of this client, for one of its updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Optional or not.
    pub purpose: Purpose,
    /// How the client's phase stands.
    pub standing: Standing,
    /// The number of the client's phase for people: 1 is the first.
    pub phase: u8,
    /// How many phases there are.
    pub phases: u8,
    /// Before this nothing is done, whatever else is said.
    pub available_at: UnixTime,
    /// When a required update is due for everybody.
    pub deadline: Option<UnixTime>,
    /// How long after its deadline this client begins.
    pub delay_seconds: u32,
    /// How long a client has that learned of it when it was due already.
    pub grace_seconds: u32,
    /// Whether content is fetched before the update is due.
    pub download_ahead: bool,
    /// What happens when an installation needs a restart.
    pub restart: RestartBehaviour,
    /// Whether it is installed outside maintenance windows and in business hours.
    pub install_any_time: bool,
    /// Whether the machine is restarted outside maintenance windows and in business hours.
    pub restart_any_time: bool,
    /// Whether a failed installation is rolled back.
    pub roll_back: bool,
    /// How often an installation is tried; 0 is as 1.
    pub attempts: u8,
    /// How long the installation may take, at most.
    pub max_run_seconds: u32,
}

/// An assignment and a policy that do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchPhase {
    /// The phase that the assignment names, counted from 0.
    pub phase: u8,
    /// How many the policy has.
    pub phases: usize,
}

impl fmt::Display for NoSuchPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, phases) = (u16::from(self.phase) + 1, self.phases);
        write!(f, "the assignment puts this client into phase {number} of a deployment that has {phases}")
    }
}

impl core::error::Error for NoSuchPhase {}

impl Terms {
    /// What `policy` asks of `client`, as `assigned`. `instant` says when a moment is here. The time that an
    /// installation may take is an update's, see [`of_update`](Self::of_update).
    ///
    /// # Errors
    /// When the policy does not have the client's phase.
    pub fn new(
        policy: &DeploymentPolicy,
        assigned: &AssignedDeployment,
        client: ClientId,
        instant: impl Fn(Moment) -> UnixTime,
    ) -> Result<Self, NoSuchPhase> {
        let missing = NoSuchPhase { phase: assigned.phase, phases: policy.phases.len() };
        let phase = policy.phases.get(usize::from(assigned.phase)).ok_or(missing)?;
        let opening = match assigned.standing {
            Standing::Open { since } => Some(since),
            Standing::Planned { expected_at } => expected_at,
            Standing::Paused | Standing::Cancelled => None,
        };
        let after = |seconds: u32| opening.map(|opening| opening.saturating_add(seconds.into()));
        Ok(Self {
            purpose: policy.purpose,
            standing: assigned.standing,
            phase: assigned.phase.saturating_add(1),
            phases: u8::try_from(policy.phases.len()).unwrap_or(u8::MAX),
            available_at: instant(policy.available_at),
            deadline: phase.deadline_after_seconds.and_then(after).or(policy.deadline.map(instant)),
            delay_seconds: delay_seconds(policy.deployment, client, policy.random_delay_seconds),
            grace_seconds: policy.grace_seconds,
            download_ahead: policy.download_ahead,
            restart: policy.restart,
            install_any_time: policy.install_any_time,
            restart_any_time: policy.restart_any_time,
            roll_back: policy.roll_back,
            attempts: policy.attempts,
            max_run_seconds: 0,
        })
    }

    /// The same for one of the deployment's updates.
    #[must_use]
    pub fn of_update(self, update: &DeployedUpdate) -> Self {
        Self { max_run_seconds: update.max_run_seconds, ..self }
    }

    /// When a required update installs by itself here. Without a deadline that is as soon as it is available.
    ///
    /// A client that first heard of it when it was due already has its period of grace; what is due from the moment it
    /// is available is meant at once, and gives nobody grace. A first time that is yet to come is of a clock that has
    /// been set back since: it gives none either, for it might give it for years.
    #[must_use]
    pub fn due_at(&self, job: &Job, now: UnixTime) -> Option<UnixTime> {
        match self.purpose {
            Purpose::Available => None,
            Purpose::Required => {
                let begins_at = match self.standing {
                    Standing::Open { since } => self.available_at.max(since),
                    Standing::Planned { .. } | Standing::Paused | Standing::Cancelled => self.available_at,
                };
                let deadline = self.deadline.unwrap_or(self.available_at).max(self.available_at);
                let due = deadline.saturating_add(self.delay_seconds.into());
                let seen = job.first_seen();
                let was_late = due < seen && seen <= now && begins_at < deadline;
                Some(if was_late { seen.saturating_add(self.grace_seconds.into()) } else { due })
            }
        }
    }

    /// Why nothing at all is begun at this time, and until when, where that is known.
    #[must_use]
    pub fn hold(&self, now: UnixTime) -> Option<(Option<UnixTime>, String)> {
        match self.standing {
            Standing::Planned { expected_at } => {
                let expected_at = expected_at.filter(|expected| now < *expected);
                Some((expected_at, format!("in phase {} of {}, which has not opened yet", self.phase, self.phases)))
            }
            Standing::Paused => Some((None, "paused by the administrator".into())),
            Standing::Cancelled => Some((None, "cancelled by the administrator".into())),
            Standing::Open { .. } if now < self.available_at => {
                Some((Some(self.available_at), "not available yet".into()))
            }
            Standing::Open { .. } => None,
        }
    }
}
