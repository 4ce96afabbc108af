//! When something is to happen: so long after a deployment is made, or at a time on a clock.

use super::settings::MAX_PERIOD_SECONDS;
use farrier_protocol::deployment::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// The easternmost wall clock shows a time this many seconds before a clock in UTC does.
const EASTERNMOST_SECONDS: i64 = 14 * 60 * 60;
/// The westernmost one shows it this much later.
const WESTERNMOST_SECONDS: i64 = 12 * 60 * 60;

/// When something is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// So long after the deployment is made.
    After {
        /// Seconds.
        seconds: u32,
    },
    /// When a clock shows this.
    At {
        /// What it shows: `2026-11-24T22:00:00`.
        #[serde(serialize_with = "write", deserialize_with = "read")]
        time: DateTime,
        /// Which clock.
        clock: Clock,
    },
}

/// Whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// One in UTC: the same instant for everybody.
    Utc,
    /// Each client's own.
    Client,
}

impl When {
    /// The same as a time on a clock, for something made at `created_at`.
    #[must_use]
    pub fn resolved(self, created_at: i64) -> Self {
        match self {
            Self::After { seconds } => Self::of_instant(created_at.saturating_add(i64::from(seconds))),
            Self::At { .. } => self,
        }
    }

    /// An instant.
    #[must_use]
    pub fn of_instant(instant: i64) -> Self {
        let instant = instant.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let time = Timestamp::from_second(instant).unwrap_or_default().to_zoned(TimeZone::UTC).datetime();
        Self::At { time, clock: Clock::Utc }
    }

    /// As clients are told, for something made at `created_at`.
    #[must_use]
    pub fn moment(self, created_at: i64) -> Moment {
        match self {
            Self::After { seconds } => Moment::At(created_at.saturating_add(i64::from(seconds))),
            Self::At { time, clock: Clock::Utc } => Moment::At(seconds_of(time)),
            Self::At { time, clock: Clock::Client } => Moment::Local(seconds_of(time)),
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::After { seconds } if *seconds > MAX_PERIOD_SECONDS => Some("write a year at most".to_owned()),
            Self::At { time, .. } if !(2000..=2200).contains(&time.year()) => {
                Some("write a time between the years 2000 and 2200".to_owned())
            }
            Self::After { .. } | Self::At { .. } => None,
        }
    }

    /// Whether it is after `other` whatever the clients' clocks show; a relative and an absolute time are not compared.
    #[must_use]
    pub fn is_surely_after(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::After { seconds }, Self::After { seconds: other }) => seconds > other,
            (Self::At { .. }, Self::At { .. }) => earliest(self.moment(0)) > latest(other.moment(0)),
            _ => false,
        }
    }
}

/// `2026-11-24 22:00 UTC`, `2026-11-24 22:00 of each client`, `7 days after it is made`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After { seconds: 0 } => f.write_str("when it is made"),
            Self::After { seconds } => write!(f, "{} after it is made", super::words::period(i64::from(*seconds))),
            Self::At { time, clock: Clock::Utc } => write!(f, "{} UTC", time.strftime("%Y-%m-%d %H:%M")),
            Self::At { time, clock: Clock::Client } => {
                write!(f, "{} of each client's clock", time.strftime("%Y-%m-%d %H:%M"))
            }
        }
    }
}

/// The first instant at which any client's clock shows the moment.
#[must_use]
pub fn earliest(moment: Moment) -> i64 {
    match moment {
        Moment::At(instant) => instant,
        Moment::Local(time) => time.saturating_sub(EASTERNMOST_SECONDS),
    }
}

/// The last instant at which any client's clock shows the moment.
#[must_use]
pub fn latest(moment: Moment) -> i64 {
    match moment {
        Moment::At(instant) => instant,
        Moment::Local(time) => time.saturating_add(WESTERNMOST_SECONDS),
    }
}

/// A wall clock's time as if it were in UTC.
fn seconds_of(time: DateTime) -> i64 {
    // A time in UTC is never ambiguous; out of range is only what `problem` refuses.
    TimeZone::UTC.to_timestamp(time).map_or(i64::MAX, Timestamp::as_second)
}

fn write<S: Serializer>(time: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no time: write it like 2026-11-24T22:00:00")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn what_is_relative_becomes_an_instant() {
        let when = When::After { seconds: 3_600 }.resolved(1_800_000_000);
        assert_eq!(when.to_string(), "2027-01-15 09:00 UTC");
        assert_eq!(when.moment(0), Moment::At(1_800_003_600));
        assert_eq!(when.resolved(7), when);
    }

    #[test]
    fn a_clients_clock_stays_a_clients_clock() {
        let when = When::At { time: date(1970, 1, 2).at(0, 0, 0, 0), clock: Clock::Client };
        assert_eq!(when.moment(5), Moment::Local(86_400));
        assert_eq!((earliest(when.moment(0)), latest(when.moment(0))), (36_000, 129_600));
    }

    #[test]
    fn times_are_compared_only_where_every_clock_agrees() {
        let at = |hour, clock| When::At { time: date(2026, 11, 24).at(hour, 0, 0, 0), clock };
        assert!(at(13, Clock::Utc).is_surely_after(&at(12, Clock::Utc)));
        assert!(!at(13, Clock::Client).is_surely_after(&at(12, Clock::Utc)));
        assert!(!When::After { seconds: 9 }.is_surely_after(&at(12, Clock::Utc)));
    }

    #[test]
    fn json_is_what_a_person_would_write() {
        let when: When = serde_json::from_str(r#"{"at":{"time":"2026-11-24T22:00","clock":"client"}}"#).unwrap();
        assert_eq!(serde_json::to_string(&when).unwrap(), r#"{"at":{"time":"2026-11-24T22:00:00","clock":"client"}}"#);
        let error = serde_json::from_str::<When>(r#"{"at":{"time":"tomorrow","clock":"utc"}}"#).unwrap_err();
        assert!(error.to_string().contains("write it like"), "{error}");
    }
}
