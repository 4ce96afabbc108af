//! What the publisher signs with the keys that are on the site.

use super::read::{PublicKeys, content, is_enough, is_signed_by_role, top_keys};
use super::{ASK_WITH_SECONDS, Role, SignedRepository};
use crate::database::StoredMetadata;
use crate::keys::{KeyRole, Keys};
use crate::repository::roles::{self, Validity, next_version};
use anyhow::{Context as _, bail};
use farrier_protocol::UnixTime;
use farrier_trust::{Draft, Key, MetaFile, RoleKeys, Root, Signed, Snapshot, Targets};
use std::collections::BTreeMap;

/// Whoever signs, with the keys that are on the site.
pub(super) struct Signer<'a> {
    pub(super) keys: &'a Keys,
    pub(super) now: UnixTime,
}

impl Signer<'_> {
    /// Signs with those keys of the role that are here. If they are too few, the draft has what they signed.
    pub(super) fn sign<S: Signed>(
        &self,
        role: &str,
        content: &S,
        role_keys: &RoleKeys,
        keys: &PublicKeys,
    ) -> anyhow::Result<Result<StoredMetadata, Draft>> {
        let mut draft = Draft::new(content);
        let key_role = KeyRole::of_metadata(role).with_context(|| format!("the site never signs for {role}"))?;
        for key in self.keys.signers(key_role).with_context(|| format!("the keys of {role} cannot be read"))? {
            let bytes = *key.public().as_bytes();
            let is_it = |id: &&String| keys.get(*id).and_then(Key::to_ed25519) == Some(bytes);
            if let Some(id) = role_keys.keyids.iter().find(is_it) {
                let signature = key.sign(&draft.signed_bytes());
                draft.add_signature(id, &signature);
            }
        }
        if !is_enough(&draft, role_keys, keys) {
            return Ok(Err(draft));
        }
        let (version, expires_at) = (content.version(), content.expires());
        Ok(Ok(StoredMetadata { role: role.to_owned(), version, expires_at, bytes: draft.to_bytes() }))
    }

    /// Signs what the site itself has to sign, always.
    pub(super) fn online<S: Signed>(&self, role: &str, content: &S, root: &Root) -> anyhow::Result<StoredMetadata> {
        let Ok(signed) = self.sign(role, content, top_keys(root, role)?, &root.keys)? else {
            bail!(
                "the {role} cannot be signed: the site does not have the keys that root version {} names; restore them \
                 from a backup, or sign a root with others (`farrier keys rotate {role}`)",
                root.version
            );
        };
        Ok(signed)
    }

    /// The root, signed again where it grows old and its keys are here.
    pub(super) fn renewed_root(&self, stored: StoredMetadata) -> anyhow::Result<Role> {
        let root: Root = content(&stored)?;
        self.renewed(stored, true, |version, expires| {
            let renewed = Root { version, expires, ..root.clone() };
            self.sign(roles::ROOT, &renewed, top_keys(&root, roles::ROOT)?, &root.keys)
        })
    }

    /// The targets, in the same way, and where their keys are others now.
    pub(super) fn renewed_targets(&self, stored: StoredMetadata, root: &Root) -> anyhow::Result<Role> {
        let targets: Targets = content(&stored)?;
        let is_signed = is_signed_by_role(&stored, root);
        self.renewed(stored, is_signed, |version, expires| {
            let renewed = Targets { version, expires, ..targets.clone() };
            self.sign(roles::TARGETS, &renewed, top_keys(root, roles::TARGETS)?, &root.keys)
        })
    }

    fn renewed(
        &self,
        stored: StoredMetadata,
        is_signed: bool,
        sign: impl FnOnce(u64, UnixTime) -> anyhow::Result<Result<StoredMetadata, Draft>>,
    ) -> anyhow::Result<Role> {
        let validity = Validity::of(&stored.role);
        if is_signed && !validity.is_old(stored.expires_at, self.now) {
            return Ok(Role::kept(stored));
        }
        let version = next_version(&stored.role, stored.version, self.now);
        if let Ok(metadata) = sign(version, self.now + validity.seconds)? {
            tracing::info!(role = stored.role, version, "Metadata is signed again");
            return Ok(Role::new(metadata));
        }
        self.report_old(&stored);
        Ok(Role::kept(stored))
    }

    /// The snapshot of what is to be published.
    pub(super) fn snapshot(
        &self,
        before: Option<StoredMetadata>,
        repository: &SignedRepository,
    ) -> anyhow::Result<Role> {
        let named = repository.metadata.iter().filter(|metadata| metadata.role != roles::ROOT);
        let file = |metadata: &StoredMetadata| {
            (format!("{}.json", metadata.role), MetaFile::of(metadata.version, &metadata.bytes))
        };
        let meta: BTreeMap<_, _> = named.map(file).collect();
        let validity = Validity::of(roles::SNAPSHOT);
        let is_current = |before: &StoredMetadata| {
            content::<Snapshot>(before).is_ok_and(|content| content.meta == meta)
                && !validity.is_old(before.expires_at, self.now)
                && is_signed_by_role(before, &repository.root)
        };
        if let Some(metadata) = before.as_ref().filter(|before| is_current(before)) {
            return Ok(Role::kept(metadata.clone()));
        }
        let last = before.map_or(0, |before| before.version);
        let version = next_version(roles::SNAPSHOT, last, self.now);
        let content = Snapshot { version, expires: self.now + validity.seconds, meta, other: BTreeMap::new() };
        Ok(Role::new(self.online(roles::SNAPSHOT, &content, &repository.root)?))
    }

    /// Says that nobody here can sign what is about to expire.
    pub(super) fn report_old(&self, metadata: &StoredMetadata) {
        if metadata.expires_at - self.now <= ASK_WITH_SECONDS {
            tracing::error!(
                role = metadata.role,
                days_left = (metadata.expires_at - self.now) / (24 * 60 * 60),
                "Metadata is about to expire and the site does not have the keys to sign it again: clients will take \
                 nothing new of it; bring the keys (`farrier keys request` says how)"
            );
        }
    }
}
