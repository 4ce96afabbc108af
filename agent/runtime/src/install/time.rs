//! The time of one call: how long it may take altogether, and how long the guest may compute without asking the host.

use crate::engine::TICK_MILLISECONDS;
use crate::limits::Limits;
use crate::world::types::Error;
use std::time::{Duration, Instant};
use wasmtime::UpdateDeadline;

/// The longest time that is measured: nothing takes so long, and any clock can count it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The guest went on after the end of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it went on after its time was up")]
pub(crate) struct TimeIsUp;

/// The time of one call.
///
/// At [`Time::end`] programs are killed and waiting ends; the guest is told so, and has as long as it may compute at once to
/// tidy up and to say what happened. Then it is interrupted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    end: Instant,
    total: Duration,
    computing: Duration,
    computing_since: Instant,
}

impl Time {
    /// So long, from now on.
    pub(crate) fn starting_now(total: Duration, limits: &Limits) -> Self {
        let now = Instant::now();
        let total = total.min(LONGEST);
        let computing = Duration::from_millis(limits.call_milliseconds).min(LONGEST);
        Self { end: now + total, total, computing, computing_since: now }
    }

    /// When programs are killed and waiting ends.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Until when the host does what the guest asks for, where that is no program.
    pub(crate) fn last_end(&self) -> Instant {
        self.end + self.computing
    }

    /// An error once the time is up.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if Instant::now() < self.end {
            return Ok(());
        }
        Err(Error::Other(format!("the time of the installation is up ({} s)", self.total.as_secs())))
    }

    /// The guest asked the host for something, and begins to compute again.
    pub(crate) fn returned(&mut self) {
        self.computing_since = Instant::now();
    }

    /// Whether the guest may go on computing: asked by the engine when its ticks are used up.
    pub(crate) fn go_on(&self) -> wasmtime::Result<UpdateDeadline> {
        let now = Instant::now();
        if now >= self.last_end() {
            return Err(TimeIsUp.into());
        }
        if now >= self.computing_since + self.computing {
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::Continue(self.ticks_left()))
    }

    /// Ticks until it has to be asked again.
    pub(crate) fn ticks_left(&self) -> u64 {
        let until = self.last_end().min(self.computing_since + self.computing);
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        u64::try_from(left).unwrap_or(u64::MAX / 2).div_ceil(TICK_MILLISECONDS) + 1
    }
}
