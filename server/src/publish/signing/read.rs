//! Reading metadata, as the publisher needs them.

use super::super::Target;
use crate::database::StoredMetadata;
use anyhow::Context as _;
use farrier_trust::{Draft, Key, RoleKeys, Root, Signed, TargetFile, Targets};
use std::collections::BTreeMap;

/// Public keys by their ids.
pub(super) type PublicKeys = BTreeMap<String, Key>;

/// What metadata say, whoever signed them.
pub(super) fn content<S: Signed>(metadata: &StoredMetadata) -> anyhow::Result<S> {
    Ok(Draft::from_bytes(&metadata.role, &metadata.bytes)?.content()?)
}

/// The targets that the metadata of a role name.
pub(super) fn targets_in(role: &str, bytes: &[u8]) -> anyhow::Result<Vec<Target>> {
    let targets: Targets = Draft::from_bytes(role, bytes)?.content()?;
    let target = |(name, file): (String, TargetFile)| {
        let digest = file.hashes.get("sha256").and_then(|digest| digest.parse().ok());
        let digest = digest.with_context(|| format!("the target {name} has no SHA-256"))?;
        Ok(Target { name, digest, length: file.length })
    };
    targets.targets.into_iter().map(target).collect()
}

/// The keys of one of the top roles.
pub(super) fn top_keys<'a>(root: &'a Root, role: &str) -> anyhow::Result<&'a RoleKeys> {
    root.role(role).with_context(|| format!("the root names no keys of {role}"))
}

/// Whether one of the top roles is signed by the keys that the root names.
pub(super) fn is_signed_by_role(metadata: &StoredMetadata, root: &Root) -> bool {
    let draft = Draft::from_bytes(&metadata.role, &metadata.bytes);
    draft.is_ok_and(|draft| root.role(&metadata.role).is_some_and(|role| is_enough(&draft, role, &root.keys)))
}

/// Whether enough of a role's keys have signed.
pub(super) fn is_enough(draft: &Draft, role: &RoleKeys, keys: &PublicKeys) -> bool {
    u64::from(draft.valid_signatures(role, keys)) >= role.threshold
}
