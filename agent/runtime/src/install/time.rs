//! The time of one call: how long it may take altogether, and how long the guest may compute without asking the host.

use crate::engine::TICKS_AT_ONCE;
use crate::limits::Limits;
use crate::reader::TimeIsUp;
use crate::world::types::Error;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};
use wasmtime::UpdateDeadline;

/// What a guest has to tidy up and to say what happened, once its time is up.
const GRACE: Duration = Duration::from_secs(1);

/// The longest time that is measured: nothing takes so long, and any clock can count it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The time of one call.
///
/// At [`Time::end`] programs are killed and waiting ends; the guest is told so, and has a moment to tidy up and to say what
/// happened. At [`Time::last_end`] it is interrupted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    end: Instant,
    last_end: Instant,
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
        let end = now + total;
        Self { end, last_end: end + computing.min(GRACE), total, computing, computing_since: now }
    }

    /// The same for a guest that leaves nothing to tidy up.
    pub(crate) fn without_grace(self) -> Self {
        Self { last_end: self.end, ..self }
    }

    /// When programs are killed and waiting ends.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// When the guest is interrupted, and until when the host does what it asks for, where that is no program.
    pub(crate) fn last_end(&self) -> Instant {
        self.last_end
    }

    /// What there was of it in the beginning.
    pub(crate) fn total_seconds(&self) -> u64 {
        self.total.as_secs()
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
        let computed = self.computing_since + self.computing;
        if Instant::now() < self.last_end.min(computed) {
            return Ok(UpdateDeadline::Continue(TICKS_AT_ONCE));
        }
        // Whichever was first: on a busy machine this may be asked when both are long over.
        if computed <= self.last_end { Ok(UpdateDeadline::Interrupt) } else { Err(TimeIsUp.into()) }
    }
}

/// An error once the time is up, except before the first piece: what is small is done all the same.
pub(super) fn in_time(is_first: bool, until: Instant) -> io::Result<()> {
    if is_first || Instant::now() < until {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::TimedOut, "the time of the installation is up"))
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
    /// It is asked early enough that it is over when its time is: at most a quarter of that goes to ending.
    pub(super) fn of(most: Option<Duration>, time: &Time, limits: &Limits) -> Self {
        let (now, grace) = (Instant::now(), Duration::from_millis(limits.stop_milliseconds));
        let left = time.end().saturating_duration_since(now);
        let most = most.map_or(left, |most| left.min(most));
        Self { ask_at: now + (most - grace.min(most / 4)), kill_at: now + most }
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
    fn a_guest_has_a_moment_to_say_what_happened_and_no_more_than_it_may_compute() {
        let grace = |call_milliseconds, adjust: fn(Time) -> Time| {
            let limits = Limits { call_milliseconds, ..Limits::default() };
            let time = adjust(Time::starting_now(Duration::from_secs(600), &limits));
            time.last_end() - time.end()
        };
        assert_eq!(grace(10_000, |time| time), GRACE);
        assert_eq!(grace(300, |time| time), Duration::from_millis(300));
        assert_eq!(grace(10_000, Time::without_grace), Duration::ZERO);
    }

    #[test]
    fn a_guest_is_ended_by_whichever_time_was_up_first() {
        let time = |seconds, call_milliseconds| {
            let limits = Limits { call_milliseconds, ..Limits::default() };
            Time::starting_now(Duration::from_secs(seconds), &limits).without_grace()
        };
        assert!(matches!(time(600, 10_000).go_on(), Ok(UpdateDeadline::Continue(_))));
        assert!(matches!(time(600, 0).go_on(), Ok(UpdateDeadline::Interrupt)));
        assert!(time(0, 10_000).go_on().is_err_and(|error| error.is::<TimeIsUp>()));
    }

    #[test]
    fn a_program_is_over_when_its_time_is() {
        for (total, most, expected) in [
            (1_800, None, [1_790, 1_800]),
            (20, None, [15, 20]),
            (0, None, [0, 0]),
            // With a time of its own it is over when that is.
            (1_800, Some(60), [50, 60]),
            (1_800, Some(20), [15, 20]),
            (1_800, Some(1_795), [1_785, 1_795]),
            (1_800, Some(4_000_000), [1_790, 1_800]),
            (1_800, Some(0), [0, 0]),
        ] {
            assert_eq!(stop(total, most), expected, "{total} {most:?}");
        }
    }
}
