//! The assignment: which plugins, catalogs and deployments one client has now.
//!
//! It only selects. Every entry names a target of the signed repository with its digest, and the agent takes nothing
//! whose digest the repository's index does not hold.

use crate::deployment::Moment;
use crate::{ClientId, DeploymentId, Digest, UnixTime};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// Plugins of one client, at most.
pub const MAX_PLUGINS: usize = 16;
/// Plugins of one client that scan beside others and do not count, at most.
pub const MAX_SHADOWS: usize = 4;
/// Catalogs of one site, at most.
pub const MAX_CATALOGS: usize = 64;
/// Grants of one plugin, at most.
pub const MAX_GRANTS: usize = 16;
/// Bytes of a plugin's name or version, at most.
pub const MAX_NAME_BYTES: usize = 48;
/// Bytes of a target's or a scope's name, at most.
pub const MAX_TARGET_BYTES: usize = 128;
/// Installer plugins of one client, at most.
pub const MAX_INSTALLERS: usize = 8;
/// Deployments of one client, at most.
pub const MAX_DEPLOYMENTS: usize = 64;
/// Known windows of one client, at most.
pub const MAX_WINDOWS: usize = 128;
/// Bytes of one program grant, at most.
pub const MAX_RUN_BYTES: usize = 256;
/// Bytes of an encoded assignment, at most.
pub const MAX_ASSIGNMENT_BYTES: usize = 384 * 1024;

/// The name of a target in the repository (`plugins/dpkg`, `catalogs/bookworm-security/amd64`) or of a scope.
pub type Name = heapless::String<MAX_TARGET_BYTES>;

/// What one client is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// What to scan by.
    pub assessment: Assessment,
    /// The plugins that install.
    pub installers: heapless::Vec<AssignedInstaller, MAX_INSTALLERS>,
    /// The deployments that concern this client.
    pub deployments: heapless::Vec<AssignedDeployment, MAX_DEPLOYMENTS>,
    /// When it may install.
    pub windows: Windows,
    /// Other versions of the assessment's plugins, one each at most. They scan beside those, what they say otherwise is
    /// reported, and nothing of it counts.
    // On the heap one by one, here and below: so many of their size would be too much for a thread's stack.
    pub shadows: heapless::Vec<Box<AssignedPlugin>, MAX_SHADOWS>,
    /// The versions that the assessment's plugins fall back to when they fail again and again, one each at most.
    pub fallbacks: heapless::Vec<Box<AssignedPlugin>, MAX_PLUGINS>,
    /// The versions that the installers fall back to, one each at most.
    pub installer_fallbacks: heapless::Vec<Box<AssignedInstaller>, MAX_INSTALLERS>,
}

/// What one client is to scan by, and whose and how old the assignment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
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

impl From<Assessment> for Assignment {
    /// Scan, and install nothing.
    fn from(assessment: Assessment) -> Self {
        Self {
            assessment,
            installers: heapless::Vec::new(),
            deployments: heapless::Vec::new(),
            windows: Windows::default(),
            shadows: heapless::Vec::new(),
            fallbacks: heapless::Vec::new(),
            installer_fallbacks: heapless::Vec::new(),
        }
    }
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
    /// What the site lets it read: globs over the endpoint's root (`/var/lib/dpkg/status`), and names of facts
    /// (`disk-space`).
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

/// One installer plugin of an assignment, with what the site approved for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedInstaller {
    /// The plugin's name, unique among the installers.
    pub name: heapless::String<MAX_NAME_BYTES>,
    /// The plugin's version.
    pub version: heapless::String<MAX_NAME_BYTES>,
    /// Its target in the repository.
    pub target: Name,
    /// The digest of the component.
    pub digest: Digest,
    /// What it may read: globs over the endpoint's root, and names of facts.
    pub read: heapless::Vec<Name, MAX_GRANTS>,
    /// The files it may write: globs over the endpoint's root.
    pub write: heapless::Vec<Name, MAX_GRANTS>,
    /// The programs it may run, with the shapes of their arguments.
    pub run: heapless::Vec<heapless::String<MAX_RUN_BYTES>, MAX_GRANTS>,
}

/// One deployment of an assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedDeployment {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Its policy among the targets: `policies/{deployment}`.
    pub target: Name,
    /// The digest of the encoded [`DeploymentPolicy`](crate::deployment::DeploymentPolicy).
    pub digest: Digest,
    /// This client's phase: its position in the policy's phases.
    pub phase: u8,
    /// How the phase stands.
    pub standing: Standing,
    /// How often an administrator asked this client to try again what failed.
    pub retries: u16,
}

/// How a client's phase of a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It has not opened; perhaps it is known when it is expected to.
    Planned {
        /// When, if the phases before it go well.
        expected_at: Option<UnixTime>,
    },
    /// It is open.
    Open {
        /// Since when.
        since: UnixTime,
    },
    /// The deployment is paused: nothing new is begun.
    Paused,
    /// The deployment is cancelled: nothing is done any more.
    Cancelled,
}

/// When a client may install, as far as the site has worked it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Whether it may install only within maintenance windows.
    pub limited: bool,
    /// The windows that begin before this time are known.
    pub known_until: UnixTime,
    /// The windows, by their start.
    pub windows: heapless::Vec<Window, MAX_WINDOWS>,
}

/// One occurrence of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What it is for.
    pub kind: WindowKind,
    /// When it begins.
    pub start: Moment,
    /// How many seconds it lasts.
    pub seconds: u32,
}

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum WindowKind {
    /// Installations and restarts may happen in it.
    Maintenance = 0,
    /// People work: nothing is installed or restarted by itself.
    BusinessHours = 1,
}
