//! What users of the endpoint may want of a job.

use super::{Event, Job, Terms};
use crate::schedule::Timer;
use alloc::string::String;
use core::fmt;
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;

/// How long a user who asks is taken to be there. What is installed later (a long download, a pause of the deployment)
/// waits for a window as everything else does.
const ATTENDED_SECONDS: u32 = 12 * 3600;

/// Why a job does not do what a user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is begun at this time.
    Held {
        /// Until when, where that is known.
        until: Option<UnixTime>,
        /// Why, in words.
        reason: String,
    },
    /// It is being installed, or was and is to be proved.
    AtWork(EnforcementState),
    /// It is installed, or not required.
    Done,
    /// It is not deployed any more.
    NotDeployed,
    /// Only what installs by itself can be deferred.
    Optional,
    /// It is due.
    Due {
        /// Since when.
        since: UnixTime,
    },
    /// It would be deferred beyond the time when it is due.
    TooLong {
        /// Until when it can be deferred.
        latest: UnixTime,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { reason, .. } => write!(f, "nothing is begun at this time: {reason}"),
            Self::AtWork(state) => write!(f, "its installation has begun already: it is {state}"),
            Self::Done => f.write_str("there is nothing to install: it is installed, or not required"),
            Self::NotDeployed => f.write_str("it is not deployed any more"),
            Self::Optional => f.write_str("only required updates can be deferred: this one waits until somebody asks"),
            Self::Due { .. } => f.write_str("it is due, and cannot be deferred any more"),
            Self::TooLong { .. } => f.write_str("it cannot be deferred beyond the time when it is due"),
        }
    }
}

impl core::error::Error for Refusal {}

impl Job {
    /// A user asks for it to be installed now. What failed is tried again from the beginning.
    ///
    /// # Errors
    /// When it is not installed now.
    pub fn ask(&mut self, terms: &Terms, now: UnixTime) -> Result<(), Refusal> {
        let failed = matches!(self.state, EnforcementState::Failed | EnforcementState::RolledBack);
        if !failed {
            self.check_readying()?;
        }
        check_hold(terms, now)?;
        if failed {
            self.happen(Event::Retried, None, "a user wants it tried again", now).map_err(|_| Refusal::NotDeployed)?;
        }
        let history = &mut self.history;
        (history.asked, history.deferred_until, history.pause) = (true, None, None);
        history.attended = Some(Timer::start(now, ATTENDED_SECONDS));
        Ok(())
    }

    /// A user puts it off for this long; if it had been asked for, that waits, too. Returns until when.
    ///
    /// # Errors
    /// When it cannot be deferred, or not for so long.
    pub fn defer(&mut self, terms: &Terms, seconds: u32, now: UnixTime) -> Result<UnixTime, Refusal> {
        self.check_readying()?;
        check_hold(terms, now)?;
        let due = terms.due_at(self, now).ok_or(Refusal::Optional)?;
        let until = now.saturating_add(seconds.into());
        if due <= now {
            return Err(Refusal::Due { since: due });
        }
        if due < until {
            return Err(Refusal::TooLong { latest: due });
        }
        self.history.deferred_until = Some(until);
        Ok(until)
    }

    /// Whether nothing was changed yet and it may still be installed.
    pub(super) fn is_readying(&self) -> bool {
        self.check_readying().is_ok()
    }

    fn check_readying(&self) -> Result<(), Refusal> {
        match self.state {
            EnforcementState::Waiting
            | EnforcementState::WaitingForContent
            | EnforcementState::Downloading
            | EnforcementState::Downloaded
            | EnforcementState::WaitingForWindow => Ok(()),
            EnforcementState::Installing | EnforcementState::PendingRestart | EnforcementState::Verifying => {
                Err(Refusal::AtWork(self.state))
            }
            EnforcementState::Succeeded => Err(Refusal::Done),
            EnforcementState::Failed
            | EnforcementState::RolledBack
            | EnforcementState::Superseded
            | EnforcementState::Cancelled => Err(Refusal::NotDeployed),
        }
    }
}

fn check_hold(terms: &Terms, now: UnixTime) -> Result<(), Refusal> {
    terms.hold(now).map_or(Ok(()), |(until, reason)| Err(Refusal::Held { until, reason }))
}
