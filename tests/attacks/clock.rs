//! Wrong clocks, made with libfaketime: what the program under test is told by every system call that tells the time.

use std::process::Command;

/// Seconds.
pub(crate) const DAY: i64 = 86_400;
/// Seconds, of the usual length.
pub(crate) const YEAR: i64 = 365 * DAY;

/// A clock that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Clock(String);

impl Clock {
    /// It is ahead by this many seconds, or behind.
    pub(crate) fn ahead(seconds: i64) -> Self {
        Self(format!("{seconds:+}"))
    }

    /// It lost its battery.
    pub(crate) fn of_1970() -> Self {
        Self("@1970-01-01 00:00:10".to_owned())
    }

    /// It is right at first, and then goes sixty times as fast: a minute takes a second.
    pub(crate) fn fast() -> Self {
        Self("+0 x60".to_owned())
    }

    /// The same command, with this clock.
    pub(crate) fn shown_to(&self, command: &Command) -> Command {
        let mut shown = Command::new("faketime");
        shown.args(["-f", &self.0]).arg(command.get_program()).args(command.get_args());
        shown
    }
}
