//! Jobs as the spool keeps them: a version, the state, and the rest. Whatever cannot be understood is an error that
//! names the job, never a default.

use super::history::Finish;
use super::{Job, JobKey};
use alloc::vec::Vec;
use core::fmt;
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::bounded;

/// The form in which jobs are stored.
const VERSION: u8 = 2;
/// The form of agents whose installers had nothing to finish: the same without the last field.
const VERSION_WITHOUT_FINISH: u8 = 1;

/// A stored job that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedJob {
    /// Which job.
    pub key: JobKey,
    /// What is wrong with it.
    pub damage: Damage,
}

/// What is wrong with a stored job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is of another version of the agent.
    Version(u8),
    /// It has a state that this agent does not know.
    State(u8),
    /// It is cut off, or something else.
    Content,
}

impl fmt::Display for DamagedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (deployment, update) = self.key;
        write!(f, "the journal's entry on update {update} of deployment {deployment} cannot be understood: ")?;
        match self.damage {
            Damage::Version(version) => write!(f, "it has the form {version} of another version of the agent"),
            Damage::State(state) => write!(f, "its state has the unknown number {state}"),
            Damage::Content => f.write_str("its content is damaged"),
        }
    }
}

impl core::error::Error for DamagedJob {}

/// A history of the first form as one of the second: nothing is owed.
fn with_finish(history: &[u8]) -> Vec<u8> {
    // Cannot fail: memory takes what is appended. Without it, the history would read as damaged.
    postcard::to_extend(&Finish::default(), history.to_vec()).unwrap_or_default()
}

impl Job {
    /// The job as the spool keeps it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Cannot fail: memory takes what is appended. What is too short would read as damaged, not as a state.
        postcard::to_extend(&self.history, [VERSION, self.state as u8].to_vec()).unwrap_or_default()
    }

    /// The job that the spool kept under `key`.
    ///
    /// # Errors
    /// When it cannot be understood; nothing is guessed.
    pub fn decode(key: JobKey, bytes: &[u8]) -> Result<Self, DamagedJob> {
        let damaged = |damage| DamagedJob { key, damage };
        let (state, history) = match *bytes {
            [VERSION, state, ref history @ ..] => (state, history.to_vec()),
            [VERSION_WITHOUT_FINISH, state, ref history @ ..] => (state, with_finish(history)),
            [version, ..] => return Err(damaged(Damage::Version(version))),
            [] => return Err(damaged(Damage::Content)),
        };
        let state = EnforcementState::try_from(i64::from(state)).map_err(|_| damaged(Damage::State(state)))?;
        let history = farrier_protocol::decode(&history).map_err(|_| damaged(Damage::Content))?;
        Ok(Self { key, state, history })
    }

    /// What takes the place of a job that cannot be understood: it failed, and nothing is done until somebody wants it
    /// tried again. `retries` is the number that the deployment has in the assignment.
    #[must_use]
    pub fn lost(damaged: &DamagedJob, retries: u16, now: UnixTime) -> Self {
        let mut job = Self::new(damaged.key, retries, now);
        job.state = EnforcementState::Failed;
        job.history.reason = bounded("the agent's journal of it is damaged: ask for it to be tried again");
        job
    }
}
