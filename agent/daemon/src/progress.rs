//! What a person who waits at a terminal sees: one line on standard error that is gone when the wait is over.

use std::cell::Cell;
use std::fmt::Arguments;
use std::io::{IsTerminal as _, Write as _, stderr};

/// The line. Where nobody watches, nothing is written.
#[derive(Debug)]
pub(crate) struct Progress {
    watched: bool,
    shown: Cell<bool>,
}

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

impl Progress {
    /// Shows progress if standard error is a terminal.
    pub(crate) fn on_terminal() -> Self {
        Self { watched: stderr().is_terminal(), shown: Cell::new(false) }
    }

    /// Shows nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { watched: false, shown: Cell::new(false) }
    }

    /// Replaces the line.
    pub(crate) fn show(&self, what: Arguments<'_>) {
        if self.watched {
            self.shown.set(true);
            // A terminal that went away takes its progress with it.
            let _ = write!(stderr(), "{CLEAR}{what} ...");
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.shown.replace(false) {
            let _ = write!(stderr(), "{CLEAR}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
