//! The time of one call: how long it may take altogether, and how long the guest may compute without asking the host.

use crate::engine::TICK_MILLISECONDS;
use crate::limits::Limits;
use crate::reader::TimeIsUp;
use crate::world::types::Error;
use std::time::{Duration, Instant};
use wasmtime::UpdateDeadline;

/// The longest time that is measured: nothing takes so long, and any clock can count it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

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
        // Whichever was first: on a busy machine this may be asked when both are long over.
        if now >= self.computing_since + self.computing {
            return Ok(UpdateDeadline::Interrupt);
        }
        if now >= self.last_end() {
            return Err(TimeIsUp.into());
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

/// How one program is ended that does not end by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// When it is asked to end.
    pub(super) ask_at: Instant,
    /// When it is killed.
    pub(super) kill_at: Instant,
}

impl Stop {
    /// For a program that begins now and may take so long; with nothing said, as long as the call.
    ///
    /// It is asked early enough that it is over at the end of the call: at most a quarter of its time goes to ending.
    pub(super) fn of(most: Option<Duration>, time: &Time, limits: &Limits) -> Self {
        let (now, grace) = (Instant::now(), Duration::from_millis(limits.stop_milliseconds));
        let left = time.end().saturating_duration_since(now);
        let last = time.end().checked_sub(grace.min(left / 4)).unwrap_or(now);
        let ask_at = most.map_or(last, |most| last.min(now + most));
        Self { ask_at, kill_at: time.end().min(ask_at + grace).max(ask_at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(total_seconds: u64, most_seconds: Option<u64>) -> [u64; 2] {
        let limits = Limits { stop_milliseconds: 10_000, ..Limits::default() };
        let time = Time::starting_now(Duration::from_secs(total_seconds), &limits);
        let begin = time.end() - Duration::from_secs(total_seconds);
        let stop = Stop::of(most_seconds.map(Duration::from_secs), &time, &limits);
        // The clock has gone on a little since.
        [stop.ask_at, stop.kill_at].map(|at| (at.duration_since(begin) + Duration::from_millis(400)).as_secs())
    }

    #[test]
    fn a_program_is_over_when_the_time_of_the_call_is() {
        for (total, most, expected) in [
            (1_800, None, [1_790, 1_800]),
            (20, None, [15, 20]),
            (0, None, [0, 0]),
            // With a time of its own it has that, and then as long as any to end.
            (1_800, Some(60), [60, 70]),
            (1_800, Some(1_795), [1_790, 1_800]),
            (1_800, Some(4_000_000), [1_790, 1_800]),
            (1_800, Some(0), [0, 10]),
        ] {
            assert_eq!(stop(total, most), expected, "{total} {most:?}");
        }
    }
}
