//! Signing: which of the repository's metadata have to be signed, and by whom.
//!
//! A role is signed again when its targets changed, when it grows old, or when its keys are others. Where too few of its
//! keys are on the site, what is to be signed waits ([`PendingMetadata`]), and the repository goes on with what the role
//! signed last: one that cannot be signed stops no other.

mod delegated;
mod read;
mod signer;

use super::Target;
use crate::database::{Basis, Database, PendingMetadata, Publication, PublishedRole, StoredMetadata};
use crate::keys::Keys;
use crate::repository::roles::{self, Validity, next_version};
use anyhow::Context as _;
use delegated::{Delegated, is_home};
use farrier_protocol::{Digest, UnixTime};
use farrier_trust::{Delegation, MetaFile, Root, Targets, Timestamp};
use read::{content, is_signed_by_role, targets_in};
use signer::Signer;
use std::collections::BTreeMap;

/// With so much left, metadata whose keys are elsewhere waits to be signed again, though nothing in it changed.
const ASK_WITH_SECONDS: i64 = 60 * 24 * 60 * 60;

/// What is signed so far, and what waits.
pub(super) struct Stored {
    root: StoredMetadata,
    targets: StoredMetadata,
    snapshot: Option<StoredMetadata>,
    timestamp: Option<StoredMetadata>,
    /// All other roles, by name.
    delegated: BTreeMap<String, StoredMetadata>,
    pending: Vec<PendingMetadata>,
    /// What was read.
    basis: Basis,
}

impl Stored {
    /// Reads it.
    pub(super) async fn read(database: &Database, current: Option<&Publication>) -> anyhow::Result<Self> {
        let newest = database.newest_metadata().await.context("reading the metadata")?;
        let role = |metadata: &StoredMetadata| PublishedRole { name: metadata.role.clone(), version: metadata.version };
        let versions = newest.iter().map(role).collect();
        let mut newest: BTreeMap<String, StoredMetadata> =
            newest.into_iter().map(|metadata| (metadata.role.clone(), metadata)).collect();
        Ok(Self {
            root: newest.remove(roles::ROOT).context(NO_KEYS)?,
            targets: newest.remove(roles::TARGETS).context(NO_KEYS)?,
            snapshot: newest.remove(roles::SNAPSHOT),
            timestamp: newest.remove(roles::TIMESTAMP),
            delegated: newest,
            pending: database.pending_metadata().await.context("reading what waits for a signature")?,
            basis: Basis { publication: current.map_or(0, |current| current.version), metadata: versions },
        })
    }
}

const NO_KEYS: &str =
    "the repository has no root yet: its keys are made when the site starts, or by `farrier keys init`";

/// What the next publication consists of, but for its timestamp.
pub(super) struct SignedRepository {
    root: Root,
    /// Root, targets, delegated roles and snapshot.
    metadata: Vec<StoredMetadata>,
    /// Those of them that are new.
    new: Vec<StoredMetadata>,
    /// The timestamp that was published last.
    timestamp: Option<StoredMetadata>,
    /// The targets that are signed.
    pub(super) targets: Vec<Target>,
    pending: Vec<PendingMetadata>,
    /// Roles of which nothing has to wait any more.
    settled: Vec<String>,
    basis: Basis,
}

/// Everything that a publication consists of.
pub(super) struct Complete {
    /// The metadata that are new in it.
    pub(super) new: Vec<StoredMetadata>,
    /// All of its metadata.
    pub(super) roles: Vec<PublishedRole>,
    /// The version of its timestamp.
    pub(super) version: u64,
    /// The digest of its timestamp.
    pub(super) timestamp: Digest,
    /// What it was made after.
    pub(super) basis: Basis,
}

/// Signs what has to be signed of a repository with these targets.
pub(super) fn sign(stored: Stored, wish: &[Target], keys: &Keys, now: UnixTime) -> anyhow::Result<SignedRepository> {
    let signer = Signer { keys, now };
    let root = signer.renewed_root(stored.root)?;
    let mut repository = SignedRepository {
        root: content(&root.metadata)?,
        metadata: Vec::new(),
        new: Vec::new(),
        timestamp: stored.timestamp,
        targets: Vec::new(),
        pending: Vec::new(),
        settled: Vec::new(),
        basis: stored.basis,
    };
    let targets = signer.renewed_targets(stored.targets, &repository.root)?;
    let delegations = content::<Targets>(&targets.metadata)?.delegations.context("targets delegates to nobody")?;
    repository.take(root);
    repository.take(targets);
    report_homeless(wish, &delegations.roles);
    let mut before = stored.delegated;
    for delegation in &delegations.roles {
        let before = before.remove(&delegation.name);
        let outcome = Delegated::new(delegation, &delegations, wish, before, &stored.pending).sign(&signer)?;
        outcome.role.into_iter().for_each(|role| repository.take(role));
        repository.pending.extend(outcome.waits);
        repository.settled.extend(outcome.is_settled.then(|| delegation.name.clone()));
    }
    // Nobody delegates to them any more, but clients take no snapshot that names less than the one before.
    before.into_values().for_each(|metadata| repository.take(Role { metadata, state: State::Void }));
    let snapshot = signer.snapshot(stored.snapshot, &repository)?;
    repository.take(snapshot);
    Ok(repository)
}

