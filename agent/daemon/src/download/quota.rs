//! What may be downloaded a day. It outlives the process: a restart is no new day.

use anyhow::Context as _;
use farrier_protocol::UnixTime;
use farrier_spool::replace_file;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const DAY_SECONDS: i64 = 86_400;
/// Bytes that a crash may forget.
const UNSAVED_BYTES: u64 = 1024 * 1024;

/// The bytes of a day, and how many are used.
#[derive(Debug)]
pub(super) struct Quota {
    file: PathBuf,
    bytes_per_day: Option<u64>,
    day: Day,
    unsaved: u64,
}

/// A day begins with its first download.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    began_at: UnixTime,
    used: u64,
}

impl Quota {
    /// The quota whose use is noted in this file. A damaged note counts as none: it can only make a day longer.
    pub(super) fn load(file: &Path, bytes_per_day: Option<u64>) -> Self {
        let noted = std::fs::read(file).ok().and_then(|bytes| farrier_protocol::decode(&bytes).ok());
        Self { file: file.to_owned(), bytes_per_day, day: noted.unwrap_or_default(), unsaved: 0 }
    }

    /// How many bytes may be downloaded now, or when there are more.
    pub(super) fn left(&mut self, now: UnixTime) -> Result<u64, UnixTime> {
        let Some(most) = self.bytes_per_day else { return Ok(u64::MAX) };
        let ends_at = self.day.began_at.saturating_add(DAY_SECONDS);
        // A clock that went back before the day's beginning begins a new one: nobody waits longer than a day.
        if !(self.day.began_at..ends_at).contains(&now) {
            self.day = Day { began_at: now, used: 0 };
        }
        match most.saturating_sub(self.day.used) {
            0 => Err(self.day.began_at.saturating_add(DAY_SECONDS)),
            left => Ok(left),
        }
    }

    /// So many bytes were downloaded.
    pub(super) fn spend(&mut self, bytes: u64) {
        if self.bytes_per_day.is_some() {
            self.day.used = self.day.used.saturating_add(bytes);
            self.unsaved += bytes;
            if self.unsaved >= UNSAVED_BYTES {
                self.save();
            }
        }
    }

    /// Notes what is used.
    pub(super) fn save(&mut self) {
        if std::mem::take(&mut self.unsaved) == 0 {
            return;
        }
        let noted = farrier_protocol::encode(&self.day)
            .context("it has no encoding")
            .and_then(|bytes| Ok(replace_file(&self.file, &bytes)?));
        if let Err(error) = noted {
            tracing::warn!(error = format!("{error:#}"), "The day's downloads could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_bytes_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("quota");
        let mut quota = Quota::load(&file, Some(100));
        assert_eq!(quota.left(1_000_000), Ok(100));
        quota.spend(60);
        quota.save();
        let mut quota = Quota::load(&file, Some(100));
        assert_eq!(quota.left(1_000_010), Ok(40));
        quota.spend(60);
        assert_eq!(quota.left(1_000_020), Err(1_086_400));
        assert_eq!(quota.left(1_086_399), Err(1_086_400));
        assert_eq!(quota.left(1_086_400), Ok(100));
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_waiting_for_years() {
        let folder = tempfile::tempdir().unwrap();
        let mut quota = Quota::load(&folder.path().join("quota"), Some(100));
        assert_eq!(quota.left(4_000_000_000), Ok(100));
        quota.spend(100);
        assert_eq!(quota.left(1_000_000), Ok(100));
    }

    #[test]
    fn without_a_quota_there_is_no_end_and_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut quota = Quota::load(&folder.path().join("quota"), None);
        quota.spend(u64::MAX);
        quota.save();
        assert_eq!(quota.left(0), Ok(u64::MAX));
        assert!(!folder.path().join("quota").exists());
    }
}
