//! Deployment policies: what is to be installed, and how. Signed targets of the repository.
//!
//! A [`DeploymentPolicy`] is the same for every client of a deployment. What it installs stands apart, in one
//! [`DeployedUpdates`] per scope, so that a client fetches only its own; the policy names their digests. Which phase a
//! client is in, and whether that phase is open, is in its assignment.

use crate::assignment::{MAX_NAME_BYTES, Name};
use crate::{ClientId, DeploymentId, Digest, UnixTime, UpdateId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Updates of one deployment, at most: the limit administrators know from Configuration Manager.
pub const MAX_DEPLOYED_UPDATES: usize = 1_000;
/// Phases of one deployment, at most.
pub const MAX_PHASES: usize = 16;
/// Bytes of an encoded policy, at most.
pub const MAX_POLICY_BYTES: usize = 64 * 1024;
/// Bytes of encoded updates of one scope, unpacked, at most.
pub const MAX_DEPLOYED_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of the instructions of one update, at most.
pub const MAX_INSTRUCTION_BYTES: usize = 16 * 1024;
/// What [`bucket`] divides a fleet into.
pub const BUCKETS: u16 = 10_000;

/// What is deployed, to whom it may concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentPolicy {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Its name, for people.
    pub name: String,
    /// Optional or not.
    pub purpose: Purpose,
    /// Before this nothing is done or offered, whatever the phases say.
    pub available_at: Moment,
    /// When a required deployment installs by itself, unless the phase has its own.
    pub deadline: Option<Moment>,
    /// Every client begins up to this many seconds after its deadline, see [`delay_seconds`].
    pub random_delay_seconds: u32,
    /// A client that learns of the deadline late (it was off) has this many seconds from then.
    pub grace_seconds: u32,
    /// Whether content is downloaded as soon as the phase is open, or only when it is installed.
    pub download_ahead: bool,
    /// What happens when an installation needs a restart.
    pub restart: RestartBehaviour,
    /// Urgent: installs outside maintenance windows and in business hours.
    pub install_any_time: bool,
    /// Urgent: restarts outside maintenance windows and in business hours.
    pub restart_any_time: bool,
    /// What users are told; empty for the agent's own words.
    pub notification: String,
    /// Where content may come from, in the order of preference.
    pub sources: Vec<ContentSource>,
    /// Whether the installation of an update may remove other software.
    pub allow_removals: bool,
    /// Whether a failed installation is rolled back to the versions before, where their content can be had.
    pub roll_back: bool,
    /// How often an installation is tried, at least once.
    pub attempts: u8,
    /// The phases, in order; never empty.
    pub phases: Vec<Phase>,
    /// What is deployed, by scope.
    pub scopes: Vec<DeployedScope>,
}

/// Optional or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Purpose {
    /// Offered: a user or an administrator of the endpoint may install it.
    Available = 0,
    /// Installed at the deadline; before it, a user may.
    Required = 1,
}

/// A moment in time: one instant for everybody, or the same wall clock time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Moment {
    /// An instant.
    At(UnixTime),
    /// The instant when the client's wall clock shows what a clock in UTC shows at this [`UnixTime`].
    Local(UnixTime),
}

/// What happens when an installation needs a restart of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartBehaviour {
    /// Nothing: the update waits for a restart that somebody else makes.
    Suppress,
    /// Users are asked to restart.
    Ask,
    /// Users are told, and after the countdown the agent restarts the machine, within windows.
    Force {
        /// Seconds between the announcement and the restart.
        countdown_seconds: u32,
    },
}

/// Where content may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ContentSource {
    /// The site's distribution point.
    DistributionPoint = 0,
    /// The upstream's mirror.
    Upstream = 1,
}

/// A phase, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name, for people.
    pub name: String,
    /// Who is in it.
    pub members: PhaseMembers,
    /// The deadline, in seconds after the phase opened, if it has its own.
    pub deadline_after_seconds: Option<u32>,
}

/// Who is in a phase. A client is in the first phase that it is a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseMembers {
    /// Everybody whose [`bucket`] is below this: 500 is the first 5 percent.
    BucketsBelow(u16),
    /// The members of a collection, which only the site knows.
    Collection,
}

