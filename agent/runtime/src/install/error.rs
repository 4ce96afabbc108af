//! Why a call into an installer has no answer, in words.

use super::content::ContentError;
use crate::failure::{Ending, refusal};
use crate::limits::{LimitExceeded, Limits};
use crate::reader::{Blocked, TimeIsUp};
use crate::text::printable;
use crate::world::types;
use std::fmt;

/// A call into an installer plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallCall {
    /// Making its instances.
    Start,
    /// `select`.
    Select,
    /// `plan`.
    Plan,
    /// `install`.
    Install,
    /// `finish`.
    Finish,
    /// `roll-back`.
    RollBack,
}

impl InstallCall {
    /// An error in a call that only looks at facts: what could change something is not even opened.
    pub(super) fn check_opens(self) -> Result<(), types::Error> {
        match self {
            Self::Start | Self::Select => {
                Err(types::Error::Denied("a selection reads facts: it opens no folder to write, and no program".into()))
            }
            Self::Plan | Self::Install | Self::Finish | Self::RollBack => Ok(()),
        }
    }

    /// An error in a call in which no file is changed: it comes before the maintenance window.
    pub(super) fn check_changes(self) -> Result<(), types::Error> {
        match self {
            Self::Start | Self::Select | Self::Plan => Err(types::Error::Denied("a plan changes nothing".into())),
            Self::Install | Self::Finish | Self::RollBack => Ok(()),
        }
    }
}

impl fmt::Display for InstallCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Select => "select",
            Self::Plan => "plan",
            Self::Install => "install",
            Self::Finish => "finish",
            Self::RollBack => "roll-back",
        })
    }
}

/// Why a call has no answer. The text is short and meant for people.
///
/// After any of these the endpoint may have been changed in part; only a scan can tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The plugin says why it must not or could not be done.
    #[error("{reason}")]
    Refused {
        /// The call.
        call: InstallCall,
        /// The plugin's words.
        reason: String,
    },
    /// The plugin gave up because no grant covers what it wanted.
    #[error("the installer may not do what it needs: {reason}")]
    Denied {
        /// The call.
        call: InstallCall,
        /// What, and the line that would allow it.
        reason: String,
    },
    /// The plugin computed longer than [`Limits::call_milliseconds`](crate::Limits::call_milliseconds) without asking for
    /// anything.
    #[error("{call}: the installer did nothing for more than {milliseconds} ms")]
    TimedOut {
        /// The call.
        call: InstallCall,
        /// What it had.
        milliseconds: u64,
    },
    /// The plugin went on after its time was up, and after what it ran was killed.
    #[error("{call}: it took longer than {seconds} s")]
    OutOfTime {
        /// The call.
        call: InstallCall,
        /// What it had.
        seconds: u64,
    },
    /// The plugin took or passed more than a limit.
    #[error("{call}: the installer failed: {exceeded}")]
    Limit {
        /// The call.
        call: InstallCall,
        /// The limit.
        exceeded: LimitExceeded,
    },
    /// The plugin trapped.
    #[error("{call}: the installer failed: {reason}")]
    Trapped {
        /// The call.
        call: InstallCall,
        /// The trap and the plugin's last words.
        reason: String,
    },
    /// A file of the endpoint did not answer in time.
    #[error("{call}: {Blocked}")]
    Blocked {
        /// The call.
        call: InstallCall,
    },
    /// The answer is not one.
    #[error("{call}: the installer's answer makes no sense: {reason}")]
    Nonsense {
        /// The call.
        call: InstallCall,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the update is not what the policy says it is.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The host itself failed.
    #[error("the host failed: {0}")]
    Host(String),
}

impl InstallError {
    /// Whether the plugin itself is to blame: it trapped, took too long or too much, or answered nonsense. What it says
    /// of its own accord, and what the content, the endpoint or the host fails at, is not its fault.
    #[must_use]
    pub fn is_trap(&self) -> bool {
        match self {
            // Out of time is who goes on after it was told that the time is up: a slow program is no reason.
            Self::TimedOut { .. }
            | Self::OutOfTime { .. }
            | Self::Limit { .. }
            | Self::Trapped { .. }
            | Self::Nonsense { .. } => true,
            Self::Refused { .. } | Self::Denied { .. } | Self::Blocked { .. } | Self::Content(_) | Self::Host(_) => {
                false
            }
        }
    }

    /// The failure behind an error of the engine.
    pub(super) fn of_engine(
        call: InstallCall,
        error: &wasmtime::Error,
        last_words: Option<&str>,
        limits: &Limits,
        seconds: u64,
    ) -> Self {
        if let Some(error) = error.downcast_ref::<ContentError>() {
            return Self::Content(error.clone());
        }
        if error.downcast_ref::<TimeIsUp>().is_some() {
            return Self::OutOfTime { call, seconds };
        }
        match Ending::of_engine(error, last_words, limits) {
            Ending::Interrupted => Self::TimedOut { call, milliseconds: limits.call_milliseconds },
            Ending::Limit(exceeded) => Self::Limit { call, exceeded },
            Ending::Trapped(reason) => Self::Trapped { call, reason },
            Ending::Nonsense(reason) => Self::Nonsense { call, reason },
            Ending::Blocked => Self::Blocked { call },
        }
    }

    /// What the guest itself says.
    pub(super) fn refused(call: InstallCall, error: &types::Error, limits: &Limits) -> Self {
        match error {
            types::Error::Denied(reason) => Self::Denied { call, reason: printable(reason, limits.sentence_bytes) },
            // What an installer says of itself is a sentence, not a kind of error.
            types::Error::Other(reason) => Self::Refused { call, reason: printable(reason, limits.sentence_bytes) },
            error => Self::Refused { call, reason: refusal(error, limits.sentence_bytes) },
        }
    }
}