/// Metadata of a role as it is to be published.
struct Role {
    metadata: StoredMetadata,
    state: State,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was just signed.
    New,
    /// It was signed before, and counts.
    Kept,
    /// It does not count, because its keys are others now, or because nobody delegates to it. Clients take no snapshot
    /// that names less than the one before.
    Void,
}

impl Role {
    fn new(metadata: StoredMetadata) -> Self {
        Self { metadata, state: State::New }
    }

    fn kept(metadata: StoredMetadata) -> Self {
        Self { metadata, state: State::Kept }
    }
}

impl SignedRepository {
    fn take(&mut self, Role { metadata, state }: Role) {
        if state == State::New {
            self.new.push(metadata.clone());
        }
        if state != State::Void && !roles::TOP.contains(&&*metadata.role) {
            self.targets.extend(targets_in(&metadata.role, &metadata.bytes).unwrap_or_default());
        }
        self.metadata.push(metadata);
    }

    /// Writes down what waits, and forgets what waited.
    pub(super) async fn note_pending(&self, database: &Database) -> Result<(), sqlx::Error> {
        for pending in &self.pending {
            tracing::warn!(
                role = pending.role,
                reason = pending.reason,
                "Metadata waits for a signature: take it to its key with `farrier keys request`"
            );
            database.store_pending(pending).await?;
        }
        for role in &self.settled {
            database.remove_pending(role).await?;
        }
        Ok(())
    }

    /// Whether it is anything else than what is published, or the timestamp of that has to be signed again.
    pub(super) fn is_new(&self, published: &Publication, now: UnixTime) -> bool {
        let is_published = |metadata: &StoredMetadata| published.role_version(&metadata.role) == Some(metadata.version);
        let Some(timestamp) = &self.timestamp else { return true };
        let validity = Validity::of(roles::TIMESTAMP);
        !self.metadata.iter().all(is_published)
            || validity.is_old(timestamp.expires_at, now)
            || !is_signed_by_role(timestamp, &self.root)
    }

    /// The whole, with a timestamp of its own.
    pub(super) fn complete(mut self, keys: &Keys, now: UnixTime) -> anyhow::Result<Complete> {
        let snapshot = self.metadata.iter().find(|metadata| metadata.role == roles::SNAPSHOT);
        let snapshot = snapshot.context("there is no snapshot")?;
        let last = self.timestamp.as_ref().map_or(0, |timestamp| timestamp.version).max(self.basis.publication);
        let version = next_version(roles::TIMESTAMP, last, now);
        let content = Timestamp {
            version,
            expires: now + Validity::of(roles::TIMESTAMP).seconds,
            snapshot: MetaFile::of(snapshot.version, &snapshot.bytes),
            other: BTreeMap::new(),
        };
        let timestamp = Signer { keys, now }.online(roles::TIMESTAMP, &content, &self.root)?;
        let digest = Digest::of(&timestamp.bytes);
        self.new.push(timestamp.clone());
        self.metadata.push(timestamp);
        let roles =
            self.metadata.into_iter().map(|StoredMetadata { role: name, version, .. }| PublishedRole { name, version });
        Ok(Complete { new: self.new, roles: roles.collect(), version, timestamp: digest, basis: self.basis })
    }
}

/// The targets of a publication.
pub(super) async fn targets_of(database: &Database, publication: &Publication) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for PublishedRole { name, version } in &publication.roles {
        if roles::TOP.contains(&name.as_str()) {
            continue;
        }
        let bytes = database.metadata_version(name, *version).await.context("reading metadata")?;
        let bytes = bytes.with_context(|| format!("version {version} of {name} is published and not there"))?;
        targets.extend(targets_in(name, &bytes)?);
    }
    Ok(targets)
}

/// The targets that wait for a signature.
pub(super) async fn pending_targets(database: &Database) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for pending in database.pending_metadata().await.context("reading what waits for a signature")? {
        if !roles::TOP.contains(&&*pending.role) {
            targets.extend(targets_in(&pending.role, &pending.bytes)?);
        }
    }
    Ok(targets)
}

/// Says which targets no role may name.
fn report_homeless(wish: &[Target], delegations: &[Delegation]) {
    for target in wish.iter().filter(|target| !delegations.iter().any(|delegation| is_home(delegation, target))) {
        tracing::error!(
            target = target.name,
            "A target is not published: the targets metadata delegate its path to nobody"
        );
    }
}
