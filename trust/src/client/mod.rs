//! The client workflow (TUF 1.0.34, section 5): what is held, and what is taken in its place.
//!
//! A [`Client`] does no I/O and knows no clock. [`Client::refresh`] and [`Client::search`] say which file they need next and are
//! given it; whatever they take is verified already.

mod accept;
mod floors;
mod refresh;
mod search;

pub use floors::{Floors, OnlineKeys, RoleKeySet};
pub use refresh::Refresh;
pub use search::Search;

use crate::assignment::AssignmentKeys;
use crate::metadata::{Root, Signed, Snapshot, Targets, Timestamp};
use crate::target::Target;
use crate::{TrustError, limits};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use farrier_protocol::poll::Tenant;
use farrier_protocol::{Digest, UnixTime};

/// The names of the top roles.
const ROOT: &str = "root";
const TIMESTAMP: &str = "timestamp";
const SNAPSHOT: &str = "snapshot";
const TARGETS: &str = "targets";

/// A file that is needed, relative to the repository's folder of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name, ready for a URL: `3.root.json`, `timestamp.json`, `7.plugins.json`.
    pub file: String,
    /// Its bytes, at most: whoever fetches it can stop there.
    pub max_bytes: u64,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// What the file holds.
    Found(&'a [u8]),
    /// The repository says that there is no such file.
    Missing,
}

/// A client's view of a repository: the metadata that it trusts, and the versions that it never goes below.
#[derive(Clone)]
pub struct Client {
    root: Held<Root>,
    timestamp: Option<Held<Timestamp>>,
    snapshot: Option<Held<Snapshot>>,
    /// All are of the versions that the snapshot lists.
    targets: BTreeMap<String, HeldTargets>,
    /// What was stored, but could not be restored: it may be what is needed next, and is tried before that is fetched.
    aside: BTreeMap<String, Vec<u8>>,
    floors: Floors,
}

/// Verified metadata, and exactly the bytes that came.
#[derive(Clone)]
struct Held<S> {
    content: S,
    bytes: Vec<u8>,
}

#[derive(Clone)]
struct HeldTargets {
    held: Held<Targets>,
    /// The roles whose delegation to this one its signatures were verified against; `root` is the one of `targets`.
    delegators: BTreeSet<String>,
}

impl Client {
    /// A client that trusts this root, of whatever version, and nothing else yet. Whether it expired does not matter
    /// until a refresh has looked for newer ones.
    ///
    /// # Errors
    /// When it is no root, or not signed by its own keys.
    pub fn new(root: &[u8], floors: Floors) -> Result<Self, TrustError> {
        let root = accept::first_root(root)?;
        Ok(Self { root, timestamp: None, snapshot: None, targets: BTreeMap::new(), aside: BTreeMap::new(), floors })
    }

    /// Takes metadata that was accepted and stored before: whether it expired does not matter, everything else does.
    /// The order is the one of [`metadata`](Self::metadata).
    ///
    /// What was accepted under a root before [`Floors::since_root`] is to be restored under no later one: others than the keys
    /// that were taken away may have signed it, too, and it would raise the floors again (section 5.3.11).
    ///
    /// # Errors
    /// When it must not be taken, or its turn has not come; what was restored before stays. A refresh or a search that
    /// needs just this metadata will take it then as if it were fetched.
    pub fn restore(&mut self, role: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let restored = match role {
            ROOT => return Err(TrustError::OutOfOrder),
            TIMESTAMP => self.accept_timestamp(bytes, None),
            SNAPSHOT => self.restore_snapshot(bytes),
            TARGETS => self.accept_targets(TARGETS, ROOT, bytes, None),
            _ => self.restore_delegated(role, bytes),
        };
        restored.inspect_err(|_| _ = self.aside.insert(role.into(), bytes.to_vec()))
    }

