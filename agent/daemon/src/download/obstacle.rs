//! Why content is not here. Typed, because what helps differs: another source, time, or an administrator.

use crate::clock::Moment;
use farrier_protocol::UnixTime;
use std::fmt;
use std::io;

/// Why content is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// No source has it.
    NoSource {
        /// What each of them said.
        reason: String,
        /// In how many seconds one of them wants to be asked again.
        retry_after_seconds: Option<u32>,
    },
    /// What it may download a day is used up.
    QuotaUsed {
        /// When there is more.
        until: UnixTime,
    },
    /// The disk is full.
    DiskFull {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The cache's bound is too small for what is pending.
    CacheFull {
        /// Bytes that are needed.
        needed: u64,
        /// The bound.
        bound: u64,
    },
    /// The disk fails.
    Disk {
        /// How.
        reason: String,
    },
}

impl Obstacle {
    /// What a failed write of `needed` bytes means.
    pub(super) fn of_disk(error: &io::Error, needed: u64) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { needed, free: 0 },
            _ => Self::Disk { reason: error.to_string() },
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource { reason, .. } => f.write_str(reason),
            Self::QuotaUsed { until } => {
                write!(f, "downloads.bytes_per_day in agent.toml is used up until {}", Moment(*until))
            }
            Self::DiskFull { needed, free } => {
                write!(f, "the disk is full: {} are needed, {} are free", Bytes(*needed), Bytes(*free))
            }
            Self::CacheFull { needed, bound } => write!(
                f,
                "pending updates need {}, and downloads.cache_bytes in agent.toml allows {}",
                Bytes(*needed),
                Bytes(*bound)
            ),
            Self::Disk { reason } => write!(f, "the disk does not take the content: {reason}"),
        }
    }
}

/// A number of bytes as people read it: `212 MB`.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_000 => write!(f, "{bytes} bytes"),
            bytes @ 1_000..1_000_000 => write!(f, "{} kB", bytes / 1_000),
            bytes @ 1_000_000..10_000_000_000 => write!(f, "{} MB", bytes / 1_000_000),
            bytes => write!(f, "{} GB", bytes / 1_000_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_people_read_them() {
        for (bytes, text) in [(999, "999 bytes"), (1_500, "1 kB"), (212_000_000, "212 MB"), (70_000_000_000, "70 GB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
