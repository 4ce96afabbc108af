//! A signed repository in memory, as a site publishes it: all of its keys are here, so tests can do what a thief could.

use farrier_protocol::poll::{PollRequest, Statement, Tenant};
use farrier_protocol::{ClientId, Digest};
use farrier_trust::{
    Delegation, Delegations, Draft, MetaFile, Paths, RoleKeys, Root, Signed, SigningKey, SiteKeys, Snapshot,
    TargetFile, Targets, Timestamp, sign_statement,
};
use std::collections::BTreeMap;

/// 2100-01-01.
pub(super) const EXPIRES: i64 = 4_102_444_800;
/// The delegated roles, in the order in which they are asked.
const DELEGATED: [(&str, &[&str], bool); 4] = [
    ("native", &["native/*/*"], true),
    ("plugins", &["plugins/*/*"], true),
    ("catalogs", &["catalogs/*/*", "catalogs/*/*/*"], false),
    ("policies", &["policies/*"], false),
];

/// The repository.
#[derive(Debug)]
pub(super) struct Repository {
    pub tenant: Tenant,
    /// What is served, by file name: tests put other things in its place.
    pub files: BTreeMap<String, Vec<u8>>,
    /// When a role expires that does not expire as the others do.
    pub expires: BTreeMap<&'static str, i64>,
    /// The role whose next version is signed by nobody.
    pub forged: Option<&'static str>,
    /// The key that signs statements instead of the one that the root names.
    pub stolen: Option<SigningKey>,
    /// The version of timestamp and snapshot.
    pub snapshot: u64,
    keys: BTreeMap<&'static str, SigningKey>,
    seed: u8,
    root: u64,
    /// The targets roles as they were published last.
    roles: BTreeMap<&'static str, Targets>,
}

impl Repository {
    /// A repository with nothing but its first root, whose keys are made of this seed.
    pub(super) fn new(seed: u8) -> Self {
        let mut repository = Self {
            tenant: Tenant([seed; 16]),
            files: BTreeMap::new(),
            expires: BTreeMap::new(),
            forged: None,
            stolen: None,
            snapshot: 0,
            keys: BTreeMap::new(),
            seed,
            root: 0,
            roles: BTreeMap::new(),
        };
        let delegated = DELEGATED.iter().map(|(role, ..)| *role);
        for role in ["root", "targets", "snapshot", "timestamp", "assignment"].into_iter().chain(delegated) {
            let key = repository.new_key();
            repository.keys.insert(role, key);
        }
        repository.publish_root(&[]);
        repository
    }

    /// The newest root.
    pub(super) fn current_root(&self) -> &[u8] {
        &self.files[&format!("{}.root.json", self.root)]
    }

    /// A key of the repository.
    pub(super) fn key(&self, role: &str) -> SigningKey {
        self.keys[role].clone()
    }

    /// Replaces the key of a role. What it signs is to be published again.
    pub(super) fn rotate(&mut self, role: &'static str) {
        let key = self.new_key();
        let before = self.keys.insert(role, key).unwrap();
        let signers = if role == "root" { vec![before] } else { Vec::new() };
        self.publish_root(&signers);
    }

    /// Publishes these targets, by name.
    pub(super) fn publish(&mut self, targets: &[(String, Digest, u64)]) {
        let mut meta = BTreeMap::new();
        for (role, patterns, _) in DELEGATED {
            let folder = patterns[0].split('/').next().unwrap();
            let own = targets.iter().filter(|(name, ..)| name.split('/').next() == Some(folder));
            let own = own.map(|(name, digest, length)| (name.clone(), TargetFile::new(*length, digest))).collect();
            meta.insert(format!("{role}.json"), self.publish_targets(role, own, None));
        }
        let delegations = self.delegations();
        meta.insert("targets.json".into(), self.publish_targets("targets", BTreeMap::new(), Some(delegations)));
        self.publish_snapshot(meta);
    }

    /// Signs timestamp and snapshot anew, as a site does from time to time.
    pub(super) fn publish_snapshot(&mut self, meta: BTreeMap<String, MetaFile>) {
        self.snapshot += 1;
        let version = self.snapshot;
        let snapshot = Snapshot { version, expires: self.expires_of("snapshot"), meta, other: Default::default() };
        let bytes = self.sign("snapshot", &snapshot);
        let named = MetaFile::of(version, &bytes);
        self.files.insert(format!("{version}.snapshot.json"), bytes);
        let expires = self.expires_of("timestamp");
        let timestamp = Timestamp { version, expires, snapshot: named, other: Default::default() };
        let bytes = self.sign("timestamp", &timestamp);
        self.files.insert("timestamp.json".into(), bytes);
    }

