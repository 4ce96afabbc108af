//! A job: one update of one deployment on this client, and what is remembered of it.

use super::history::History;
use super::{Event, Impossible, JobKey, next};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::{Enforcement, StateMessage, bounded};

/// The jobs of a client.
pub type Jobs = BTreeMap<JobKey, Job>;

/// One update of one deployment on this client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub(super) key: JobKey,
    pub(super) state: EnforcementState,
    pub(super) history: History,
}

impl Job {
    /// A job that the client hears of now. `retries` is the number that the deployment has in the assignment.
    #[must_use]
    pub fn new(key: JobKey, retries: u16, now: UnixTime) -> Self {
        Self { key, state: EnforcementState::Waiting, history: History::new(retries, now) }
    }

    /// What the site must hear of it.
    #[must_use]
    pub fn message(&self) -> StateMessage {
        let ((deployment, update), history) = (self.key, &self.history);
        StateMessage::Enforcement(Box::new(Enforcement {
            deployment,
            update,
            state: self.state,
            since: history.since,
            installations: history.installations,
            bytes_left: history.budgets.downloads.left,
            until: history.until,
            reason: history.reason.clone(),
        }))
    }

    /// Which deployment and which update.
    #[must_use]
    pub fn key(&self) -> JobKey {
        self.key
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> EnforcementState {
        self.state
    }

    /// When its state began.
    #[must_use]
    pub fn since(&self) -> UnixTime {
        self.history.since
    }

    /// Until when it waits, where it waits for a time.
    #[must_use]
    pub fn until(&self) -> Option<UnixTime> {
        self.history.until
    }

    /// Why it is in its state, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.history.reason
    }

    /// How often the installer was started.
    #[must_use]
    pub fn installations(&self) -> u16 {
        self.history.installations
    }

    /// Bytes still to be downloaded, where that is known.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.history.budgets.downloads.left
    }

    /// When the client first heard of it.
    #[must_use]
    pub fn first_seen(&self) -> UnixTime {
        self.history.first_seen
    }

    /// Whether a user asked for it.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.history.asked
    }

    /// Until when a user put it off.
    #[must_use]
    pub fn deferred_until(&self) -> Option<UnixTime> {
        self.history.deferred_until
    }

    /// Whether the installer that is at work, or was when the agent stopped, rolls back.
    #[must_use]
    pub fn is_rolling_back(&self) -> bool {
        self.history.rolling_back
    }

    /// Goes to the next state, says why, and remembers what the event means.
    pub(super) fn happen(
        &mut self,
        event: Event,
        until: Option<UnixTime>,
        reason: &str,
        now: UnixTime,
    ) -> Result<(), Impossible> {
        let before = self.state;
        self.state = next(before, event)?;
        if self.state != before {
            self.history.since = now;
        }
        (self.history.until, self.history.reason) = (until, bounded(reason));
        self.history.remember(event, before);
        Ok(())
    }
}
