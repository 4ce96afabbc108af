//! How far a client is with an update of a deployment.

use core::fmt;
use serde::{Deserialize, Serialize};

/// How far a client is with one update of one deployment. The terms are those of Configuration Manager's enforcement
/// states, where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum EnforcementState {
    /// Known, and its time has not come: the phase, the deadline, a pause, or a user who has to ask for it.
    Waiting = 0,
    /// Its time has come, and its content cannot be had at the moment.
    WaitingForContent = 1,
    /// Its content is on the way.
    Downloading = 2,
    /// Its content is here, and the time to install has not come.
    Downloaded = 3,
    /// Everything is ready, outside a maintenance window or in business hours.
    WaitingForWindow = 4,
    /// The installer is at work.
    Installing = 5,
    /// It is installed once the machine has restarted.
    PendingRestart = 6,
    /// The installer is done; the next scan proves what it did.
    Verifying = 7,
    /// A scan after the installation, or before it, says that it is installed or not required.
    Succeeded = 8,
    /// It is not installed, and not tried again by itself.
    Failed = 9,
    /// Its installation failed, and what was there before is there again.
    RolledBack = 10,
    /// It is no longer deployed because something newer replaces it.
    Superseded = 11,
    /// The deployment was cancelled, or no longer concerns this client.
    Cancelled = 12,
}

/// A number or a word that is no enforcement state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownEnforcementState;

impl fmt::Display for UnknownEnforcementState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an enforcement state")
    }
}

impl core::error::Error for UnknownEnforcementState {}

impl EnforcementState {
    /// All states, in the order of an installation.
    pub const ALL: [Self; 13] = [
        Self::Waiting,
        Self::WaitingForContent,
        Self::Downloading,
        Self::Downloaded,
        Self::WaitingForWindow,
        Self::Installing,
        Self::PendingRestart,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::Superseded,
        Self::Cancelled,
    ];

    /// The name as people and JSON see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::WaitingForContent => "WaitingForContent",
            Self::Downloading => "Downloading",
            Self::Downloaded => "Downloaded",
            Self::WaitingForWindow => "WaitingForWindow",
            Self::Installing => "Installing",
            Self::PendingRestart => "PendingRestart",
            Self::Verifying => "Verifying",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::RolledBack | Self::Superseded | Self::Cancelled)
    }
}

impl fmt::Display for EnforcementState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl core::str::FromStr for EnforcementState {
    type Err = UnknownEnforcementState;

    fn from_str(text: &str) -> Result<Self, UnknownEnforcementState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownEnforcementState)
    }
}

impl TryFrom<i64> for EnforcementState {
    type Error = UnknownEnforcementState;

    /// The state stored as this number; an unknown number is an error, never a default.
    fn try_from(number: i64) -> Result<Self, UnknownEnforcementState> {
        Self::ALL.into_iter().find(|state| i64::from(*state as u8) == number).ok_or(UnknownEnforcementState)
    }
}
