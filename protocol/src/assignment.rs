//! The assignment: which plugins and catalogs one client has now.
//!
//! It only selects. Every entry names a target of the signed repository with its digest, and the agent takes nothing
//! whose digest the repository's index does not hold.

use crate::{ClientId, Digest, UnixTime};
use serde::{Deserialize, Serialize};

/// Plugins of one client, at most.
pub const MAX_PLUGINS: usize = 8;
/// Catalogs of one site, at most.
pub const MAX_CATALOGS: usize = 64;
/// Grants of one plugin, at most.
pub const MAX_GRANTS: usize = 16;
/// Bytes of a plugin's name or version, at most.
pub const MAX_NAME_BYTES: usize = 48;
/// Bytes of a target's or a scope's name, at most.
pub const MAX_TARGET_BYTES: usize = 128;
/// Bytes of an encoded assignment, at most.
pub const MAX_ASSIGNMENT_BYTES: usize = 64 * 1024;

/// The name of a target in the repository (`plugins/dpkg`, `catalogs/bookworm-security/amd64`) or of a scope.
pub type Name = heapless::String<MAX_TARGET_BYTES>;

/// What one client is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Whose it is.
    pub client: ClientId,
    /// Grows with every change; the agent takes no lower one.
    pub version: u64,
    /// When the site made it.
    pub issued_at: UnixTime,
    /// How often to scan and to ask for a new assignment.
    pub schedule: Schedule,
    /// The plugins to run.
    pub plugins: heapless::Vec<AssignedPlugin, MAX_PLUGINS>,
    /// The catalogs a client may need; each client takes those whose scope its plugin names.
    pub catalogs: heapless::Vec<AssignedCatalog, MAX_CATALOGS>,
}

/// The client's periods, in seconds. The agent adds its own jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Seconds between two polls of the management point.
    pub poll_seconds: u32,
    /// Seconds between two scans.
    pub scan_seconds: u32,
}

/// One plugin of an assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedPlugin {
    /// The plugin's name, unique in the assignment.
    pub name: heapless::String<MAX_NAME_BYTES>,
    /// The plugin's version.
    pub version: heapless::String<MAX_NAME_BYTES>,
    /// Its target in the repository.
    pub target: Name,
    /// The digest of the component.
    pub digest: Digest,
    /// The files the site lets it read: globs over the endpoint's root (`/var/lib/dpkg/status`).
    pub read: heapless::Vec<Name, MAX_GRANTS>,
}

/// One catalog of an assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedCatalog {
    /// The plugin that understands its rules.
    pub plugin: heapless::String<MAX_NAME_BYTES>,
    /// The clients it concerns: `debian/bookworm/amd64`.
    pub scope: Name,
    /// Its target in the repository.
    pub target: Name,
    /// The digest of the encoded [`Catalog`](crate::catalog::Catalog).
    pub digest: Digest,
}
