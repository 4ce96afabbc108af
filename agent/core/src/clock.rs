//! What time it is, on machines whose clock may be wrong.

use crate::schedule::Timer;
use farrier_protocol::UnixTime;
use serde::{Deserialize, Serialize};

/// How long a client goes without verifying the whole repository anew, however little seems to have changed.
pub const REFRESH_SECONDS: u32 = 24 * 3600;

/// The time to judge expiry by: never before the agent was built, never before the last accepted assignment was issued.
///
/// The clock's own time enters only here and is never stored: a clock that was once a year ahead locks nobody out.
#[must_use]
pub fn trusted_now(clock: UnixTime, built_at: UnixTime, last_accepted: UnixTime) -> UnixTime {
    clock.max(built_at).max(last_accepted)
}

/// The last accepted time once a statement issued at `issued_at` was taken, with metadata that expires at `expires`, by
/// a client whose clock says `clock`.
///
/// It is there for clocks that fell behind, so two things bound it. It is never a time at which the metadata it came
/// with would be void: whoever has only the key of assignments cannot lock a client out. And a clock that is behind
/// nothing is believed: a site whose own clock is years ahead for a day does not take its fleet along.
#[must_use]
pub fn last_accepted(
    before: UnixTime,
    clock: UnixTime,
    built_at: UnixTime,
    issued_at: UnixTime,
    expires: UnixTime,
) -> UnixTime {
    let said = issued_at.min(expires.saturating_sub(1));
    let is_behind = clock < trusted_now(clock, built_at, before);
    before.max(if is_behind { said } else { said.min(clock) })
}

/// When the whole repository was verified last, by the client's clock and by the site's, as its statement says.
///
/// Either clock may be wrong or stand still, and this is to happen all the same, but not at every poll: the time of
/// each is compared with nothing but its own, and one that was set makes it due once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    by_clock: Timer,
    by_site: Timer,
}

impl Refreshed {
    /// It happened now.
    #[must_use]
    pub fn at(clock: UnixTime, issued_at: UnixTime) -> Self {
        Self { by_clock: Timer::start(clock, REFRESH_SECONDS), by_site: Timer::start(issued_at, REFRESH_SECONDS) }
    }

    /// Whether it is to happen again.
    #[must_use]
    pub fn is_due(&self, clock: UnixTime, issued_at: UnixTime) -> bool {
        self.by_clock.is_due(clock) || self.by_site.is_due(issued_at)
    }

    /// When it happened, by the client's clock: to show, not to decide by.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.by_clock.end().saturating_sub(REFRESH_SECONDS.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_AT: UnixTime = 1_000;
    const DAY: UnixTime = 24 * 3600;

    #[test]
    fn a_clock_that_lost_its_battery_is_not_believed() {
        assert_eq!(trusted_now(0, BUILT_AT, 500), BUILT_AT);
        assert_eq!(trusted_now(0, BUILT_AT, 2_000), 2_000);
        assert_eq!(trusted_now(3_000, BUILT_AT, 2_000), 3_000);
    }

    #[test]
    fn a_clock_that_lost_its_battery_is_helped_by_the_site() {
        assert_eq!(last_accepted(0, 0, BUILT_AT, 5_000, 9_000), 5_000);
        assert_eq!(last_accepted(4_000, 3_990, BUILT_AT, 5_000, 9_000), 5_000, "also one that is behind the last word");
    }

    #[test]
    fn an_assignment_from_the_far_future_does_not_void_the_metadata_it_came_with() {
        for clock in [0, 2_000] {
            let accepted = last_accepted(100, clock, BUILT_AT, i64::MAX, 9_000);
            assert!(trusted_now(clock, BUILT_AT, accepted) < 9_000);
        }
    }

    #[test]
    fn a_site_that_is_years_ahead_for_a_day_does_not_take_clients_along_whose_clock_is_right() {
        let years = 5 * 365 * DAY;
        let accepted = last_accepted(2_000, 3_000, BUILT_AT, 3_000 + years, 3_000 + years + 7 * DAY);
        assert_eq!(trusted_now(3_060, BUILT_AT, accepted), 3_060);
    }

    #[test]
    fn accepted_time_never_goes_back() {
        for clock in [0, 450, 600] {
            assert_eq!(last_accepted(500, clock, 0, 400, 1_000), 500);
        }
    }

    #[test]
    fn the_repository_is_verified_once_a_day() {
        let refreshed = Refreshed::at(10 * DAY, 10 * DAY);
        assert!(!refreshed.is_due(11 * DAY - 1, 11 * DAY - 1));
        assert!(refreshed.is_due(11 * DAY, 11 * DAY));
        assert_eq!(refreshed.time(), 10 * DAY);
    }

    #[test]
    fn a_clock_that_stands_still_or_begins_anew_with_every_boot_puts_nothing_off() {
        let refreshed = Refreshed::at(30, 10 * DAY);
        assert!(refreshed.is_due(30, 11 * DAY));
        assert!(Refreshed::at(10 * DAY, 30).is_due(11 * DAY, 30), "and neither does a site whose clock stands still");
    }

    #[test]
    fn a_clock_that_was_set_costs_one_refresh_and_one_that_is_wrong_none() {
        for clock in [0, 3_000 * DAY] {
            assert!(Refreshed::at(10 * DAY, 10 * DAY).is_due(clock, 10 * DAY));
            assert!(!Refreshed::at(clock, 10 * DAY).is_due(clock + 900, 10 * DAY + 900));
        }
    }
}