    /// Brings root, timestamp, snapshot and the top targets up to date (sections 5.3 to 5.6).
    pub fn refresh(&mut self, now: UnixTime) -> Refresh<'_> {
        Refresh::new(self, now)
    }

    /// Searches for a target (section 5.6.7), after a refresh. Only roles on the way that are not held in the
    /// snapshot's version are fetched.
    pub fn search(&mut self, path: &str, now: UnixTime) -> Search<'_> {
        Search::new(self, path, now)
    }

    /// The target of this path, if metadata that are held all the way say that there is one. They may have expired.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<Target> {
        if !self.is_complete() {
            return None;
        }
        match search::Walk::new(path).step(self, None) {
            Ok(search::Step::Found(target)) => Some(target),
            _ => None,
        }
    }

    /// The versions never to go below, raised to everything that was taken.
    #[must_use]
    pub fn floors(&self) -> Floors {
        let mut floors = self.floors.clone();
        floors.root = floors.root.max(self.root.content.version);
        floors
    }

    /// What is held, byte for byte as it came, by role, in the order in which [`restore`](Self::restore) takes it after the root.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut held = Vec::from([(ROOT, self.root.bytes.as_slice())]);
        // What a new root took away, nothing below it is of use without.
        if let Some(timestamp) = &self.timestamp {
            held.push((TIMESTAMP, &timestamp.bytes));
            if let Some(snapshot) = &self.snapshot {
                held.push((SNAPSHOT, &snapshot.bytes));
                let roles = self.roles_from_the_top().into_iter();
                held.extend(roles.filter_map(|role| Some((role, self.targets.get(role)?.held.bytes.as_slice()))));
            }
        }
        held.into_iter()
    }

    /// The version of the root.
    #[must_use]
    pub fn root_version(&self) -> u64 {
        self.root.content.version
    }

    /// SHA-256 of the timestamp's metadata.
    #[must_use]
    pub fn timestamp_digest(&self) -> Option<Digest> {
        self.timestamp.as_ref().map(|timestamp| Digest::of(&timestamp.bytes))
    }

    /// Whose the repository is, if it is one of Farrier's.
    #[must_use]
    pub fn tenant(&self) -> Option<Tenant> {
        self.root.content.site.as_ref().map(|site| site.tenant)
    }

    /// Who signs assignments, if the repository is one of Farrier's.
    #[must_use]
    pub fn assignment_keys(&self) -> Option<AssignmentKeys> {
        self.root.content.assignment_keys().ok().flatten()
    }

    /// When the first of root, timestamp, snapshot and top targets expires, if all of them are held.
    #[must_use]
    pub fn expires(&self) -> Option<UnixTime> {
        let targets = self.targets.get(TARGETS)?.held.content.expires;
        let online = self.timestamp.as_ref()?.content.expires.min(self.snapshot.as_ref()?.content.expires);
        Some(self.root.content.expires.min(online).min(targets))
    }

    /// Whether the timestamp's snapshot and its top targets are held.
    fn is_complete(&self) -> bool {
        self.current_snapshot().is_some() && self.targets.contains_key(TARGETS)
    }

    /// The snapshot, if it is the one that the timestamp names.
    fn current_snapshot(&self) -> Option<&Held<Snapshot>> {
        let named = &self.timestamp.as_ref()?.content.snapshot;
        self.snapshot.as_ref().filter(|snapshot| {
            snapshot.content.version == named.version && accept::fits(SNAPSHOT, named, &snapshot.bytes).is_ok()
        })
    }

    /// A targets role that was verified against this delegation, and had not expired at this time.
    fn held(&self, role: &str, delegator: &str, now: Option<UnixTime>) -> Option<&Targets> {
        let role = self.targets.get(role).filter(|role| role.delegators.contains(delegator))?;
        (!expired(&role.held.content, now)).then_some(&role.held.content)
    }

    /// The targets roles that are held, each after one that delegates to it.
    fn roles_from_the_top(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut delegators = Vec::from([ROOT]);
        while let Some(delegator) = delegators.pop() {
            for (role, held) in &self.targets {
                if held.delegators.contains(delegator) && seen.insert(role.as_str()) {
                    order.push(role);
                    delegators.push(role);
                }
            }
        }
        order
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root.content.version)
            .field("timestamp", &self.timestamp.as_ref().map(|held| held.content.version))
            .field("snapshot", &self.snapshot.as_ref().map(|held| held.content.version))
            .field("targets", &self.targets.keys())
            .field("floors", &self.floors)
            .finish()
    }
}

/// Whether metadata expired by this time, where there is one.
fn expired(content: &impl Signed, now: Option<UnixTime>) -> bool {
    now.is_some_and(|now| content.expires() <= now)
}

/// The name of a role's file, ready for a URL.
fn file_name(role: &str, version: Option<u64>) -> String {
    let role = percent_encoded(role);
    match version {
        Some(version) => format!("{version}.{role}.json"),
        None => format!("{role}.json"),
    }
}

/// How the name of a role is written in the name of its file: everything but letters, digits and `_.-~` of ASCII as `%`
/// and two digits (RFC 3986, section 2.3).
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The most that is fetched of a file with this length, if it is known.
fn bounded(role: &str, length: Option<u64>, limit: u64) -> Result<u64, TrustError> {
    match length {
        Some(length) if length > limit => Err(TrustError::TooLong { role: role.into(), limit }),
        Some(length) => Ok(length),
        None => Ok(limit),
    }
}

/// The most that is fetched of a targets role.
fn bounded_targets(role: &str, length: Option<u64>) -> Result<u64, TrustError> {
    bounded(role, length, limits::MAX_TARGETS_BYTES)
}
