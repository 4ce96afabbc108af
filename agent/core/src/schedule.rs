//! When to poll and when to scan.
//!
//! Clocks jump, forward and back. So a [`Timer`] measures one period from the time it was started: whatever the clock
//! does, it never waits longer than its period, and a clock that went back makes it due instead of silent.

use farrier_protocol::UnixTime;
use serde::{Deserialize, Serialize};

/// The shortest period, whatever the site or the configuration says.
pub const MIN_PERIOD_SECONDS: u32 = 1;
/// What a first failed poll waits, at most; every further one waits twice as long, up to the poll period.
pub const FIRST_RETRY_SECONDS: u32 = 15;
/// What a scan waits, at most, after a first one in which a plugin failed through its own fault; after a second one, twice
/// as long.
pub const SCAN_AGAIN_SECONDS: u32 = 300;
/// A period is stretched or shortened by up to this fraction of it (1/8), so that a fleet does not poll in step.
const JITTER_DIVISOR: u32 = 8;

/// A period that began at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    started_at: UnixTime,
    period_seconds: u32,
}

impl Timer {
    /// Due after `period_seconds`.
    #[must_use]
    pub fn start(now: UnixTime, period_seconds: u32) -> Self {
        Self { started_at: now, period_seconds }
    }

    /// Due at once.
    #[must_use]
    pub fn due_now(now: UnixTime) -> Self {
        Self::start(now, 0)
    }

    /// Seconds left, 0 when it is due. Never more than the period.
    #[must_use]
    pub fn remaining_seconds(&self, now: UnixTime) -> u32 {
        match u32::try_from(now.saturating_sub(self.started_at)) {
            Ok(elapsed) => self.period_seconds.saturating_sub(elapsed),
            // Before the start or a lifetime after it: the clock was set.
            Err(_) => 0,
        }
    }

    /// When its period is over, by a clock that is not set meanwhile.
    #[must_use]
    pub fn end(&self) -> UnixTime {
        self.started_at.saturating_add(self.period_seconds.into())
    }

    /// Whether its period is over.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        self.remaining_seconds(now) == 0
    }
}

/// A period with its jitter: between 7/8 and 9/8 of it, chosen by `random`.
#[must_use]
pub fn jittered(period_seconds: u32, random: u32) -> u32 {
    let period = period_seconds.max(MIN_PERIOD_SECONDS);
    let spread = period / JITTER_DIVISOR;
    period.saturating_sub(spread).saturating_add(below(spread.saturating_mul(2), random))
}

/// What to wait after the `failures`-th failed poll in a row: between half and all of a step that doubles with every
/// failure and never exceeds the poll period, chosen by `random`.
#[must_use]
pub fn retry(poll_seconds: u32, failures: u32, random: u32) -> u32 {
    backoff(FIRST_RETRY_SECONDS, poll_seconds, failures, random)
}

/// What to wait after a scan. If a plugin is on trial, which failed through its own fault for the `trial`-th time in a row,
/// that is soon: until it does its part or is given up, all of its updates are `Unknown`.
#[must_use]
pub fn next_scan(scan_seconds: u32, trial: Option<u8>, random: u32) -> u32 {
    match trial {
        Some(failures) => backoff(SCAN_AGAIN_SECONDS, scan_seconds, failures.into(), random),
        None => jittered(scan_seconds, random),
    }
}

/// What to wait after the `failures`-th failure in a row: between half and all of a step that is `first_seconds` at first,
/// doubles with every failure and never exceeds `most_seconds`, chosen by `random`.
#[must_use]
pub fn backoff(first_seconds: u32, most_seconds: u32, failures: u32, random: u32) -> u32 {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let step = first_seconds.saturating_mul(doubled).min(most_seconds).max(MIN_PERIOD_SECONDS);
    step - below(step / 2, random)
}

/// A number from 0 up to and including `maximum`, as evenly spread as `random` is.
fn below(maximum: u32, random: u32) -> u32 {
    let scaled = ((u64::from(maximum) + 1) * u64::from(random)) >> 32;
    u32::try_from(scaled).unwrap_or(maximum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::MAX_FAILURES;

    const RANDOMS: [u32; 5] = [0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX];

    #[test]
    fn a_timer_is_due_after_its_period() {
        let timer = Timer::start(1_000, 60);
        assert_eq!(timer.remaining_seconds(1_000), 60);
        assert_eq!(timer.remaining_seconds(1_059), 1);
        assert!(timer.is_due(1_060) && timer.is_due(5_000));
    }

    #[test]
    fn a_clock_that_goes_back_makes_a_timer_due() {
        assert!(Timer::start(1_000, 60).is_due(999));
        assert!(Timer::start(i64::MAX, 60).is_due(i64::MIN));
        assert!(Timer::start(i64::MIN, 60).is_due(i64::MAX));
    }

    #[test]
    fn jitter_stays_within_an_eighth_and_uses_all_of_it() {
        for random in RANDOMS {
            assert!((700..=900).contains(&jittered(800, random)), "{random}");
        }
        assert_eq!((jittered(800, 0), jittered(800, u32::MAX)), (700, 900));
    }

    #[test]
    fn no_period_is_zero_or_overflows() {
        for random in RANDOMS {
            assert!(jittered(0, random) >= 1);
            assert!(retry(0, 1, random) >= 1);
            assert!(jittered(u32::MAX, random) >= u32::MAX / 8 * 7);
        }
    }

    #[test]
    fn retries_double_up_to_the_poll_period() {
        let longest: [u32; 7] = core::array::from_fn(|failures| retry(900, failures as u32 + 1, 0));
        assert_eq!(longest, [15, 30, 60, 120, 240, 480, 900]);
        for failures in [1, 8, 31, 32, 33, u32::MAX] {
            for random in RANDOMS {
                let wait = retry(900, failures, random);
                assert!((7..=900).contains(&wait), "{failures} failures: {wait}");
            }
        }
        assert_eq!(retry(5, 9, 0), 5);
    }

    #[test]
    fn a_plugin_on_trial_is_given_up_within_minutes_and_costs_no_scans_then() {
        let six_hours = 6 * 3_600;
        for random in RANDOMS {
            let trial: u32 = (1..MAX_FAILURES).map(|failures| next_scan(six_hours, Some(failures), random)).sum();
            assert!((300..=900).contains(&trial), "{trial}");
            assert_eq!(next_scan(six_hours, None, random), jittered(six_hours, random));
            assert!(next_scan(60, Some(2), random) <= 60, "never later than without");
        }
    }
}
