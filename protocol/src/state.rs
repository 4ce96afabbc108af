//! The four answers of a scan.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What a scan says of one software update on one client. The terms are Configuration Manager's.
///
/// The order is the order of precedence: when two rules of one update disagree on one client (an update with packages of
/// two architectures, say), the greater state is the update's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ComplianceState {
    /// Nothing of it concerns this client. The default of a scanned client, so it is never stored.
    NotRequired = 0,
    /// It, or something newer, is installed.
    Installed = 1,
    /// It is applicable and missing.
    Required = 2,
    /// The scan could not tell; a finding says why.
    Unknown = 3,
}

/// A number or a word that is no compliance state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownState;

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a compliance state (NotRequired, Installed, Required, Unknown)")
    }
}

impl core::error::Error for UnknownState {}

impl ComplianceState {
    /// All states, in the order of precedence.
    pub const ALL: [Self; 4] = [Self::NotRequired, Self::Installed, Self::Required, Self::Unknown];

    /// The name as people and JSON see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRequired => "NotRequired",
            Self::Installed => "Installed",
            Self::Required => "Required",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for ComplianceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl core::str::FromStr for ComplianceState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<i64> for ComplianceState {
    type Error = UnknownState;

    /// The state stored as this number; an unknown number is an error, never a default.
    fn try_from(number: i64) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| i64::from(*state as u8) == number).ok_or(UnknownState)
    }
}
