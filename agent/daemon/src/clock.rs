//! The clock and the random generator: where the outside world's time and chance come in.

use anyhow::anyhow;
use farrier_agent_core::clock::trusted_now;
use farrier_protocol::UnixTime;
use std::fmt;
use std::time::{Duration, SystemTime};

/// No earlier than this was the agent built: no clock that says otherwise is believed. Reproducible builds set
/// `SOURCE_DATE_EPOCH`.
pub(crate) const BUILT_AT: UnixTime = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => match UnixTime::from_str_radix(text, 10) {
        Ok(time) => time,
        Err(_) => BEFORE_ANY_BUILD,
    },
    None => BEFORE_ANY_BUILD,
};

/// 2025-06-01, well in the past: a site signs expiry by its own clock, and above that clock everything would be expired.
const BEFORE_ANY_BUILD: UnixTime = 1_748_736_000;

/// What the clock says; to measure periods by and to show, never to judge expiry by.
pub(crate) fn now() -> UnixTime {
    #[cfg(test)]
    if let Some(time) = SET.get() {
        return time;
    }
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::try_from(elapsed.as_secs()).unwrap_or(UnixTime::MAX)
}

#[cfg(test)]
thread_local! {
    /// What the clock of this thread says, where a test has set it: each test has a thread.
    static SET: std::cell::Cell<Option<UnixTime>> = const { std::cell::Cell::new(None) };
}

/// Sets the clock, for the test on this thread.
#[cfg(test)]
pub(crate) fn set_clock(time: UnixTime) {
    SET.set(Some(time));
}

/// The time as TLS judges certificates by it: not before the agent was built or the last assignment issued.
#[derive(Debug)]
pub(crate) struct TrustedClock {
    pub(crate) last_accepted: UnixTime,
}

impl rustls::time_provider::TimeProvider for TrustedClock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let seconds = trusted_now(now(), BUILT_AT, self.last_accepted);
        let elapsed = Duration::from_secs(u64::try_from(seconds).ok()?);
        Some(rustls::pki_types::UnixTime::since_unix_epoch(elapsed))
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers ({error})"))?;
    Ok(bytes)
}

/// A time as people read it: `2026-11-23 06:18:38 UTC`.
pub(crate) struct Moment(pub(crate) UnixTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Year, month and day of the days since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_the_calendar_has_them() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_414_718, "2026-11-23 06:18:38 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(Moment(time).to_string(), text);
        }
    }

    #[test]
    fn without_a_build_time_no_clock_after_may_2025_is_doubted() {
        assert_eq!(Moment(BEFORE_ANY_BUILD).to_string(), "2025-06-01 00:00:00 UTC");
    }
}
