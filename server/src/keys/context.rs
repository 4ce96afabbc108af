//! Whose signatures count, as a root and a targets say it.

use super::{KeyError, KeyRole};
use crate::repository::roles;
use farrier_trust::{Draft, Key, PublicKey, RoleKeys, Root, Targets};
use std::collections::BTreeMap;

/// A root and a targets that belong together.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    pub(super) root: Option<Root>,
    pub(super) targets: Option<Targets>,
}

/// The keys of a role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signers<'a> {
    pub(super) role: &'a RoleKeys,
    keys: &'a BTreeMap<String, Key>,
}

impl Context {
    /// Who signs this metadata.
    pub(super) fn of_metadata(&self, role: &str) -> Option<Signers<'_>> {
        if let Some(root) = &self.root
            && let Some(role) = root.role(role)
        {
            return Some(Signers { role, keys: &root.keys });
        }
        let delegations = self.targets.as_ref()?.delegations.as_ref()?;
        Some(Signers { role: delegations.keys_of(role)?, keys: &delegations.keys })
    }

    /// Whose keys a role has. All metadata of one role have the same keys.
    pub(super) fn of_role(&self, role: KeyRole) -> Option<Signers<'_>> {
        match role.metadata().first() {
            Some(metadata) => self.of_metadata(metadata),
            None => {
                let root = self.root.as_ref()?;
                Some(Signers { role: &root.site.as_ref()?.assignment, keys: &root.keys })
            }
        }
    }

    /// Whether enough of the role's keys have signed this.
    pub(super) fn takes(&self, role: &str, draft: &Draft) -> bool {
        self.of_metadata(role).is_some_and(|signers| signers.are_enough(draft))
    }
}

impl<'a> Signers<'a> {
    /// How many different ones have signed.
    pub(super) fn count(self, draft: &Draft) -> u64 {
        draft.valid_signatures(self.role, self.keys).into()
    }

    /// Whether enough of them have signed.
    pub(super) fn are_enough(self, draft: &Draft) -> bool {
        self.count(draft) >= self.role.threshold
    }

    /// Whether one of them has this id.
    pub(super) fn has_id(self, id: &str) -> bool {
        self.role.keyids.iter().any(|known| known == id)
    }

    /// The ids under which this key is among them.
    pub(super) fn ids_of(self, key: &PublicKey) -> impl Iterator<Item = &'a str> + use<'a> {
        let bytes = *key.as_bytes();
        let is_it = move |id: &&String| self.keys.get(*id).and_then(Key::to_ed25519) == Some(bytes);
        self.role.keyids.iter().filter(is_it).map(String::as_str)
    }

    /// Whether this signature of theirs is good.
    pub(super) fn accept(self, draft: &Draft, id: &str, signature: &[u8]) -> bool {
        let mut signed = draft.clone();
        signed.add_signature(id, signature);
        signed.valid_signatures(&RoleKeys::new(vec![id.to_owned()], 1), self.keys) == 1
    }
}

/// Has a role of the root, or the one of the assignments, signed by these keys.
pub(super) fn set_keys_of_root(root: &mut Root, role: KeyRole, keys: RoleKeys) -> Result<(), KeyError> {
    match (role, &mut root.site) {
        (KeyRole::Assignment, Some(site)) => site.assignment = keys,
        (KeyRole::Assignment, None) => return Err(KeyError::Invalid("the root is of no Farrier site".to_owned())),
        _ => _ = root.roles.insert(role.as_str().to_owned(), keys),
    }
    let assignment = root.site.iter().map(|site| &site.assignment);
    let named: Vec<String> = root.roles.values().chain(assignment).flat_map(|role| role.keyids.clone()).collect();
    root.keys.retain(|id, _| named.contains(id));
    Ok(())
}

/// Has the metadata that targets delegates to a role signed by these keys.
pub(super) fn set_keys_of_targets(targets: &mut Targets, role: KeyRole, keys: &RoleKeys) {
    let Some(delegations) = &mut targets.delegations else { return };
    for delegation in &mut delegations.roles {
        if role.metadata().contains(&delegation.name.as_str()) {
            delegation.keys = keys.clone();
        }
    }
    let named: Vec<String> = delegations.roles.iter().flat_map(|role| role.keys.keyids.clone()).collect();
    delegations.keys.retain(|id, _| named.contains(id));
}

/// The metadata of roles whose keys the site does not need from day to day: they may have to wait for a signature.
pub(super) const SIGNED_ELSEWHERE: [&str; 4] = [roles::ROOT, roles::TARGETS, roles::PLUGINS, roles::NATIVE];
