//! Why metadata or a target is not taken.

use crate::time;
use alloc::string::String;
use core::fmt;
use farrier_protocol::{UnixTime, poll::Tenant};

/// Why metadata or a target is not taken. What had been taken before goes on counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustError {
    /// The bytes are no metadata of this role.
    Malformed {
        /// Whose metadata it should be.
        role: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is more of it than is taken.
    TooLong {
        /// Whose metadata, or which target, it should be.
        role: String,
        /// Bytes, at most.
        limit: u64,
    },
    /// Too few of the role's keys have signed it.
    Threshold {
        /// Whose metadata it should be.
        role: String,
        /// Different keys of the role that have.
        valid: u32,
        /// Keys that must.
        needed: u32,
    },
    /// It is older than what was taken before.
    Rollback {
        /// Whose version sinks.
        role: String,
        /// The version offered.
        offered: u64,
        /// The version taken before.
        floor: u64,
    },
    /// The snapshot does not list the role any more.
    Vanished {
        /// The role.
        role: String,
        /// The version that was listed before.
        floor: u64,
    },
    /// It expired.
    Expired {
        /// Whose metadata.
        role: String,
        /// When.
        at: UnixTime,
    },
    /// It is not the version that it should be.
    WrongVersion {
        /// Whose metadata.
        role: String,
        /// The version offered.
        offered: u64,
        /// The version that the role above it names.
        expected: u64,
    },
    /// It does not have the length that it should have.
    WrongLength {
        /// Whose metadata, or which target.
        role: String,
        /// Bytes offered.
        offered: u64,
        /// Bytes that the role above it names.
        expected: u64,
    },
    /// It does not have the digest that it should have.
    WrongHash {
        /// Whose metadata, or which target.
        role: String,
        /// The kind of digest: `sha256`.
        algorithm: String,
    },
    /// It is named by a kind of digest that is not known here.
    UnknownHash {
        /// Whose metadata, or which target.
        role: String,
        /// The kind of digest.
        algorithm: String,
    },
    /// The repository does not have it, or it is not held.
    MissingMetadata {
        /// The role.
        role: String,
    },
    /// It belongs to a role that the snapshot does not list.
    NotInSnapshot {
        /// The role.
        role: String,
    },
    /// It belongs to a role that no role which is held delegates to.
    NotDelegated {
        /// The role.
        role: String,
    },
    /// The search for a target would visit too many roles.
    TooManyDelegations {
        /// The target.
        path: String,
        /// Delegated roles, at most.
        limit: u32,
    },
    /// The new root is of somebody else's repository.
    TenantChanged {
        /// Whose the repository is.
        from: Tenant,
        /// Whose the new root says that it is, if it says so.
        to: Option<Tenant>,
    },
    /// Something was received that was not asked for, or an answer was taken before it was there.
    OutOfOrder,
}

impl TrustError {
    pub(crate) fn malformed(role: &str, reason: impl Into<String>) -> Self {
        Self::Malformed { role: role.into(), reason: reason.into() }
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { role, reason } => write!(f, "the metadata of {role} is malformed: {reason}"),
            Self::TooLong { role, limit } => write!(f, "{role} is longer than {limit} bytes"),
            Self::Threshold { role, valid, needed } => {
                write!(f, "the metadata of {role} is signed by {valid} of its keys, but {needed} must sign it")
            }
            Self::Rollback { role, offered, floor } => {
                write!(f, "{role} goes back to version {offered}, but version {floor} was taken before")
            }
            Self::Vanished { role, floor } => {
                write!(f, "the snapshot does not list {role} any more, which had version {floor}")
            }
            Self::Expired { role, at } => write!(
                f,
                "the metadata of {role} expired at {}: the site has to sign it again, or this clock is wrong",
                time::format(*at)
            ),
            Self::WrongVersion { role, offered, expected } => {
                write!(f, "the metadata of {role} has version {offered} where version {expected} should be")
            }
            Self::WrongLength { role, offered, expected } => {
                write!(f, "{role} has {offered} bytes where it should have {expected}")
            }
            Self::WrongHash { role, algorithm } => {
                write!(f, "the {algorithm} of {role} is not the one that signed metadata name")
            }
            Self::UnknownHash { role, algorithm } => {
                write!(
                    f,
                    "{role} is named by its {algorithm}, which cannot be checked here: it needs sha256 or sha512 only"
                )
            }
            Self::MissingMetadata { role } => write!(f, "the repository has no metadata of {role}"),
            Self::NotInSnapshot { role } => {
                write!(f, "the snapshot does not list {role}: the site has to publish its metadata")
            }
            Self::NotDelegated { role } => write!(f, "no role delegates to {role}"),
            Self::TooManyDelegations { path, limit } => {
                write!(f, "more than {limit} roles would have to be searched for the target {path}")
            }
            Self::TenantChanged { from, to: Some(to) } => {
                write!(f, "the new root is of tenant {to}, but this repository is of tenant {from}")
            }
            Self::TenantChanged { from, to: None } => {
                write!(f, "the new root names no tenant, but this repository is of tenant {from}")
            }
            Self::OutOfOrder => f.write_str("metadata was received, or an answer taken, before it was asked for"),
        }
    }
}

impl core::error::Error for TrustError {}
