//! The state machine: which event leads from which state to which.
//!
//! What each state means is said at [`EnforcementState`]. Nothing else in Farrier changes a job's state.

use EnforcementState::{
    Cancelled, Downloaded, Downloading, Failed, Installing, PendingRestart, RolledBack, Succeeded, Superseded,
    Verifying, Waiting, WaitingForContent, WaitingForWindow,
};
use core::fmt;
use farrier_protocol::enforcement::EnforcementState;

/// Something that happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its time has not come, or has gone again: the phase, a pause, the deadline, a user who has to ask.
    Held,
    /// Its content is about to be fetched.
    DownloadBegun,
    /// Its content cannot be had at the moment, or is gone.
    ContentMissing,
    /// All of its content is here.
    ContentReady,
    /// It is ready, and nothing may be installed at this time.
    WindowClosed,
    /// The installer refuses to begin: nothing was changed.
    Refused,
    /// The installer is about to begin.
    InstallBegun,
    /// The installer ended, well or not.
    InstallEnded,
    /// The agent or the machine stopped while the installer was at work.
    Interrupted,
    /// A scan found that it is installed or not required.
    Proven,
    /// A scan could not find that it is installed, after an installation.
    Disproved,
    /// It takes effect when the machine has restarted. What an installer that was cut off did all the same is found out at any
    /// time before the next one begins.
    RestartNeeded,
    /// The machine has restarted.
    Restarted,
    /// The installer is about to bring back what was there before.
    RollBackBegun,
    /// The installer says that what was there before is there again.
    RolledBack,
    /// It is not tried again by itself.
    GaveUp,
    /// An administrator, or a user, wants it tried again.
    Retried,
    /// It is not deployed any more: something newer is.
    Superseded,
    /// The deployment was cancelled, or does not concern this client any more.
    Cancelled,
    /// It is deployed again.
    Redeployed,
}

/// The states before the installer is at work: nothing on the endpoint is changed yet.
const READYING: &[EnforcementState] = &[Waiting, WaitingForContent, Downloading, Downloaded, WaitingForWindow];
/// The states in which everything is there to install.
const READY: &[EnforcementState] = &[Downloaded, WaitingForWindow];
/// The states that end as soon as a scan finds that nothing is left to do.
const PROVABLE: &[EnforcementState] =
    &[Waiting, WaitingForContent, Downloading, Downloaded, WaitingForWindow, Verifying, Failed, RolledBack];
/// The states in which trying can end: the readying ones, and a roll-back that fails.
const FALLIBLE: &[EnforcementState] =
    &[Waiting, WaitingForContent, Downloading, Downloaded, WaitingForWindow, Installing];
/// The states that end when the update is not deployed any more. An installer at work is left to its end.
const OPEN: &[EnforcementState] =
    &[Waiting, WaitingForContent, Downloading, Downloaded, WaitingForWindow, PendingRestart, Verifying];

impl Event {
    /// The states in which it can happen, and the one that it leads to.
    #[rustfmt::skip]
    const fn leads(self) -> (&'static [EnforcementState], EnforcementState) {
        match self {
            Self::Held           => (READYING, Waiting),
            Self::DownloadBegun  => (READYING, Downloading),
            Self::ContentMissing => (READYING, WaitingForContent),
            Self::ContentReady   => (READYING, Downloaded),
            Self::WindowClosed   => (READY, WaitingForWindow),
            Self::Refused        => (READYING, Waiting),
            Self::InstallBegun   => (READY, Installing),
            Self::InstallEnded   => (&[Installing], Verifying),
            Self::Interrupted    => (&[Installing], Verifying),
            Self::Proven         => (PROVABLE, Succeeded),
            Self::Disproved      => (&[Verifying, Succeeded], Waiting),
            Self::RestartNeeded  => (OPEN, PendingRestart),
            Self::Restarted      => (&[PendingRestart], Verifying),
            Self::RollBackBegun  => (READYING, Installing),
            Self::RolledBack     => (&[Installing], RolledBack),
            Self::GaveUp         => (FALLIBLE, Failed),
            Self::Retried        => (&[Failed, RolledBack], Waiting),
            Self::Superseded     => (OPEN, Superseded),
            Self::Cancelled      => (OPEN, Cancelled),
            Self::Redeployed     => (&[Superseded, Cancelled], Waiting),
        }
    }
}

/// The state after `event` in `state`.
///
/// # Errors
/// When the event cannot happen in that state.
pub fn next(state: EnforcementState, event: Event) -> Result<EnforcementState, Impossible> {
    let (from, to) = event.leads();
    if from.contains(&state) { Ok(to) } else { Err(Impossible { state, event }) }
}

/// An event that cannot happen in the state at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impossible {
    /// The state.
    pub state: EnforcementState,
    /// The event.
    pub event: Event,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot happen to a job that is {}", self.event, self.state)
    }
}

impl core::error::Error for Impossible {}
