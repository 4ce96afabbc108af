//! How deployed updates get installed: what is to be done about a *job*, and what that makes of it.
//!
//! A [`Job`] is one update of one deployment on this client. The spool keeps it, so that a power cut at any moment
//! leaves something to go on from. One turn of the agent's engine is:
//!
//! 1. [`reconcile`] the jobs with the assignment: new ones begin, vanished ones end.
//! 2. [`decide`] what is to be done about each. A [`Decision::Note`] only changes the job; everything else is work.
//! 3. Do the work, and tell the job how it went ([`Job::installation_ended`] and its like). What must be durable
//!    *before* the work begins has a method of its own ([`Job::installation_begun`]).
//!
//! Every change of state goes through [`next`], the table of all of them. Success is what a scan proves: whatever an
//! installer says, its job goes on to `Verifying`. This module never reads a clock, never waits and never formats a
//! time: texts go with [`Job::until`].

mod budget;
mod decide;
mod history;
mod job;
mod outcome;
mod reconcile;
mod restart;
mod stored;
mod terms;
mod transition;
mod user;
mod windows;

pub use budget::{MAX_BROKEN_DOWNLOADS, MAX_DOWNLOADED_TIMES, MAX_INTERRUPTIONS, MAX_ROLL_BACKS};
pub use decide::{Decision, Note, Situation, decide};
pub use history::{BootId, MAX_FINISHES};
pub use job::{Job, Jobs};
pub use outcome::Outcome;
pub use reconcile::{Deployed, reconcile};
pub use stored::{Damage, DamagedJob};
pub use terms::{NoSuchPhase, Terms};
pub use transition::{Event, Impossible, next};
pub use user::Refusal;
pub use windows::{Calendar, Opening};

use farrier_protocol::{DeploymentId, UpdateId};

/// What a job is about; also its key in the spool.
pub type JobKey = (DeploymentId, UpdateId);
