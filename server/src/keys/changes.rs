//! What a draft says, in words, for whoever is to sign it: computed from the draft and from nothing else.

use super::folder::short;
use super::{KeyError, KeyRole};
use crate::repository::roles;
use farrier_trust::json::Members;
use farrier_trust::{Delegation, Draft, Paths, RoleKeys, Root, TargetFile, Targets};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The difference between what is in force and a draft; without the former, all that the draft says.
pub(super) fn changes(role: &str, before: Option<&Draft>, draft: &Draft) -> Result<Vec<String>, KeyError> {
    let mut lines = Lines(Vec::new());
    if role == roles::ROOT {
        let (before, after) = (before.map(Draft::content::<Root>).transpose()?, draft.content::<Root>()?);
        lines.of_root(before.as_ref(), &after);
    } else {
        let (before, after) = (before.map(Draft::content::<Targets>).transpose()?, draft.content::<Targets>()?);
        lines.of_targets(before.as_ref(), &after);
    }
    Ok(lines.0)
}

struct Lines(Vec<String>);

impl Lines {
    fn push(&mut self, line: String) {
        self.0.push(visible(&line));
    }

    fn of_root(&mut self, before: Option<&Root>, after: &Root) {
        self.expiry(after.expires);
        let old_site = before.and_then(|before| before.site.as_ref());
        match (&after.site, old_site) {
            (Some(site), Some(old)) if site.tenant != old.tenant => self.push(format!(
                "! the tenant changes from {} to {}: clients will refuse this root",
                old.tenant, site.tenant
            )),
            (Some(site), None) => self.push(format!("tenant {}", site.tenant)),
            (None, Some(_)) => self.push("! it names neither tenant nor assignment keys any more".to_owned()),
            _ => {}
        }
        let names: BTreeSet<&String> =
            before.into_iter().flat_map(|root| root.roles.keys()).chain(after.roles.keys()).collect();
        for name in names {
            self.keys(name, before.and_then(|root| root.roles.get(name)), after.roles.get(name));
        }
        let assignment = KeyRole::Assignment.as_str();
        self.keys(assignment, old_site.map(|site| &site.assignment), after.site.as_ref().map(|site| &site.assignment));
        self.public_keys(before.map(|root| &root.keys), &after.keys);
        if before.is_some_and(|before| before.consistent_snapshot != after.consistent_snapshot)
            || !after.consistent_snapshot
        {
            self.push(format!("! consistent snapshots: {}", after.consistent_snapshot));
        }
        self.other(before.map(|before| &before.other), &after.other);
    }

    fn of_targets(&mut self, before: Option<&Targets>, after: &Targets) {
        self.expiry(after.expires);
        let nothing = BTreeMap::new();
        self.files(before.map_or(&nothing, |before| &before.targets), &after.targets);
        let delegations =
            |targets: &Targets| targets.delegations.clone().map_or(Vec::new(), |delegations| delegations.roles);
        let (old, new) = (before.map_or(Vec::new(), delegations), delegations(after));
        let find = |all: &[Delegation], name: &str| all.iter().find(|role| role.name == name).cloned();
        for gone in old.iter().filter(|role| find(&new, &role.name).is_none()) {
            self.push(format!("- nobody signs for {} any more", gone.name));
        }
        for role in &new {
            self.delegation(find(&old, &role.name).as_ref(), role);
        }
        let names = |roles: &[Delegation]| roles.iter().map(|role| role.name.clone()).collect::<Vec<_>>();
        if before.is_some() && names(&old) != names(&new) {
            self.push(format!("! clients ask in another order: {}", names(&new).join(", ")));
        }
        let keys =
            |targets: &Targets| targets.delegations.clone().map_or(BTreeMap::new(), |delegations| delegations.keys);
        self.public_keys(before.map(keys).as_ref(), &keys(after));
        let other =
            |targets: &Targets| targets.delegations.clone().map_or(Members::new(), |delegations| delegations.other);
        self.other(before.map(other).as_ref(), &other(after));
        self.other(before.map(|before| &before.other), &after.other);
    }

