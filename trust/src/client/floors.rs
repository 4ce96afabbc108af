//! The versions that a client never goes below.

use crate::keys::Key;
use crate::metadata::{RoleKeys, Root, Snapshot, Timestamp};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use farrier_protocol::Digest;
use serde::{Deserialize, Serialize};

/// The versions that a client never goes below, even when it has lost all metadata.
///
/// All but the root's count only as long as what the timestamp's and the snapshot's keys signed then is still good. When
/// a key of theirs was taken away, it may have been stolen and have signed the highest version there is: from then on,
/// versions count from anew (section 5.3.11, recovery from fast-forward attacks).
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// The keys that the floors below the root's were signed by.
    pub online_keys: Option<OnlineKeys>,
    /// The version of the root with which they began anew. What was accepted under an older one is of the time before.
    pub since_root: u64,
    /// Of the root.
    pub root: u64,
    /// Of the timestamp.
    pub timestamp: u64,
    /// Of the snapshot.
    pub snapshot: u64,
    /// Of the files that the snapshot lists, by their names (`targets.json`). All of them must be listed ever after.
    pub roles: Vec<(String, u64)>,
}

/// Who signs for timestamp and snapshot.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct OnlineKeys {
    /// For the timestamp.
    pub timestamp: RoleKeySet,
    /// For the snapshot.
    pub snapshot: RoleKeySet,
}

/// The keys of a role, whatever their ids: SHA-256 of each. How many of them must sign does not matter here: with more of
/// them asked for, old metadata that all have signed would be good again.
pub type RoleKeySet = Vec<Digest>;

impl Floors {
    /// The higher version of each; where the keys of timestamp and snapshot were changed in between, those of the newer
    /// root count.
    #[must_use]
    pub fn raised(self, to: &Self) -> Self {
        let root = self.root.max(to.root);
        let (older, newer) = if to.root < self.root { (to.clone(), self) } else { (self, to.clone()) };
        let merged = match (&older.online_keys, &newer.online_keys) {
            (_, None) => older.with_higher(&newer),
            (None, _) => newer.with_higher(&older),
            _ if older.since_root > newer.since_root => older,
            _ if older.since_root < newer.since_root => newer,
            (Some(old), Some(new)) if new.still_have(old) => newer.with_higher(&older),
            (Some(old), Some(new)) if old.still_have(new) => older.with_higher(&newer),
            _ => newer,
        };
        Self { root, ..merged }
    }

    fn with_higher(mut self, other: &Self) -> Self {
        self.timestamp = self.timestamp.max(other.timestamp);
        self.snapshot = self.snapshot.max(other.snapshot);
        self.raise_roles(other.roles.iter().map(|(file, version)| (file.as_str(), *version)));
        self
    }

    fn raise_roles<'a>(&mut self, files: impl Iterator<Item = (&'a str, u64)>) {
        let mut roles: BTreeMap<String, u64> = core::mem::take(&mut self.roles).into_iter().collect();
        for (file, version) in files {
            match roles.get_mut(file) {
                Some(floor) => *floor = version.max(*floor),
                None => _ = roles.insert(file.into(), version),
            }
        }
        self.roles = roles.into_iter().collect();
    }

    /// Whether the floors below the root's count under this root.
    pub(super) fn count_under(&self, root: &Root) -> bool {
        self.online_keys.as_ref().is_none_or(|keys| OnlineKeys::of(root).still_have(keys))
    }

    /// Whether what is signed under this root raises them: under an older one it may be what they are to forget.
    pub(super) fn are_raised_under(&self, root: &Root) -> bool {
        self.count_under(root) && self.since_root <= root.version
    }

    /// From now on they count under this root: as they are, or from anew where they do not.
    pub(super) fn settle_under(&mut self, root: &Root) {
        if !self.count_under(root) {
            *self = Self { root: self.root, since_root: root.version, ..Self::default() };
        }
        self.online_keys = Some(OnlineKeys::of(root));
        self.root = self.root.max(root.version);
    }

    pub(super) fn raise_to_timestamp(&mut self, timestamp: &Timestamp) {
        self.timestamp = self.timestamp.max(timestamp.version);
        self.snapshot = self.snapshot.max(timestamp.snapshot.version);
    }

    pub(super) fn raise_to_snapshot(&mut self, snapshot: &Snapshot) {
        self.raise_roles(snapshot.meta.iter().map(|(file, named)| (file.as_str(), named.version)));
    }
}

impl OnlineKeys {
    fn of(root: &Root) -> Self {
        let set = |role| root.role(role).map(|role| key_set(role, &root.keys)).unwrap_or_default();
        Self { timestamp: set(super::TIMESTAMP), snapshot: set(super::SNAPSHOT) }
    }

    /// Whether none of the earlier keys was taken away.
    fn still_have(&self, earlier: &Self) -> bool {
        let all_in = |earlier: &RoleKeySet, now: &RoleKeySet| earlier.iter().all(|key| now.contains(key));
        all_in(&earlier.timestamp, &self.timestamp) && all_in(&earlier.snapshot, &self.snapshot)
    }
}

fn key_set(role: &RoleKeys, keys: &BTreeMap<String, Key>) -> RoleKeySet {
    let usable = role.keyids.iter().filter_map(|keyid| keys.get(keyid)?.verifier());
    let mut keys: RoleKeySet = usable.map(|verifier| Digest::of(&verifier.identity())).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