/// What is deployed to the clients of one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedScope {
    /// The applicability plugin whose scope it is.
    pub plugin: heapless::String<MAX_NAME_BYTES>,
    /// The scope: `debian/bookworm/amd64`.
    pub scope: Name,
    /// The installer plugin.
    pub installer: heapless::String<MAX_NAME_BYTES>,
    /// SHA-256 of the compressed (zstd), encoded [`DeployedUpdates`]: its address in the repository.
    pub digest: Digest,
    /// Bytes of it, compressed.
    pub length: u32,
    /// How many updates it holds.
    pub updates: u32,
}

/// The updates of a deployment for one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedUpdates {
    /// The upstreams' mirrors, `https://host/path/`.
    pub mirrors: Vec<String>,
    /// The updates, in the order in which they are installed.
    pub updates: Vec<DeployedUpdate>,
}

/// One update of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedUpdate {
    /// Which update.
    pub update: UpdateId,
    /// Its name: `bookworm-security/openssl/3.0.17-1~deb12u2`.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// How long its installation may take, at most.
    pub max_run_seconds: u32,
    /// What can be installed of it; the installer plugin selects what concerns the client.
    pub contents: Vec<ContentEntry>,
    /// What it replaces, as far as the site has it: for rolling back.
    pub previous: Vec<ContentEntry>,
    /// What its author tells the installer plugin, in the encoding of that plugin's manifest; empty for nothing. At most
    /// [`MAX_INSTRUCTION_BYTES`].
    pub instructions: Vec<u8>,
}

/// One file of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentEntry {
    /// What the installer plugin knows it by: `libssl3_3.0.17-1~deb12u2_amd64.deb`.
    pub label: String,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Bytes of the content.
    pub length: u64,
    /// The position of its upstream in [`DeployedUpdates::mirrors`].
    pub mirror: u8,
    /// Where it is below that mirror.
    pub path: String,
}

/// Where the policies are among the targets.
pub const POLICIES: &str = "policies/";

/// The target of a deployment's policy: `policies/{deployment}`.
#[must_use]
pub fn policy_target(deployment: DeploymentId) -> Name {
    let mut name = Name::new();
    // Cannot fail: both parts have a fixed length, and a name holds more.
    let _ = write!(name, "{POLICIES}{deployment}");
    name
}

/// Where in the fleet this client is for this deployment: a number below [`BUCKETS`], evenly spread, that anybody can
/// compute. A phase of the first 5 percent has the buckets below 500.
#[must_use]
pub fn bucket(deployment: DeploymentId, client: ClientId) -> u16 {
    // Cannot fail: the remainder is below `BUCKETS`.
    u16::try_from(spread(b"bucket", deployment, client) % u64::from(BUCKETS)).unwrap_or_default()
}

/// How long after its deadline this client begins: 0 to `most` seconds, evenly spread, the same every time it is asked.
#[must_use]
pub fn delay_seconds(deployment: DeploymentId, client: ClientId, most: u32) -> u32 {
    u32::try_from(spread(b"delay", deployment, client) % (u64::from(most) + 1)).unwrap_or_default()
}

fn spread(purpose: &[u8], deployment: DeploymentId, client: ClientId) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    hasher.update(deployment.as_bytes());
    hasher.update(client.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> ClientId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        ClientId(id)
    }

    #[test]
    fn buckets_are_evenly_spread_and_differ_between_deployments() {
        let (one, other) = (DeploymentId([1; 16]), DeploymentId([2; 16]));
        let first_tenth = |deployment| (0..10_000).filter(|n| bucket(deployment, client(*n)) < 1_000).count();
        assert!((900..1_100).contains(&first_tenth(one)), "{}", first_tenth(one));
        let in_both = (0..10_000).filter(|n| bucket(one, client(*n)) < 1_000 && bucket(other, client(*n)) < 1_000);
        assert!((60..140).contains(&in_both.count()));
    }

    #[test]
    fn a_policys_target_is_named_after_its_deployment() {
        assert_eq!(policy_target(DeploymentId([0xab; 16])), "policies/abababababababababababababababab");
    }

    #[test]
    fn a_bucket_and_a_delay_never_change() {
        let deployment = DeploymentId([7; 16]);
        assert_eq!(bucket(deployment, client(1)), BUCKET_OF_ONE);
        assert_eq!(delay_seconds(deployment, client(1), 3_600), DELAY_OF_ONE);
        assert_eq!(delay_seconds(deployment, client(1), 0), 0);
        assert!((0..1_000).all(|n| delay_seconds(deployment, client(n), 60) <= 60));
    }

    // Computed with another implementation (Python's hashlib).
    const BUCKET_OF_ONE: u16 = 6_008;
    const DELAY_OF_ONE: u32 = 10;
}
