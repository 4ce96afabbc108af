//! Every check that metadata must pass before they are held.

use super::{Client, Held, HeldTargets, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, bounded_targets, expired};
use crate::TrustError;
use crate::keys::Key;
use crate::limits::{MAX_ROOT_BYTES, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES, MAX_TIMESTAMP_BYTES};
use crate::metadata::{Draft, MetaFile, RoleKeys, Root, Signed, Snapshot, Targets, Timestamp, count_signatures};
use crate::target::TargetVerifier;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use farrier_protocol::UnixTime;

/// A root that is trusted because the caller says so, if it is signed by its own keys.
pub(super) fn first_root(bytes: &[u8]) -> Result<Held<Root>, TrustError> {
    let (draft, content) = read_root(bytes)?;
    check_threshold(&draft, ROOT, content.role(ROOT), &content.keys)?;
    Ok(Held { content, bytes: bytes.to_vec() })
}

fn read_root(bytes: &[u8]) -> Result<(Draft, Root), TrustError> {
    check_size(ROOT, bytes, MAX_ROOT_BYTES)?;
    let draft = Draft::from_bytes(ROOT, bytes)?;
    let content: Root = draft.clone().into_content(ROOT)?;
    content.assignment_keys().map_err(|reason| TrustError::malformed(ROOT, reason))?;
    Ok((draft, content))
}

impl Client {
    /// Takes the next root (sections 5.3.4 to 5.3.7).
    pub(super) fn accept_root(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let (draft, content) = read_root(bytes)?;
        let trusted = &self.root.content;
        check_threshold(&draft, ROOT, trusted.role(ROOT), &trusted.keys)?;
        check_threshold(&draft, ROOT, content.role(ROOT), &content.keys)?;
        check_version(ROOT, content.version, trusted.version.saturating_add(1))?;
        let tenant = content.site.as_ref().map(|site| site.tenant);
        match self.tenant() {
            Some(from) if tenant != Some(from) => Err(TrustError::TenantChanged { from, to: tenant }),
            _ => {
                self.root = Held { content, bytes: bytes.to_vec() };
                self.drop_what_the_root_no_longer_signs();
                Ok(())
            }
        }
    }

    /// What follows when there is no newer root (sections 5.3.10 and 5.3.11).
    pub(super) fn settle_root(&mut self, now: UnixTime) -> Result<(), TrustError> {
        let root = &self.root.content;
        check_floor(ROOT, root.version, self.floors.root)?;
        check_expiry(ROOT, root, Some(now))?;
        if !self.floors.count_under(root) {
            self.timestamp = None;
            self.snapshot = None;
        }
        self.floors.settle_under(root);
        Ok(())
    }

    fn drop_what_the_root_no_longer_signs(&mut self) {
        let root = &self.root.content;
        let signed = |role, bytes: &[u8]| {
            Draft::from_bytes(role, bytes)
                .is_ok_and(|draft| check_threshold(&draft, role, root.role(role), &root.keys).is_ok())
        };
        self.timestamp.take_if(|held| !signed(TIMESTAMP, &held.bytes));
        self.snapshot.take_if(|held| !signed(SNAPSHOT, &held.bytes));
        if self.targets.get(TARGETS).is_some_and(|role| !signed(TARGETS, &role.held.bytes)) {
            self.forget_role(TARGETS);
        }
    }

