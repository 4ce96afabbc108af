//! The client's wall clock: civil times of a policy as instants, and the name of the time zone.

use farrier_protocol::UnixTime;
use farrier_protocol::deployment::Moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The clock on this machine's wall.
#[derive(Debug, Clone)]
pub(crate) struct WallClock(TimeZone);

impl WallClock {
    /// The system's time zone; UTC where it has none.
    pub(crate) fn system() -> Self {
        Self(TimeZone::system())
    }

    #[cfg(test)]
    pub(crate) fn in_zone(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap())
    }

    /// The zone's IANA name, empty if it is not known.
    pub(crate) fn zone_name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// When a moment is. A wall clock time that a change of clocks skips is as much later as clocks are set forward,
    /// and of one that happens twice it is the first.
    pub(crate) fn instant(&self, moment: Moment) -> UnixTime {
        match moment {
            Moment::At(time) => time,
            // A time outside the calendar (the years from -9999 to 9999) is beyond any zone's rules, too.
            Moment::Local(civil) => self.of_civil(civil).unwrap_or(civil),
        }
    }

    fn of_civil(&self, civil: UnixTime) -> Option<UnixTime> {
        let shown = Timestamp::from_second(civil).ok()?.to_zoned(TimeZone::UTC).datetime();
        Some(self.0.to_ambiguous_zoned(shown).compatible().ok()?.timestamp().as_second())
    }

    /// A time as users of this machine read it: `2026-11-23 07:18`.
    pub(crate) fn show(&self, time: UnixTime) -> String {
        match Timestamp::from_second(time) {
            Ok(time) => time.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => crate::clock::Moment(time).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a civil time, as if it were in UTC.
    fn civil(text: &str) -> UnixTime {
        text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp().as_second()
    }

    #[test]
    fn a_local_deadline_is_at_the_same_time_on_the_wall_in_summer_and_in_winter() {
        let berlin = WallClock::in_zone("Europe/Berlin");
        for (local, utc) in [("2026-07-01T22:00", "2026-07-01T20:00"), ("2026-12-01T22:00", "2026-12-01T21:00")] {
            let instant = berlin.instant(Moment::Local(civil(local)));
            assert_eq!(instant, civil(utc));
            assert_eq!(berlin.show(instant), local.replace('T', " "));
        }
        assert_eq!(berlin.instant(Moment::At(1_000)), 1_000);
        assert_eq!(berlin.zone_name(), "Europe/Berlin");
    }

    #[test]
    fn a_time_that_daylight_saving_skips_comes_later_and_one_it_repeats_comes_first() {
        let berlin = WallClock::in_zone("Europe/Berlin");
        let instant = |text| berlin.instant(Moment::Local(civil(text)));
        assert_eq!(instant("2027-03-28T02:30"), civil("2027-03-28T01:30"), "shown as 03:30");
        assert_eq!(instant("2026-10-25T02:30"), civil("2026-10-25T00:30"), "still daylight saving time");
        assert_eq!(instant("2026-10-25T03:00"), civil("2026-10-25T02:00"));
    }

    #[test]
    fn times_beyond_the_calendar_panic_nowhere() {
        let wall = WallClock::system();
        for time in [UnixTime::MIN, UnixTime::MAX] {
            assert_eq!(wall.instant(Moment::Local(time)), time);
            assert!(!wall.show(time).is_empty());
        }
    }
}
