//! What a job may use up before it is not tried again by itself: nothing is tried without end.

use crate::schedule::backoff;
use serde::{Deserialize, Serialize};

/// Bytes that are downloaded for a job, at most: this many times the length of its content.
pub const MAX_DOWNLOADED_TIMES: u64 = 3;
/// Downloads of a job that break off after bytes have come, at most.
pub const MAX_BROKEN_DOWNLOADS: u16 = 100;
/// Installations of a job that the end of the agent or of the machine cut off, at most. They are not the update's
/// fault, as long as they are few: so they do not count as attempts.
pub const MAX_INTERRUPTIONS: u16 = 10;
/// Roll-backs of a job that are begun, at most: one that ends is never repeated, one that was cut off is.
pub const MAX_ROLL_BACKS: u16 = 3;

/// The pause after the first failure of a download; every further one is twice as long.
const FIRST_DOWNLOAD_PAUSE_SECONDS: u32 = 15;
/// The pause after the first failed attempt to install.
const FIRST_ATTEMPT_PAUSE_SECONDS: u32 = 60;
/// The pause after the first interruption: long enough for an orphan of the installer to end.
const FIRST_INTERRUPTION_PAUSE_SECONDS: u32 = 10;
/// No pause is longer.
const MAX_PAUSE_SECONDS: u32 = 4 * 3600;

/// What was used up since the job began or was tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budgets {
    pub(super) downloads: Downloads,
    pub(super) attempts: Attempts,
}

impl Budgets {
    /// Nothing is used up. How much is still to be downloaded stays known.
    pub(super) fn afresh(&self) -> Self {
        let Downloads { length, left, .. } = self.downloads;
        Self { downloads: Downloads { length, left, ..Downloads::default() }, ..Self::default() }
    }
}

/// Downloads of a job's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Downloads {
    /// Bytes of the content; 0 until that is known.
    pub(super) length: u64,
    /// Bytes of it that are not here.
    pub(super) left: u64,
    /// Bytes that came, wanted or not.
    came: u64,
    /// Downloads that broke off after bytes had come.
    broken: u16,
    /// Failures in a row.
    failures: u16,
    /// Whether bytes came since the last failure.
    moved: bool,
}

impl Downloads {
    /// Bytes that may still be downloaded; 0 is the end of it.
    pub(super) fn allowance(&self) -> u64 {
        if self.broken >= MAX_BROKEN_DOWNLOADS {
            return 0;
        }
        self.length.saturating_mul(MAX_DOWNLOADED_TIMES).saturating_sub(self.came)
    }

    /// Whether nothing more is to be downloaded. Before the length is known, nothing was.
    pub(super) fn is_spent(&self) -> bool {
        self.length > 0 && self.allowance() == 0
    }

    /// Bytes came; `left` is what is not here yet.
    pub(super) fn came(&mut self, bytes: u64, left: u64) {
        self.came = self.came.saturating_add(bytes);
        self.left = left;
        if bytes > 0 {
            (self.moved, self.failures) = (true, 0);
        }
    }

    /// The agent stopped in the middle: what came and was not counted yet may be lost.
    pub(super) fn interrupted(&mut self) {
        self.broken = self.broken.saturating_add(1);
    }

    /// A download failed. A source that gave nothing costs nothing, so only the others count. Returns the pause.
    pub(super) fn failed(&mut self, random: u32, retry_after_seconds: Option<u32>) -> u32 {
        if core::mem::take(&mut self.moved) {
            self.broken = self.broken.saturating_add(1);
        }
        self.failures = self.failures.saturating_add(1);
        let pause = backoff(FIRST_DOWNLOAD_PAUSE_SECONDS, MAX_PAUSE_SECONDS, self.failures.into(), random);
        retry_after_seconds.map_or(pause, |seconds| seconds.clamp(pause, MAX_PAUSE_SECONDS))
    }
}

/// Attempts to install.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// Installations that were begun or refused, without the interrupted ones.
    pub(super) used: u16,
    /// Installations that were cut off.
    interruptions: u16,
    /// Roll-backs that were begun.
    roll_backs: u16,
    /// Whether the endpoint may have been changed: only then there is something to roll back.
    pub(super) touched: bool,
    /// Whether the last one was cut off.
    pub(super) cut_off: bool,
}

impl Attempts {
    /// An installation is about to begin. Counted before it does, so that one that takes the machine down with it
    /// counts.
    pub(super) fn begun(&mut self) {
        self.used = self.used.saturating_add(1);
        (self.touched, self.cut_off) = (true, false);
    }

    /// The installer refused to begin.
    pub(super) fn refused(&mut self) {
        self.used = self.used.saturating_add(1);
        self.cut_off = false;
    }

    /// The installation was cut off.
    pub(super) fn interrupted(&mut self) {
        self.used = self.used.saturating_sub(1);
        self.interruptions = self.interruptions.saturating_add(1);
        self.cut_off = true;
    }

    /// A roll-back is about to begin.
    pub(super) fn roll_back_begun(&mut self) {
        self.roll_backs = self.roll_backs.saturating_add(1);
    }

    /// Whether a policy that allows `most` attempts allows no further one.
    pub(super) fn are_spent(&self, most: u8) -> bool {
        self.used >= u16::from(most.max(1)) || self.interruptions >= MAX_INTERRUPTIONS
    }

    /// Whether there is something to roll back, and that was not begun too often.
    pub(super) fn can_be_rolled_back(&self) -> bool {
        self.touched && self.roll_backs < MAX_ROLL_BACKS
    }

    /// The pause before the next attempt.
    pub(super) fn pause_seconds(&self, random: u32) -> u32 {
        let (first, failures) = if self.cut_off {
            (FIRST_INTERRUPTION_PAUSE_SECONDS, self.interruptions)
        } else {
            (FIRST_ATTEMPT_PAUSE_SECONDS, self.used)
        };
        backoff(first, MAX_PAUSE_SECONDS, failures.into(), random)
    }
}
