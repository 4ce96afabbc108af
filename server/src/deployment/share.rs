//! A share of the fleet in percent, as exact as clients can be told apart.

use farrier_protocol::deployment::BUCKETS;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::str::FromStr;

const BUCKETS_PER_PERCENT: f64 = BUCKETS as f64 / 100.0;

/// A share of the fleet: 0 to 100 percent in steps of a hundredth. JSON has it as the number of percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a percentage from 0.01 to 100, with at most two decimals: 5, 12.5 or 100")]
pub struct ParseShareError;

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(BUCKETS);

    /// Of so many percent, if a bucket's bound is there.
    #[must_use]
    pub fn of_percent(percent: f64) -> Option<Self> {
        let buckets = (percent * BUCKETS_PER_PERCENT).round();
        let is_exact = (percent * BUCKETS_PER_PERCENT - buckets).abs() < 1e-6;
        // In range, so that nothing is cut off.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (is_exact && (1.0..=f64::from(BUCKETS)).contains(&buckets)).then_some(Self(buckets as u16))
    }

    /// Of everybody whose bucket is below this.
    #[must_use]
    pub fn of_buckets(buckets: u16) -> Option<Self> {
        (buckets <= BUCKETS).then_some(Self(buckets))
    }

    /// Everybody whose bucket is below this is part of it.
    #[must_use]
    pub const fn buckets(self) -> u16 {
        self.0
    }

    /// In percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / BUCKETS_PER_PERCENT
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let number = text.trim().trim_end_matches('%').trim_end();
        number.parse().ok().and_then(Self::of_percent).ok_or(ParseShareError)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_percent(f64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(ParseShareError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_people_write_it() {
        for (text, buckets) in [("5", 500), ("12.5%", 1_250), (" 0.01 % ", 1), ("100", 10_000), ("33.33", 3_333)] {
            assert_eq!(text.parse::<Share>().map(Share::buckets), Ok(buckets), "{text}");
        }
        for text in ["", "0", "-1", "100.01", "0.001", "five", "NaN", "inf", "1e9"] {
            assert_eq!(text.parse::<Share>(), Err(ParseShareError), "{text}");
        }
    }

    #[test]
    fn every_share_survives_json() {
        for buckets in 1..=BUCKETS {
            let share = Share::of_buckets(buckets).unwrap();
            let json = serde_json::to_string(&share).unwrap();
            assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share, "{json}");
        }
    }
}
