//! The first keys of a site, its first root and its first targets.

use super::context::Context;
use super::drafts::{check_keys, check_on_site};
use super::state::{State, Version};
use super::{KeyError, KeyRole, Keys};
use crate::repository::roles::{self, DELEGATED, Validity};
use farrier_protocol::UnixTime;
use farrier_protocol::poll::Tenant;
use farrier_trust::json::Members;
use farrier_trust::{Delegation, Delegations, Key, Paths, PublicKey, RoleKeys, Root, Targets};
use std::collections::BTreeMap;

/// How the first keys are to be.
#[derive(Debug, Clone, Default)]
pub struct Ceremony {
    /// Keys that were made elsewhere; the site makes those of all other roles.
    pub elsewhere: BTreeMap<KeyRole, Vec<PublicKey>>,
    /// How many keys of a role must sign; 1 if it is not said.
    pub thresholds: BTreeMap<KeyRole, u64>,
}

impl Ceremony {
    /// Makes the keys that are missing, and the first root and targets as drafts.
    pub(super) fn hold(&self, keys: &Keys, now: UnixTime) -> Result<State, KeyError> {
        self.check()?;
        let mut of_roles = BTreeMap::new();
        for role in KeyRole::ALL {
            of_roles.insert(role, self.keys_of(role, keys)?);
        }
        let (root, targets) = (self.root(&of_roles, now), self.targets(&of_roles, now));
        let context = Context { root: Some(root.clone()), targets: Some(targets.clone()) };
        for (role, public) in &of_roles {
            let signers = context.of_role(*role).ok_or(KeyError::NoRoot)?;
            check_keys(*role, signers.role)?;
            check_on_site(*role, signers, public)?;
        }
        let mut state = State::default();
        state.wait(roles::ROOT, Version::new(&root), "the first root".to_owned(), now);
        state.wait(roles::TARGETS, Version::new(&targets), "the first delegations".to_owned(), now);
        Ok(state)
    }

    fn check(&self) -> Result<(), KeyError> {
        match self.elsewhere.keys().find(|role| !role.is_offline()) {
            Some(role) => Err(KeyError::Invalid(format!(
                "the site signs for {role} every day, so its keys are made here: only keys of root, targets, plugins and \
                 native can be made elsewhere"
            ))),
            None => Ok(()),
        }
    }

    fn keys_of(&self, role: KeyRole, keys: &Keys) -> Result<Vec<PublicKey>, KeyError> {
        if let Some(elsewhere) = self.elsewhere.get(&role) {
            return Ok(elsewhere.clone());
        }
        let here = keys.signers(role)?;
        let here = if here.is_empty() { vec![keys.make(role)?] } else { here };
        Ok(here.iter().map(farrier_trust::SigningKey::public).collect())
    }

    fn root(&self, of_roles: &BTreeMap<KeyRole, Vec<PublicKey>>, now: UnixTime) -> Root {
        let named_by_root = || of_roles.iter().filter(|(role, _)| role.named_by() == roles::ROOT);
        let top = named_by_root().filter(|(role, _)| **role != KeyRole::Assignment);
        Root {
            version: 1,
            expires: now + Validity::of(roles::ROOT).seconds,
            consistent_snapshot: true,
            keys: public_keys(named_by_root().flat_map(|(_, keys)| keys)),
            roles: top.map(|(role, keys)| (role.as_str().to_owned(), self.role_keys(*role, keys))).collect(),
            site: Some(farrier_trust::SiteKeys {
                tenant: Tenant(rand::random()),
                assignment: self.role_keys(KeyRole::Assignment, keys_in(of_roles, KeyRole::Assignment)),
            }),
            other: Members::new(),
        }
    }

    fn targets(&self, of_roles: &BTreeMap<KeyRole, Vec<PublicKey>>, now: UnixTime) -> Targets {
        let delegation = |role: &roles::DelegatedRole| {
            let of = KeyRole::of_metadata(role.name).unwrap_or(KeyRole::Policy);
            Delegation {
                name: role.name.to_owned(),
                keys: self.role_keys(of, keys_in(of_roles, of)),
                paths: Paths::Patterns(role.paths.iter().map(|path| (*path).to_owned()).collect()),
                terminating: role.terminating,
            }
        };
        let named_by_targets = of_roles.iter().filter(|(role, _)| role.named_by() == roles::TARGETS);
        Targets {
            version: 1,
            expires: now + Validity::of(roles::TARGETS).seconds,
            targets: BTreeMap::new(),
            delegations: Some(Delegations {
                keys: public_keys(named_by_targets.flat_map(|(_, keys)| keys)),
                roles: DELEGATED.iter().map(delegation).collect(),
                succinct: None,
                other: Members::new(),
            }),
            other: Members::new(),
        }
    }

    fn role_keys(&self, role: KeyRole, keys: &[PublicKey]) -> RoleKeys {
        let mut ids: Vec<String> = keys.iter().map(PublicKey::key_id).collect();
        ids.sort_unstable();
        ids.dedup();
        RoleKeys::new(ids, self.thresholds.get(&role).copied().unwrap_or(1))
    }
}

fn keys_in(of_roles: &BTreeMap<KeyRole, Vec<PublicKey>>, role: KeyRole) -> &[PublicKey] {
    of_roles.get(&role).map_or(&[], Vec::as_slice)
}

fn public_keys<'a>(keys: impl Iterator<Item = &'a PublicKey>) -> BTreeMap<String, Key> {
    keys.map(|key| (key.key_id(), key.to_key())).collect()
}

/// Whether the keys that the site needs from day to day are here.
pub(super) fn check_present(state: &State, keys: &Keys) -> Result<(), KeyError> {
    let present = state.present()?;
    for role in KeyRole::ALL.into_iter().filter(|role| !role.is_offline()) {
        let Some(signers) = present.of_role(role) else { continue };
        let here = keys.signers(role)?;
        let is_here = |id: &&String| here.iter().any(|key| signers.ids_of(&key.public()).any(|known| known == *id));
        let (found, missing): (Vec<_>, Vec<_>) = signers.role.keyids.iter().partition(is_here);
        if let Some(id) = missing.first().filter(|_| (found.len() as u64) < signers.role.threshold) {
            return Err(KeyError::Missing { file: keys.file_of(role, id), role });
        }
    }
    Ok(())
}
