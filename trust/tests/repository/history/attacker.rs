//! Whoever answers the clients instead of the repository.

use super::world::{ONLINE, TOP, World};
use crate::site::{key, role_in};
use farrier_trust::{Draft, MetaFile, Request, RoleKeys, Root, Snapshot, TargetFile, Targets, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// What the attacker answers to a request.
    pub fn attack(&mut self, request: &Request) -> Option<Vec<u8>> {
        if self.owns_online && ONLINE.contains(&role_in(&request.file)) && self.random.one_in(2) {
            return Some(self.forge(&request.file));
        }
        match self.random.below(6) {
            0 => None,
            1 => self.published.get(&request.file).map(|files| self.random.pick(files).clone()),
            2 => {
                let files: Vec<&Vec<u8>> = self.published.values().flatten().collect();
                Some(files[self.random.below(files.len())].clone())
            }
            3 => Some(self.forge(&request.file)),
            _ => self.site.files.get(&request.file).cloned(),
        }
    }

    /// Metadata of the role that is asked for, changed to the attacker's liking and signed by all keys there are to have.
    fn forge(&mut self, file: &str) -> Vec<u8> {
        let role = role_in(file);
        let originals: Vec<&Vec<u8>> =
            self.published.iter().filter(|(name, _)| role_in(name) == role).flat_map(|(_, files)| files).collect();
        let original = originals[self.random.below(originals.len())];
        let original = Draft::from_bytes("", original).unwrap();
        let version = file.split('.').next().and_then(|version| version.parse().ok()).unwrap_or(1);
        let forged = match role {
            "root" => Draft::new(&self.forged_root(original.content().unwrap())),
            "timestamp" => Draft::new(&self.forged_timestamp(original.content().unwrap())),
            "snapshot" => Draft::new(&self.forged_snapshot(original.content().unwrap(), version)),
            _ => Draft::new(&self.forged_targets(original.content().unwrap(), version)),
        };
        let mut forged = forged;
        for number in &self.stolen {
            forged.sign(&key(*number));
        }
        // One of the keys signs in the name of the others, and signatures of other metadata are pasted in.
        if let Some(thief) = self.stolen.first().filter(|_| self.random.0.is_multiple_of(2)) {
            let signature = key(*thief).sign(&forged.signed_bytes());
            let honest: Vec<String> = original.signers().map(Into::into).collect();
            let stolen: BTreeSet<String> = self.stolen.iter().map(|number| key(*number).key_id()).collect();
            honest
                .iter()
                .filter(|keyid| !stolen.contains(*keyid))
                .for_each(|keyid| forged.add_signature(keyid, &signature));
        }
        forged.to_bytes()
    }

    fn forged_root(&mut self, mut root: Root) -> Root {
        root.version = self.site.root.version + self.random.below(2) as u64;
        let number = self.stolen.first().copied().unwrap_or(29);
        root.keys.insert(key(number).key_id(), key(number).public().to_key());
        let role = *self.random.pick(&TOP);
        root.roles.insert(role.into(), RoleKeys::new(vec![key(number).key_id()], 1));
        root
    }

    fn forged_timestamp(&mut self, mut timestamp: Timestamp) -> Timestamp {
        timestamp.version = self.any_version(self.site.timestamp.version);
        timestamp.expires = i64::MAX / 1_000_000;
        timestamp.snapshot = unproven(self.any_version(self.site.snapshot.version));
        timestamp
    }

    fn forged_snapshot(&mut self, mut snapshot: Snapshot, version: u64) -> Snapshot {
        snapshot.version = version;
        snapshot.expires = i64::MAX / 1_000_000;
        for (file, named) in &mut snapshot.meta {
            let current = self.site.roles[file.trim_end_matches(".json")].version;
            *named = unproven(if self.random.one_in(3) { self.any_version(current) } else { current });
        }
        if self.random.one_in(4) {
            snapshot.meta.pop_last();
        }
        snapshot
    }

    fn forged_targets(&mut self, mut targets: Targets, version: u64) -> Targets {
        let evil = TargetFile::new(4, &farrier_protocol::Digest::of(b"evil"));
        targets.targets.insert("native/0".into(), evil);
        targets.version = version;
        targets.expires = i64::MAX / 1_000_000;
        targets
    }

    /// A version up to a little above this one.
    fn any_version(&mut self, current: u64) -> u64 {
        1 + self.random.next() % (current + 1)
    }
}

/// A file without length and digest.
fn unproven(version: u64) -> MetaFile {
    MetaFile { version, length: None, hashes: None, other: BTreeMap::new() }
}