    /// The file that holds a role's newest metadata.
    pub(super) fn file(&self, role: &str) -> String {
        format!("{}.{role}.json", self.roles[role].version)
    }

    /// SHA-256 of the timestamp.
    pub(super) fn timestamp(&self) -> Digest {
        Digest::of(&self.files["timestamp.json"])
    }

    /// What a site says in answer to this request, before it is signed.
    pub(super) fn statement(&self, request: &PollRequest, client: ClientId, assignment: &[u8]) -> Statement {
        Statement {
            tenant: self.tenant,
            client,
            version: 0,
            issued_at: 0,
            expires: EXPIRES,
            nonce: request.nonce,
            platform: request.platform.clone(),
            assignment: Digest::of(assignment),
            length: assignment.len() as u32,
            root: self.root,
            timestamp: self.timestamp(),
        }
    }

    /// The answer to a poll: the statement, and the assignment where the client does not have it.
    pub(super) fn reply(&self, request: &PollRequest, statement: &Statement, assignment: &[u8]) -> Vec<u8> {
        let key = self.stolen.clone().unwrap_or_else(|| self.key("assignment"));
        let signed = sign_statement(statement, &[key]);
        let is_known = request.known == Some(statement.assignment);
        farrier_protocol::encode(&signed.reply((!is_known).then_some(assignment))).unwrap()
    }

    fn publish_targets(
        &mut self,
        role: &'static str,
        targets: BTreeMap<String, TargetFile>,
        delegations: Option<Delegations>,
    ) -> MetaFile {
        let before = self.roles.get(role).cloned();
        let version = before.as_ref().map_or(1, |before| before.version);
        let mut now =
            Targets { version, expires: self.expires_of(role), targets, delegations, other: Default::default() };
        let is_forged = self.forged == Some(role);
        if before.is_some_and(|before| before != now) || is_forged {
            now.version += 1;
        }
        let bytes = self.sign(role, &now);
        let named = MetaFile::of(now.version, &bytes);
        self.files.insert(format!("{}.{role}.json", now.version), bytes);
        self.roles.insert(role, now);
        named
    }

    fn delegations(&self) -> Delegations {
        let keys = DELEGATED.iter().map(|(role, ..)| (self.keys[role].key_id(), self.keys[role].public().to_key()));
        let roles = DELEGATED.iter().map(|(role, patterns, terminating)| Delegation {
            name: (*role).into(),
            keys: RoleKeys::new(vec![self.keys[role].key_id()], 1),
            paths: Paths::Patterns(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()),
            terminating: *terminating,
        });
        Delegations { keys: keys.collect(), roles: roles.collect(), succinct: None, other: Default::default() }
    }

    /// The next root, signed by its own key and by these.
    fn publish_root(&mut self, signers: &[SigningKey]) {
        self.root += 1;
        let top = ["root", "targets", "snapshot", "timestamp"];
        let assignment = RoleKeys::new(vec![self.keys["assignment"].key_id()], 1);
        let keys = top.iter().chain(&["assignment"]).map(|role| &self.keys[role]);
        let root = Root {
            version: self.root,
            expires: self.expires_of("root"),
            consistent_snapshot: true,
            keys: keys.map(|key| (key.key_id(), key.public().to_key())).collect(),
            roles: top.map(|role| (role.into(), RoleKeys::new(vec![self.keys[role].key_id()], 1))).into(),
            site: Some(SiteKeys { tenant: self.tenant, assignment }),
            other: Default::default(),
        };
        let mut draft = Draft::new(&root);
        draft.sign(&self.keys["root"]);
        signers.iter().for_each(|signer| draft.sign(signer));
        self.files.insert(format!("{}.root.json", self.root), draft.to_bytes());
    }

    fn sign(&self, role: &'static str, content: &impl Signed) -> Vec<u8> {
        let mut draft = Draft::new(content);
        match self.forged == Some(role) {
            true => draft.add_signature(&self.keys[role].key_id(), &[9; 64]),
            false => draft.sign(&self.keys[role]),
        }
        draft.to_bytes()
    }

    fn expires_of(&self, role: &str) -> i64 {
        self.expires.get(role).copied().unwrap_or(EXPIRES)
    }

    fn new_key(&mut self) -> SigningKey {
        self.seed = self.seed.wrapping_add(1);
        SigningKey::from_secret(&[self.seed; 32]).unwrap()
    }
}
