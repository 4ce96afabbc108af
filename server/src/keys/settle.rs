//! Which of the drafts that wait can come into force, and what the others wait for.
//!
//! Drafts come into force together: a new root with the targets that its new key signed, new targets with the plugins
//! that the plugins' new key signed. Whatever counts must go on counting.

use super::KeyError;
use super::context::{Context, SIGNED_ELSEWHERE, Signers};
use super::folder::short;
use super::state::{State, waiting_roles};
use crate::repository::roles;

/// As many of the drafts as fit together.
pub(super) fn settle(state: &State) -> Result<Vec<&'static str>, KeyError> {
    let waiting = waiting_roles(state);
    let mut sets = subsets(&waiting);
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    for set in sets {
        if fits(state, &set)? {
            return Ok(set);
        }
    }
    Ok(Vec::new())
}

/// All of them, of at most four roles.
fn subsets(of: &[&'static str]) -> Vec<Vec<&'static str>> {
    of.iter().fold(vec![Vec::new()], |sets, role| {
        let with = sets.iter().map(|set| [set.as_slice(), &[*role]].concat()).collect::<Vec<_>>();
        [with, sets].concat()
    })
}

/// Whether what waits of these roles can come into force together, and leaves everything else that counts as it is.
fn fits(state: &State, set: &[&str]) -> Result<bool, KeyError> {
    let (present, future) = (state.present()?, state.context(set)?);
    if set.contains(&roles::ROOT) && !is_root_signed(state)? {
        return Ok(false);
    }
    if future.root.is_none() || future.targets.is_none() {
        return Ok(set.is_empty());
    }
    Ok(SIGNED_ELSEWHERE.into_iter().filter(|role| *role != roles::ROOT).all(|role| {
        let Some(version) = state.effective(role, set) else { return true };
        let counts_today = || present.takes(role, &version.draft);
        future.takes(role, &version.draft) || !set.contains(&role) && !counts_today()
    }))
}

/// Whether the keys in force and its own have signed the root that waits (TUF 1.0.34, section 5.3.4).
fn is_root_signed(state: &State) -> Result<bool, KeyError> {
    let Some(waiting) = state.waiting.get(roles::ROOT) else { return Ok(false) };
    let (present, own) = (state.present()?, state.context(&[roles::ROOT])?);
    let takes = |context: &Context| context.takes(roles::ROOT, &waiting.version.draft);
    Ok((present.root.is_none() || takes(&present)) && takes(&own))
}

/// What a draft waits for, in words. None of it are signatures of its own if the second is true.
pub(super) fn missing(state: &State, role: &str) -> Result<(Vec<String>, bool), KeyError> {
    let missing = missing_signatures(state, role)?;
    if !missing.is_empty() {
        return Ok((missing, false));
    }
    let others = not_ready(state, role)?.join(" and ");
    let missing = match others.is_empty() {
        true => "it is signed, and waits for a first root: `farrier keys init`".to_owned(),
        false => format!("it is signed, and comes into force together with {others}"),
    };
    Ok((vec![missing], true))
}

/// The signatures that a draft lacks, for each role whose keys have to sign it.
fn missing_signatures(state: &State, role: &str) -> Result<Vec<String>, KeyError> {
    let Some(waiting) = state.waiting.get(role) else { return Ok(Vec::new()) };
    let draft = &waiting.version.draft;
    let (present, future) = (state.present()?, state.future()?);
    let (now, then) = (present.of_metadata(role), future.of_metadata(role));
    let is_changed = match (now, then) {
        (Some(now), Some(then)) => now.role != then.role,
        _ => false,
    };
    let needed = |signers: Signers<'_>, whose: &str| {
        let (count, threshold) = (signers.count(draft), signers.role.threshold);
        let have_signed: Vec<&str> = draft.signers().filter(|id| signers.has_id(id)).map(short).collect();
        let by = match have_signed.is_empty() {
            true => String::new(),
            false => format!(" (by {})", have_signed.join(", ")),
        };
        (count < threshold).then(|| format!("{count} of {threshold} signatures{by} of {whose} {role} keys"))
    };
    let mut missing = Vec::new();
    if role == roles::ROOT && is_changed {
        missing.extend(now.and_then(|now| needed(now, "the present")));
    }
    missing.extend(then.and_then(|then| needed(then, if is_changed { "the new" } else { "the" })));
    Ok(missing)
}

/// The other roles of which something has to be signed before what waits can come into force.
fn not_ready(state: &State, role: &str) -> Result<Vec<&'static str>, KeyError> {
    let (present, future) = (state.present()?, state.future()?);
    let is_root_unsigned = state.waiting.contains_key(roles::ROOT) && !is_root_signed(state)?;
    let is_unsigned = |other: &str| {
        let newest = state.newest(other).filter(|newest| !future.takes(other, &newest.draft));
        newest.is_some_and(|newest| state.waiting.contains_key(other) || present.takes(other, &newest.draft))
    };
    let is_not_ready = |other: &&str| match *other {
        roles::ROOT => is_root_unsigned,
        other => is_unsigned(other),
    };
    Ok(SIGNED_ELSEWHERE.into_iter().filter(|other| *other != role).filter(is_not_ready).collect())
}
