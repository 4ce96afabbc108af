//! Drafts of what is to come: other keys, or the same for longer. Nothing here signs or stores anything.

use super::context::{SIGNED_ELSEWHERE, Signers, set_keys_of_root, set_keys_of_targets};
use super::folder::short;
use super::state::{State, Version};
use super::{KeyError, KeyRole};
use crate::repository::roles::{self, Validity, next_version};
use farrier_protocol::UnixTime;
use farrier_protocol::poll::MAX_STATEMENT_SIGNATURES;
use farrier_trust::limits::MAX_ASSIGNMENT_KEYS;
use farrier_trust::{PublicKey, RoleKeys, Targets};

/// Other keys for a role.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The role.
    pub role: KeyRole,
    /// The keys that it gets.
    pub new: Vec<PublicKey>,
    /// The keys that it loses.
    pub dropped: Dropped,
    /// How many of its keys must sign from then on; as many as now if none.
    pub threshold: Option<u64>,
}

/// Which of its keys a role loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// All that it has.
    All,
    /// None.
    Nothing,
    /// Those whose ids begin so.
    These(Vec<String>),
}

/// Has the role signed by other keys, as soon as the draft of that is signed.
pub(super) fn rotate(state: &mut State, rotation: &Rotation, now: UnixTime) -> Result<(), KeyError> {
    let future = state.future()?;
    let role = rotation.role;
    let before = future.of_role(role).ok_or(KeyError::NoRoot)?;
    let keys = rotated(before, rotation)?;
    for other in KeyRole::ALL.into_iter().filter(|other| *other != role) {
        let has_it = |key: &&PublicKey| future.of_role(other).is_some_and(|keys| keys.ids_of(key).next().is_some());
        if let Some(key) = rotation.new.iter().find(has_it) {
            let id = key.key_id();
            return Err(KeyError::Invalid(format!(
                "{} is a key of {other}: whoever steals it should have one role only, so give {role} a key of its own",
                short(&id)
            )));
        }
    }
    let reason = format!("other keys for {role}");
    let expires = |of: &str| now + Validity::of(of).seconds;
    if role.named_by() == roles::ROOT {
        let mut root = future.root.clone().ok_or(KeyError::NoRoot)?;
        root.keys.extend(rotation.new.iter().map(|key| (key.key_id(), key.to_key())));
        set_keys_of_root(&mut root, role, keys)?;
        root.version = next_version(roles::ROOT, state.last_version(roles::ROOT), now);
        root.expires = expires(roles::ROOT);
        state.wait(roles::ROOT, Version::new(&root), reason, now);
    } else {
        let mut targets = future.targets.clone().ok_or(KeyError::NoRoot)?;
        if let Some(delegations) = &mut targets.delegations {
            delegations.keys.extend(rotation.new.iter().map(|key| (key.key_id(), key.to_key())));
        }
        set_keys_of_targets(&mut targets, role, &keys);
        targets.version = next_version(roles::TARGETS, state.last_version(roles::TARGETS), now);
        targets.expires = expires(roles::TARGETS);
        state.wait(roles::TARGETS, Version::new(&targets), reason, now);
    }
    Ok(())
}

/// What counts today has to be signed by other keys when what waits comes into force. Roles whose keys are on the site are
/// signed by whoever publishes.
pub(super) fn complete(state: &mut State, now: UnixTime) -> Result<(), KeyError> {
    let present = state.present()?;
    for metadata in SIGNED_ELSEWHERE.into_iter().filter(|metadata| *metadata != roles::ROOT) {
        let future = state.future()?;
        let is_overtaken =
            |version: &Version| present.takes(metadata, &version.draft) && !future.takes(metadata, &version.draft);
        if !state.waiting.contains_key(metadata) && state.in_force.get(metadata).is_some_and(is_overtaken) {
            renew(state, metadata, "the same, signed by other keys", now)?;
        }
    }
    Ok(())
}

