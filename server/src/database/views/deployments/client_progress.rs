//! How far a client is with a deployment, the silent ones among them.

use super::counts::SILENT;
use farrier_protocol::enforcement::{EnforcementState, UnknownEnforcementState};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// How far a client is, the silent ones among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientProgress {
    /// It has not said anything of the deployment.
    Silent,
    /// It is so far.
    In(EnforcementState),
}

impl ClientProgress {
    /// The name as people and addresses see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => SILENT,
            Self::In(state) => state.as_str(),
        }
    }

    /// The state, if the client said one.
    #[must_use]
    pub const fn state(self) -> Option<EnforcementState> {
        match self {
            Self::Silent => None,
            Self::In(state) => Some(state),
        }
    }
}

impl From<Option<EnforcementState>> for ClientProgress {
    fn from(state: Option<EnforcementState>) -> Self {
        state.map_or(Self::Silent, Self::In)
    }
}

impl fmt::Display for ClientProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ClientProgress {
    type Err = UnknownEnforcementState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == SILENT { Ok(Self::Silent) } else { text.parse().map(Self::In) }
    }
}

impl Serialize for ClientProgress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