    /// Takes a timestamp (section 5.4), unless the one that is held has the same version.
    pub(super) fn accept_timestamp(&mut self, bytes: &[u8], now: Option<UnixTime>) -> Result<(), TrustError> {
        check_size(TIMESTAMP, bytes, MAX_TIMESTAMP_BYTES)?;
        let offered: Timestamp = self.open_top(TIMESTAMP, bytes)?;
        if let Some(held) = &self.timestamp
            && held.content.version == offered.version
        {
            return check_expiry(TIMESTAMP, &held.content, now);
        }
        if self.floors.count_under(&self.root.content) {
            check_floor(TIMESTAMP, offered.version, self.floors.timestamp)?;
            check_floor(SNAPSHOT, offered.snapshot.version, self.floors.snapshot)?;
        }
        check_expiry(TIMESTAMP, &offered, now)?;
        if self.floors.are_raised_under(&self.root.content) {
            self.floors.settle_under(&self.root.content);
            self.floors.raise_to_timestamp(&offered);
        }
        self.timestamp = Some(Held { content: offered, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Takes the snapshot that the timestamp names (section 5.5).
    pub(super) fn accept_snapshot(&mut self, bytes: &[u8], now: UnixTime) -> Result<(), TrustError> {
        check_size(SNAPSHOT, bytes, MAX_SNAPSHOT_BYTES)?;
        let named = &self.held_timestamp()?.snapshot;
        fits(SNAPSHOT, named, bytes)?;
        let offered: Snapshot = self.open_top(SNAPSHOT, bytes)?;
        check_version(SNAPSHOT, offered.version, named.version)?;
        self.hold_snapshot(offered, bytes, Some(now))
    }

    /// Takes a snapshot that was stored. It may be older than the one that the timestamp names: then what it lists is
    /// of use until that one is there.
    pub(super) fn restore_snapshot(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        check_size(SNAPSHOT, bytes, MAX_SNAPSHOT_BYTES)?;
        let named = &self.held_timestamp()?.snapshot;
        let offered: Snapshot = self.open_top(SNAPSHOT, bytes)?;
        if offered.version >= named.version {
            fits(SNAPSHOT, named, bytes)?;
            check_version(SNAPSHOT, offered.version, named.version)?;
        }
        self.hold_snapshot(offered, bytes, None)
    }

    fn hold_snapshot(&mut self, offered: Snapshot, bytes: &[u8], now: Option<UnixTime>) -> Result<(), TrustError> {
        if self.floors.count_under(&self.root.content) {
            check_listed(&self.floors.roles, &offered)?;
        }
        check_expiry(SNAPSHOT, &offered, now)?;
        if self.floors.are_raised_under(&self.root.content) {
            self.floors.raise_to_snapshot(&offered);
        }
        let is_listed = |role: &str, held: &Held<Targets>| {
            let named = offered.meta.get(&meta_path(role));
            named.is_some_and(|named| held.content.version == named.version && fits(role, named, &held.bytes).is_ok())
        };
        let outdated: Vec<String> = self
            .targets
            .iter()
            .filter(|(role, targets)| !is_listed(role, &targets.held))
            .map(|(role, _)| role.clone())
            .collect();
        outdated.iter().for_each(|role| self.forget_role(role));
        self.snapshot = Some(Held { content: offered, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Takes a targets role in the version that the snapshot lists, if it is signed by the keys that its delegator
    /// names (sections 5.6.2 to 5.6.5).
    pub(super) fn accept_targets(
        &mut self,
        role: &str,
        delegator: &str,
        bytes: &[u8],
        now: Option<UnixTime>,
    ) -> Result<(), TrustError> {
        check_size(role, bytes, MAX_TARGETS_BYTES)?;
        let named = self.listed(role)?;
        fits(role, named, bytes)?;
        let (role_keys, keys) = self.delegation(role, delegator)?;
        let content: Targets = open(role, bytes, role_keys, keys)?;
        check_version(role, content.version, named.version)?;
        check_expiry(role, &content, now)?;
        if let Some(held) = self.targets.get_mut(role)
            && held.held.bytes == bytes
        {
            held.delegators.insert(delegator.into());
            return Ok(());
        }
        self.forget_role(role);
        let held = Held { content, bytes: bytes.to_vec() };
        self.targets.insert(role.into(), HeldTargets { held, delegators: BTreeSet::from([delegator.into()]) });
        Ok(())
    }

    /// Takes a delegated role that was stored, if any delegation to it that is held verifies it.
    pub(super) fn restore_delegated(&mut self, role: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let delegates =
            |held: &HeldTargets| held.held.content.delegations.as_ref().is_some_and(|all| all.keys_of(role).is_some());
        let delegators: Vec<String> =
            self.targets.iter().filter(|(_, held)| delegates(held)).map(|(name, _)| name.clone()).collect();
        let mut restored = Err(TrustError::NotDelegated { role: role.into() });
        for delegator in delegators {
            let accepted = self.accept_targets(role, &delegator, bytes, None);
            if restored.is_err() {
                restored = accepted;
            }
        }
        restored
    }

    /// Takes the snapshot that was stored, if it is the one that the timestamp names.
    pub(super) fn accept_snapshot_at_hand(&mut self, now: UnixTime) -> bool {
        self.aside.get(SNAPSHOT).cloned().is_some_and(|bytes| self.accept_snapshot(&bytes, now).is_ok())
    }

    /// Takes what is held of a targets role for a further delegation to it, or what was stored of it.
    pub(super) fn accept_targets_at_hand(&mut self, role: &str, delegator: &str, now: UnixTime) -> bool {
        let held = self.targets.get(role).map(|held| held.held.bytes.clone());
        let at_hand = [held, self.aside.get(role).cloned()];
        at_hand.iter().flatten().any(|bytes| self.accept_targets(role, delegator, bytes, Some(now)).is_ok())
    }

    /// Everything that a targets role is searched on the strength of, at this time (the last checks of 5.3 to 5.6).
    pub(super) fn check_top(&self, now: UnixTime) -> Result<(), TrustError> {
        check_expiry(ROOT, &self.root.content, Some(now))?;
        check_expiry(TIMESTAMP, self.held_timestamp()?, Some(now))?;
        let missing = |role: &str| TrustError::MissingMetadata { role: role.into() };
        let snapshot = self.current_snapshot().ok_or_else(|| missing(SNAPSHOT))?;
        check_expiry(SNAPSHOT, &snapshot.content, Some(now))?;
        let targets = self.targets.get(TARGETS).ok_or_else(|| missing(TARGETS))?;
        check_expiry(TARGETS, &targets.held.content, Some(now))
    }

    /// How the snapshot lists a targets role.
    pub(super) fn listed(&self, role: &str) -> Result<&MetaFile, TrustError> {
        let snapshot = self.snapshot.as_ref().ok_or_else(|| TrustError::MissingMetadata { role: SNAPSHOT.into() })?;
        let listed = snapshot.content.meta.get(&meta_path(role));
        listed.ok_or_else(|| TrustError::NotInSnapshot { role: role.into() })
    }

    /// The most bytes that a targets role can have.
    pub(super) fn max_targets_bytes(&self, role: &str) -> Result<u64, TrustError> {
        bounded_targets(role, self.listed(role)?.length)
    }

    pub(super) fn held_timestamp(&self) -> Result<&Timestamp, TrustError> {
        let held = self.timestamp.as_ref().ok_or_else(|| TrustError::MissingMetadata { role: TIMESTAMP.into() })?;
        Ok(&held.content)
    }

    /// Who signs for a targets role, as its delegator says it.
    fn delegation(&self, role: &str, delegator: &str) -> Result<(&RoleKeys, &BTreeMap<String, Key>), TrustError> {
        let root = &self.root.content;
        let found = if delegator == ROOT {
            root.role(role).map(|role_keys| (role_keys, &root.keys))
        } else {
            let held = self.targets.get(delegator).and_then(|held| held.held.content.delegations.as_ref());
            held.and_then(|delegations| Some((delegations.keys_of(role)?, &delegations.keys)))
        };
        found.ok_or_else(|| TrustError::NotDelegated { role: role.into() })
    }

    /// Forgets a targets role, and that it has delegated to others.
    fn forget_role(&mut self, role: &str) {
        self.targets.remove(role);
        self.targets.values_mut().for_each(|held| _ = held.delegators.remove(role));
    }

    fn open_top<S: Signed>(&self, role: &str, bytes: &[u8]) -> Result<S, TrustError> {
        let root = &self.root.content;
        let role_keys = root.role(role).ok_or_else(|| TrustError::NotDelegated { role: role.into() })?;
        open(role, bytes, role_keys, &root.keys)
    }
}

/// Reads metadata that enough of these keys have signed.
fn open<S: Signed>(
    role: &str,
    bytes: &[u8],
    role_keys: &RoleKeys,
    keys: &BTreeMap<String, Key>,
) -> Result<S, TrustError> {
    let draft = Draft::from_bytes(role, bytes)?;
    check_threshold(&draft, role, Some(role_keys), keys)?;
    draft.into_content(role)
}

fn check_threshold(
    draft: &Draft,
    role: &str,
    role_keys: Option<&RoleKeys>,
    keys: &BTreeMap<String, Key>,
) -> Result<(), TrustError> {
    let needed = role_keys.map_or(1, |role_keys| role_keys.threshold.max(1));
    let valid = role_keys.map_or(0, |role_keys| count_signatures(draft, role_keys, keys, needed));
    if u64::from(valid) >= needed {
        return Ok(());
    }
    Err(TrustError::Threshold { role: role.into(), valid, needed: u32::try_from(needed).unwrap_or(u32::MAX) })
}

fn check_size(role: &str, bytes: &[u8], limit: u64) -> Result<(), TrustError> {
    if bytes.len() as u64 > limit {
        return Err(TrustError::TooLong { role: role.into(), limit });
    }
    Ok(())
}

fn check_version(role: &str, offered: u64, expected: u64) -> Result<(), TrustError> {
    if offered != expected {
        return Err(TrustError::WrongVersion { role: role.into(), offered, expected });
    }
    Ok(())
}

fn check_floor(role: &str, offered: u64, floor: u64) -> Result<(), TrustError> {
    if offered < floor {
        return Err(TrustError::Rollback { role: role.into(), offered, floor });
    }
    Ok(())
}

fn check_expiry(role: &str, content: &impl Signed, now: Option<UnixTime>) -> Result<(), TrustError> {
    if expired(content, now) {
        return Err(TrustError::Expired { role: role.into(), at: content.expires() });
    }
    Ok(())
}

/// No version sinks, and no role vanishes (section 5.5.5).
fn check_listed(floors: &[(String, u64)], offered: &Snapshot) -> Result<(), TrustError> {
    for (file, floor) in floors {
        let role = file.strip_suffix(".json").unwrap_or(file);
        match offered.meta.get(file) {
            Some(named) => check_floor(role, named.version, *floor)?,
            None => return Err(TrustError::Vanished { role: role.into(), floor: *floor }),
        }
    }
    Ok(())
}

/// Whether these bytes have the length and the digests that are said, where they are.
pub(super) fn fits(role: &str, named: &MetaFile, bytes: &[u8]) -> Result<(), TrustError> {
    let mut verifier = TargetVerifier::new(role, named.length, named.hashes.as_ref());
    verifier.update(bytes)?;
    verifier.finish()
}

/// The name that a snapshot lists a role by.
fn meta_path(role: &str) -> String {
    format!("{role}.json")
}
