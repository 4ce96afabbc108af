//! The bandwidth limit: when the next bytes may be read.

use std::time::{Duration, Instant};

/// What is made up for at most, after a time in which nothing was downloaded.
const BURST: Duration = Duration::from_secs(1);

/// A rate of bytes, evenly spread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    ready_at: Option<Instant>,
}

impl Pace {
    /// So many bytes a second, or as many as there are.
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, ready_at: None }
    }

    /// When more may be read; none if it may be at once.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        self.ready_at.filter(|ready_at| *ready_at > now)
    }

    /// So many bytes were read.
    pub(super) fn spend(&mut self, bytes: u64, now: Instant) {
        let Some(rate) = self.bytes_per_second else { return };
        let microseconds = bytes.saturating_mul(1_000_000) / rate.max(1);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = self.ready_at.map_or(earliest, |ready_at| ready_at.max(earliest));
        self.ready_at = Some(from + Duration::from_micros(microseconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_over_any_time_but_for_one_seconds_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(1_000));
        let mut now = start;
        for _ in 0..100 {
            pace.spend(500, now);
            now = pace.ready_at(now).unwrap_or(now);
        }
        let seconds = now.duration_since(start).as_secs_f64();
        assert!((48.9..=50.1).contains(&seconds), "50,000 bytes at 1,000 a second: {seconds}");
        let later = now + Duration::from_secs(3_600);
        pace.spend(1_000, later);
        pace.spend(1_000, later);
        assert_eq!(pace.ready_at(later), Some(later + Duration::from_secs(1)), "an idle hour saves one second");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut pace = Pace::new(None);
        pace.spend(u64::MAX, Instant::now());
        assert_eq!(pace.ready_at(Instant::now()), None);
    }
}