/// The newest content of this metadata again, for longer.
pub(super) fn renew(state: &mut State, metadata: &str, reason: &str, now: UnixTime) -> Result<(), KeyError> {
    let newest = state.newest(metadata).ok_or_else(|| KeyError::Invalid(nothing_signed(metadata)))?;
    let version = next_version(metadata, state.last_version(metadata), now);
    let expires = now + Validity::of(metadata).seconds;
    let renewed = if metadata == roles::ROOT {
        let root: farrier_trust::Root = newest.draft.content()?;
        Version::new(&farrier_trust::Root { version, expires, ..root })
    } else {
        let targets: Targets = newest.draft.content()?;
        Version::new(&Targets { version, expires, ..targets })
    };
    state.wait(metadata, renewed, reason.to_owned(), now);
    Ok(())
}

fn nothing_signed(metadata: &str) -> String {
    format!("the {metadata} role has signed nothing yet: there is nothing to renew")
}

/// The keys that a role has afterwards.
fn rotated(before: Signers<'_>, rotation: &Rotation) -> Result<RoleKeys, KeyError> {
    let Rotation { role, new, dropped, threshold } = rotation;
    let mut keyids = before.role.keyids.clone();
    match dropped {
        Dropped::All => keyids.clear(),
        Dropped::Nothing => {}
        Dropped::These(starts) => {
            for start in starts {
                let kept = keyids.iter().filter(|id| !id.starts_with(start.as_str())).count();
                if start.is_empty() || kept + 1 != keyids.len() {
                    return Err(KeyError::Invalid(format!(
                        "{start:?} is not the start of the id of one {role} key: `farrier keys show` lists them"
                    )));
                }
                keyids.retain(|id| !id.starts_with(start.as_str()));
            }
        }
    }
    for key in new {
        let id = key.key_id();
        if !keyids.contains(&id) && before.ids_of(key).all(|known| !keyids.iter().any(|kept| kept == known)) {
            keyids.push(id);
        }
    }
    let keys = RoleKeys { keyids, threshold: threshold.unwrap_or(before.role.threshold), ..before.role.clone() };
    check_keys(*role, &keys)?;
    if keys == *before.role {
        return Err(KeyError::Invalid(format!("these are the keys of {role} already, with this threshold")));
    }
    Ok(keys)
}

/// Whether a role can have these keys.
pub(super) fn check_keys(role: KeyRole, keys: &RoleKeys) -> Result<(), KeyError> {
    let (count, threshold) = (keys.keyids.len() as u64, keys.threshold);
    let problem = if threshold == 0 || threshold > count {
        format!("{threshold} of {count} keys cannot sign for {role}: name more keys, or another --threshold")
    } else if role == KeyRole::Assignment && threshold > MAX_STATEMENT_SIGNATURES as u64 {
        format!("what clients are told holds {MAX_STATEMENT_SIGNATURES} signatures at most, not {threshold}")
    } else if role == KeyRole::Assignment && count > MAX_ASSIGNMENT_KEYS as u64 {
        format!("clients take {MAX_ASSIGNMENT_KEYS} assignment keys at most, not {count}")
    } else {
        return Ok(());
    };
    Err(KeyError::Invalid(problem))
}

/// Whether the site can go on with these keys of a role that it needs from day to day.
pub(super) fn check_on_site(role: KeyRole, keys: Signers<'_>, here: &[PublicKey]) -> Result<(), KeyError> {
    let is_here = |id: &String| here.iter().any(|key| keys.ids_of(key).any(|known| known == id));
    let (found, elsewhere): (Vec<_>, Vec<_>) = keys.role.keyids.iter().partition(|id| is_here(id));
    if role.is_offline() || found.len() as u64 >= keys.role.threshold {
        return Ok(());
    }
    let elsewhere: Vec<&str> = elsewhere.into_iter().map(|id| short(id)).collect();
    Err(KeyError::Invalid(format!(
        "the site signs for {role} every day, but the private key of {} is not here: bring it with `farrier keys import` \
         first, or let the site make one",
        elsewhere.join(" and ")
    )))
}
