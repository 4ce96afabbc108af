//! A repository in memory that signs whatever a test wants it to, and clients that read it.

use farrier_protocol::{Digest, poll::Tenant};
use farrier_trust::{
    Answer, Client, Delegation, Delegations, Draft, Floors, MetaFile, Paths, RoleKeys, Root, Signed, SigningKey,
    SiteKeys, Snapshot, Target, TargetFile, Targets, Timestamp, TrustError, percent_encoded,
};
use std::collections::BTreeMap;

pub const NOW: i64 = 1_700_000_000;
/// When everything expires unless a test says otherwise.
pub const LATER: i64 = NOW + 30 * 86_400;

pub const TENANT: Tenant = Tenant([7; 16]);

/// The key with this number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_secret(&[number; 32]).unwrap()
}

/// Numbers of the keys of the top roles.
pub const ROOT_KEY: u8 = 1;
pub const TIMESTAMP_KEY: u8 = 2;
pub const SNAPSHOT_KEY: u8 = 3;
pub const TARGETS_KEY: u8 = 4;
pub const ASSIGNMENT_KEY: u8 = 5;

#[derive(Clone)]
pub struct Site {
    pub root: Root,
    pub timestamp: Timestamp,
    pub snapshot: Snapshot,
    /// The top targets and all delegated roles.
    pub roles: BTreeMap<String, Targets>,
    /// Who signs, by role.
    pub signers: BTreeMap<String, Vec<u8>>,
    /// What is published.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether timestamp and snapshot say lengths and digests.
    pub hashed: bool,
}

impl Site {
    /// Version 1 of everything, published.
    pub fn new() -> Self {
        let numbers =
            [("root", ROOT_KEY), ("timestamp", TIMESTAMP_KEY), ("snapshot", SNAPSHOT_KEY), ("targets", TARGETS_KEY)];
        let assignment = key(ASSIGNMENT_KEY);
        let mut root = Root {
            version: 0,
            expires: LATER,
            consistent_snapshot: true,
            keys: [(assignment.key_id(), assignment.public().to_key())].into(),
            roles: BTreeMap::new(),
            site: Some(SiteKeys { tenant: TENANT, assignment: RoleKeys::new(vec![assignment.key_id()], 1) }),
            other: BTreeMap::new(),
        };
        for (role, number) in numbers {
            root.roles.insert(role.into(), RoleKeys::new(vec![key(number).key_id()], 1));
            root.keys.insert(key(number).key_id(), key(number).public().to_key());
        }
        let mut site = Self {
            root,
            timestamp: Timestamp { version: 0, expires: LATER, snapshot: named(1, None), other: BTreeMap::new() },
            snapshot: Snapshot { version: 0, expires: LATER, meta: BTreeMap::new(), other: BTreeMap::new() },
            roles: [("targets".into(), empty_targets())].into(),
            signers: numbers.map(|(role, number)| (role.into(), vec![number])).into(),
            files: BTreeMap::new(),
            hashed: true,
        };
        site.publish_root();
        site.publish(&["targets"]);
        site
    }

    /// The next root.
    pub fn publish_root(&mut self) {
        self.root.version += 1;
        let bytes = self.signed("root", &self.root.clone());
        self.files.insert(format!("{}.root.json", self.root.version), bytes);
    }

    /// The next version of these targets roles, then of snapshot and timestamp.
    pub fn publish(&mut self, roles: &[&str]) {
        for role in roles {
            self.publish_role(role);
        }
        self.publish_snapshot();
        self.publish_timestamp();
    }

    pub fn publish_role(&mut self, role: &str) {
        self.roles.get_mut(role).unwrap().version += 1;
        let content = self.roles[role].clone();
        let bytes = self.signed(role, &content);
        let meta = named(content.version, self.hashed.then_some(&bytes));
        self.snapshot.meta.insert(format!("{role}.json"), meta);
        self.store(role, content.version, bytes);
    }

    pub fn publish_snapshot(&mut self) {
        self.snapshot.version += 1;
        let bytes = self.signed("snapshot", &self.snapshot.clone());
        self.timestamp.snapshot = named(self.snapshot.version, self.hashed.then_some(&bytes));
        self.store("snapshot", self.snapshot.version, bytes);
    }

    pub fn publish_timestamp(&mut self) {
        self.timestamp.version += 1;
        let bytes = self.signed("timestamp", &self.timestamp.clone());
        self.files.insert("timestamp.json".into(), bytes);
    }

    /// Metadata with the signatures of the role's signers.
    pub fn signed<S: Signed>(&self, role: &str, content: &S) -> Vec<u8> {
        let mut draft = Draft::new(content);
        self.signers[role].iter().for_each(|number| draft.sign(&key(*number)));
        draft.to_bytes()
    }

    pub fn store(&mut self, role: &str, version: u64, bytes: Vec<u8>) {
        let role = percent_encoded(role);
        let file =
            if self.root.consistent_snapshot { format!("{version}.{role}.json") } else { format!("{role}.json") };
        self.files.insert(file, bytes);
    }