    fn expiry(&mut self, expires: i64) {
        let date = Timestamp::from_second(expires)
            .map_or_else(|_| expires.to_string(), |time| time.strftime("%Y-%m-%d").to_string());
        self.push(format!("expires {date}"));
    }

    fn keys(&mut self, role: &str, before: Option<&RoleKeys>, after: Option<&RoleKeys>) {
        let empty = RoleKeys::new(Vec::new(), 0);
        let (old, new) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
        for id in old.keyids.iter().filter(|id| !new.keyids.contains(id)) {
            self.push(format!("- {role} key {}", short(id)));
        }
        for id in new.keyids.iter().filter(|id| !old.keyids.contains(id)) {
            self.push(format!("+ {role} key {}", short(id)));
        }
        if old.threshold != new.threshold || (old.keyids.len() != new.keyids.len()) {
            self.push(format!("{role} is signed by {} of {} keys", new.threshold, new.keyids.len()));
        }
        if old.other != new.other {
            self.push(format!("! {role}: members that this version does not know differ"));
        }
    }

    /// An id may stand for another key than before.
    fn public_keys(
        &mut self,
        before: Option<&BTreeMap<String, farrier_trust::Key>>,
        after: &BTreeMap<String, farrier_trust::Key>,
    ) {
        for (id, key) in after {
            let is_other = before.and_then(|before| before.get(id)).is_some_and(|before| before != key);
            if is_other || key.id() != *id {
                self.push(format!("! the id {} stands for the key {}", short(id), short(&key.id())));
            }
        }
    }

    fn delegation(&mut self, before: Option<&Delegation>, after: &Delegation) {
        let name = &after.name;
        if before.is_none_or(|before| before.paths != after.paths) {
            let paths = match &after.paths {
                Paths::Patterns(patterns) => patterns.join(", "),
                Paths::HashPrefixes(prefixes) => format!("hashes that begin with {}", prefixes.join(", ")),
            };
            self.push(format!("{name} may name {paths}"));
        }
        if before.is_none_or(|before| before.terminating != after.terminating) {
            let asked = if after.terminating { "nobody is" } else { "others are" };
            self.push(format!("after {name}, {asked} asked for these"));
        }
        self.keys(name, before.map(|before| &before.keys), Some(&after.keys));
    }

    fn files(&mut self, before: &BTreeMap<String, TargetFile>, after: &BTreeMap<String, TargetFile>) {
        for (name, _) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            self.push(format!("- {name}"));
        }
        for (name, file) in after {
            let sign = match before.get(name) {
                Some(old) if old == file => continue,
                Some(_) => '!',
                None => '+',
            };
            let hashes: Vec<String> = file.hashes.iter().map(|(kind, digest)| format!("{kind} {digest}")).collect();
            self.push(format!("{sign} {name}, {} bytes, {}", file.length, hashes.join(", ")));
            let old = before.get(name).map(|old| &old.other);
            self.other(old, &file.other);
        }
    }

    fn other(&mut self, before: Option<&Members>, after: &Members) {
        if *after != before.cloned().unwrap_or_default() {
            let names: Vec<&str> = after.keys().map(String::as_str).collect();
            self.push(format!("! members that this version does not know differ: {}", names.join(", ")));
        }
    }
}

/// The text with everything shown that a terminal would obey instead, or that would turn the order of letters: names in a
/// draft are whatever its author wrote.
pub(super) fn visible(text: &str) -> String {
    let obeys = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match obeys(letter) {
            true => shown.extend(letter.escape_unicode()),
            false => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let name = "plugins/x/1\n\u{1b}[1A\u{1b}[2K\u{9b}2K\u{202e}ä 漢";
        assert_eq!(visible(name), r"plugins/x/1\u{a}\u{1b}[1A\u{1b}[2K\u{9b}2K\u{202e}ä 漢");
    }
}
