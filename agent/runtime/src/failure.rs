//! Failures of a guest, in words.

use crate::limits::{LimitExceeded, Limits};
use crate::reader::{Blocked, TimeIsUp};
use crate::text::printable;
use crate::world::types;
use std::fmt;
use std::str::Utf8Error;
use wasmtime::Trap;

/// Bytes of the reason inside a [`ScanError`], at most.
const MAX_REASON_BYTES: usize = 160;

/// A call into a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Making its instances.
    Start,
    /// `scopes`.
    Scopes,
    /// `scan.open`.
    Open,
    /// `scan.evaluate`.
    Evaluate,
    /// `scan.explain`.
    Explain,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Scopes => "scopes",
            Self::Open => "open",
            Self::Evaluate => "evaluate",
            Self::Explain => "explain",
        })
    }
}

/// Why a question has no answer. The text is short and meant for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The guest said so itself; it is still there.
    #[error("{call}: the plugin says: {reason}")]
    Refused {
        /// The call.
        call: Call,
        /// The guest's words.
        reason: String,
    },
    /// The guest ran longer than [`Limits::call_milliseconds`].
    #[error("{call}: it ran longer than {milliseconds} ms")]
    TimedOut {
        /// The call.
        call: Call,
        /// What it had.
        milliseconds: u64,
    },
    /// The guest took or passed more than a limit.
    #[error("{call}: {exceeded}")]
    Limit {
        /// The call.
        call: Call,
        /// The limit.
        exceeded: LimitExceeded,
    },
    /// The guest trapped.
    #[error("{call}: {reason}")]
    Trapped {
        /// The call.
        call: Call,
        /// The trap and the guest's last words.
        reason: String,
    },
    /// A file of the endpoint did not answer in time.
    #[error("{call}: {Blocked}")]
    Blocked {
        /// The call.
        call: Call,
    },
    /// The answer is not one.
    #[error("{call}: {reason}")]
    Nonsense {
        /// The call.
        call: Call,
        /// What is wrong with it.
        reason: String,
    },
    /// The scan as a whole ran longer than [`Limits::scan_milliseconds`].
    #[error("the scan took longer than {milliseconds} ms")]
    OutOfTime {
        /// The limit.
        milliseconds: u64,
    },
    /// The guest failed more than [`Limits::restarts`] times.
    #[error("given up after {failures} failures; the last: {last}")]
    GivenUp {
        /// How often it failed.
        failures: u32,
        /// The last failure.
        last: Box<ScanError>,
    },
    /// The host itself failed.
    #[error("the host failed: {0}")]
    Host(String),
}

impl ScanError {
    /// The failure behind an error of the engine.
    pub(crate) fn of_engine(
        call: Call,
        error: &wasmtime::Error,
        last_words: Option<&str>,
        limits: &Limits,
        milliseconds: u64,
    ) -> Self {
        match Ending::of_engine(error, last_words, limits) {
            Ending::Interrupted => Self::TimedOut { call, milliseconds },
            Ending::Limit(exceeded) => Self::Limit { call, exceeded },
            Ending::Trapped(reason) => Self::Trapped { call, reason },
            Ending::Nonsense(reason) => Self::Nonsense { call, reason },
            Ending::Blocked => Self::Blocked { call },
        }
    }

    /// Whether the plugin itself is to blame: it trapped, took too long or too much, or answered nonsense. What it says
    /// of its own accord, and what the endpoint or the host fails at, is not its fault.
    #[must_use]
    pub fn is_trap(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Limit { .. }
            | Self::Trapped { .. }
            | Self::Nonsense { .. }
            | Self::OutOfTime { .. } => true,
            Self::GivenUp { last, .. } => last.is_trap(),
            Self::Refused { .. } | Self::Blocked { .. } | Self::Host(_) => false,
        }
    }

    /// What the guest itself says.
    pub(crate) fn refused(call: Call, error: &types::Error) -> Self {
        Self::Refused { call, reason: refusal(error, MAX_REASON_BYTES) }
    }
}

/// What the guest itself says, in at most so many bytes.
pub(crate) fn refusal(error: &types::Error, max_bytes: usize) -> String {
    let (kind, text) = match error {
        types::Error::NotFound(text) => ("not found", text),
        types::Error::Denied(text) => ("denied", text),
        types::Error::TooLarge(text) => ("too large", text),
        types::Error::Invalid(text) => ("invalid", text),
        types::Error::Other(text) => ("failed", text),
    };
    printable(&format!("{kind}: {text}"), max_bytes)
}

/// How a guest ended that did not answer.
pub(crate) enum Ending {
    /// It was interrupted because its time was up.
    Interrupted,
    /// It took or passed more than a limit.
    Limit(LimitExceeded),
    /// It trapped; the trap and the guest's last words.
    Trapped(String),
    /// What it passed is nothing that can be understood.
    Nonsense(String),
    /// A file of the endpoint did not answer in time.
    Blocked,
}

impl Ending {
    /// What is behind an error of the engine.
    pub(crate) fn of_engine(error: &wasmtime::Error, last_words: Option<&str>, limits: &Limits) -> Self {
        if let Some(exceeded) = error.downcast_ref::<LimitExceeded>() {
            return Self::Limit(exceeded.clone());
        }
        if error.downcast_ref::<TimeIsUp>().is_some() {
            return Self::Interrupted;
        }
        if error.downcast_ref::<Blocked>().is_some() {
            return Self::Blocked;
        }
        let limit = |limit: usize, unit| Self::Limit(LimitExceeded { limit: limit as u64, unit });
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Interrupted,
            Some(Trap::StackOverflow) => limit(limits.wasm_stack_bytes, "bytes of stack"),
            Some(trap) => Self::Trapped(trapped(*trap, last_words)),
            None if error.downcast_ref::<Utf8Error>().is_some() => {
                Self::Nonsense("it passed text that is not UTF-8".to_owned())
            }
            None => {
                let text = error.root_cause().to_string();
                match engine_limits(limits).into_iter().find(|(words, ..)| text.contains(words)) {
                    Some((_, most, unit)) => limit(most, unit),
                    None => Self::Trapped(printable(&text, MAX_REASON_BYTES)),
                }
            }
        }
    }
}

/// The limits the engine enforces itself, and how it says that they are exceeded: it keeps the types of these errors to
/// itself. Should it find other words, the error is told in those.
fn engine_limits(limits: &Limits) -> [(&'static str, usize, &'static str); 5] {
    [
        ("fuel allocated for hostcalls", limits.passed_bytes, "bytes passed to the host at once"),
        ("store handle limit exceeded", limits.handles, "handles"),
        ("instance count too high", limits.instances, "instances"),
        ("memory count too high", limits.memories, "memories"),
        ("table count too high", limits.tables, "tables"),
    ]
}

// A Rust guest that panics ends in `unreachable`; what it said before is the better reason.
fn trapped(trap: Trap, last_words: Option<&str>) -> String {
    match (trap, last_words) {
        // The SDK writes the panic as Rust does: `panicked at src/lib.rs:1:2: message`.
        (Trap::UnreachableCodeReached, Some(words)) if words.starts_with("panicked at") => format!("it {words}"),
        (Trap::UnreachableCodeReached, None) => "it trapped: unreachable code reached".to_owned(),
        (trap, Some(words)) => format!("it trapped: {}; its last words: {words}", trap_name(trap)),
        (trap, None) => format!("it trapped: {}", trap_name(trap)),
    }
}

fn trap_name(trap: Trap) -> String {
    trap.to_string().trim_start_matches("wasm trap: ").to_owned()
}
