//! The roles that keys have.

use crate::repository::roles;
use std::fmt;
use std::str::FromStr;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRole {
    /// Says which keys count for all others.
    Root,
    /// Says who may name plugins, artefacts, catalogs and policies.
    Targets,
    /// Names plugins.
    Plugins,
    /// Names precompiled artefacts.
    Native,
    /// Names catalogs and policies.
    Policy,
    /// Says which versions belong together.
    Snapshot,
    /// Says what is the newest.
    Timestamp,
    /// Tells each client what it is to follow.
    Assignment,
}

/// A word that is no role of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role of a key: write root, targets, plugins, native, policy, snapshot, timestamp or assignment")]
pub struct UnknownRole(String);

impl KeyRole {
    /// All of them, those that sign for others first.
    pub const ALL: [Self; 8] = [
        Self::Root,
        Self::Targets,
        Self::Plugins,
        Self::Native,
        Self::Policy,
        Self::Snapshot,
        Self::Timestamp,
        Self::Assignment,
    ];

    /// Those whose keys the site does not need from day to day, and so should not have.
    pub const OFFLINE: [Self; 4] = [Self::Root, Self::Targets, Self::Plugins, Self::Native];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Plugins => "plugins",
            Self::Native => "native",
            Self::Policy => "policy",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Assignment => "assignment",
        }
    }

    /// Whether the site does not need its keys from day to day.
    #[must_use]
    pub fn is_offline(self) -> bool {
        Self::OFFLINE.contains(&self)
    }

    /// The roles of the repository whose metadata it signs. What the assignment key signs is no metadata.
    #[must_use]
    pub const fn metadata(self) -> &'static [&'static str] {
        match self {
            Self::Root => &[roles::ROOT],
            Self::Targets => &[roles::TARGETS],
            Self::Plugins => &[roles::PLUGINS],
            Self::Native => &[roles::NATIVE],
            Self::Policy => &[roles::CATALOGS, roles::POLICIES],
            Self::Snapshot => &[roles::SNAPSHOT],
            Self::Timestamp => &[roles::TIMESTAMP],
            Self::Assignment => &[],
        }
    }

    /// The role whose keys sign this metadata.
    #[must_use]
    pub fn of_metadata(role: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.metadata().contains(&role))
    }

    /// The role whose metadata says which keys these are: root, or targets for delegated roles.
    #[must_use]
    pub const fn named_by(self) -> &'static str {
        match self {
            Self::Plugins | Self::Native | Self::Policy => roles::TARGETS,
            _ => roles::ROOT,
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