    /// From the next root on, these keys sign for a top role.
    pub fn rekey(&mut self, role: &str, numbers: &[u8], threshold: u64) {
        for number in numbers {
            self.root.keys.insert(key(*number).key_id(), key(*number).public().to_key());
        }
        let keyids = numbers.iter().map(|number| key(*number).key_id()).collect();
        self.root.roles.insert(role.into(), RoleKeys::new(keyids, threshold));
        self.signers.insert(role.into(), numbers.to_vec());
    }

    /// A role that `delegator` delegates these paths to from its next version on, signed by the key with this number.
    pub fn delegate(&mut self, delegator: &str, role: &str, number: u8, paths: &[&str]) -> &mut Delegation {
        self.roles.entry(role.into()).or_insert_with(empty_targets);
        let signers = self.signers.entry(role.into()).or_default();
        if !signers.contains(&number) {
            signers.push(number);
        }
        let content = self.roles.get_mut(delegator).unwrap();
        let delegations = content.delegations.get_or_insert_with(|| Delegations {
            keys: BTreeMap::new(),
            roles: Vec::new(),
            succinct: None,
            other: BTreeMap::new(),
        });
        delegations.keys.insert(key(number).key_id(), key(number).public().to_key());
        delegations.roles.push(Delegation {
            name: role.into(),
            keys: RoleKeys::new(vec![key(number).key_id()], 1),
            paths: Paths::Patterns(paths.iter().map(|path| (*path).into()).collect()),
            terminating: false,
        });
        delegations.roles.last_mut().unwrap()
    }

    /// A target of a role from its next version on.
    pub fn add_target(&mut self, role: &str, path: &str, content: &[u8]) {
        let file = TargetFile::new(content.len() as u64, &Digest::of(content));
        self.roles.get_mut(role).unwrap().targets.insert(path.into(), file);
    }

    pub fn answer(&self, file: &str) -> Answer<'_> {
        self.files.get(file).map_or(Answer::Missing, |bytes| Answer::Found(bytes))
    }

    /// A client that knows the first root and nothing else.
    pub fn client(&self) -> Client {
        Client::new(&self.files["1.root.json"], Floors::default()).unwrap()
    }

    /// A client that is up to date.
    pub fn fresh_client(&self) -> Client {
        let mut client = self.client();
        self.update(&mut client).unwrap();
        client
    }

    /// Brings a client up to date and says what it asked for.
    pub fn update(&self, client: &mut Client) -> Result<Vec<String>, TrustError> {
        self.update_at(client, NOW)
    }

    pub fn update_at(&self, client: &mut Client, now: i64) -> Result<Vec<String>, TrustError> {
        let mut refresh = client.refresh(now);
        let mut asked = Vec::new();
        while let Some(request) = refresh.next()? {
            refresh.receive(self.answer(&request.file))?;
            asked.push(request.file);
        }
        Ok(asked)
    }

    /// Searches for a target and says what was asked for on the way.
    pub fn search(&self, client: &mut Client, path: &str) -> (Result<Option<Target>, TrustError>, Vec<String>) {
        let mut search = client.search(path, NOW);
        let mut asked = Vec::new();
        while let Ok(Some(request)) = search.next() {
            _ = search.receive(self.answer(&request.file));
            asked.push(request.file);
        }
        (search.finish(), asked)
    }

    /// The role that says something about a target.
    pub fn found_in(&self, client: &mut Client, path: &str) -> Result<Option<String>, TrustError> {
        Ok(self.search(client, path).0?.map(|target| target.role))
    }
}

pub fn empty_targets() -> Targets {
    Targets { version: 0, expires: LATER, targets: BTreeMap::new(), delegations: None, other: BTreeMap::new() }
}

/// A file with this version, and with length and digest of these bytes where they are given.
pub fn named(version: u64, bytes: Option<&Vec<u8>>) -> MetaFile {
    match bytes {
        Some(bytes) => MetaFile::of(version, bytes),
        None => MetaFile { version, length: None, hashes: None, other: BTreeMap::new() },
    }
}

/// What a client holds, as role and version.
pub fn held(client: &Client) -> Vec<(String, u64)> {
    client
        .metadata()
        .map(|(role, bytes)| {
            let json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            (role.into(), json["signed"]["version"].as_u64().unwrap())
        })
        .collect()
}

pub fn versions(versions: &[(&str, u64)]) -> Vec<(String, u64)> {
    versions.iter().map(|(role, version)| ((*role).into(), *version)).collect()
}

/// The role in the name of a file whose role needs no encoding.
pub fn role_in(file: &str) -> &str {
    let name = file.trim_end_matches(".json");
    name.split_once('.').map_or(name, |(_, role)| role)
}

pub fn role_of(error: &TrustError) -> &str {
    match error {
        TrustError::Malformed { role, .. }
        | TrustError::TooLong { role, .. }
        | TrustError::Threshold { role, .. }
        | TrustError::Rollback { role, .. }
        | TrustError::Vanished { role, .. }
        | TrustError::Expired { role, .. }
        | TrustError::WrongVersion { role, .. }
        | TrustError::WrongLength { role, .. }
        | TrustError::WrongHash { role, .. }
        | TrustError::UnknownHash { role, .. }
        | TrustError::MissingMetadata { role }
        | TrustError::NotInSnapshot { role }
        | TrustError::NotDelegated { role } => role,
        TrustError::TooManyDelegations { .. } | TrustError::TenantChanged { .. } | TrustError::OutOfOrder => "",
    }
}
