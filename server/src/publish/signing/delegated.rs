//! A delegated role: whether it says what it should, and what has to be signed so that it does.

use super::super::Target;
use super::read::{PublicKeys, is_enough};
use super::signer::Signer;
use super::{ASK_WITH_SECONDS, Role, State};
use crate::database::{PendingMetadata, StoredMetadata};
use crate::keys::KeyRole;
use crate::repository::roles::{self, Validity, next_version};
use farrier_protocol::UnixTime;
use farrier_trust::{Delegation, Delegations, Draft, TargetFile, Targets};
use std::collections::BTreeMap;

/// Targets that the reason of what waits names.
const NAMED_TARGETS: usize = 3;

/// Targets by their paths.
type Files = BTreeMap<String, TargetFile>;

/// A delegated role, with what it should say.
pub(super) struct Delegated<'a> {
    delegation: &'a Delegation,
    keys: &'a PublicKeys,
    wished: Files,
    before: Option<Before>,
    waiting: Option<Targets>,
}

/// What the role signed last.
struct Before {
    metadata: StoredMetadata,
    /// What it says, if the role's keys of today have signed it.
    said: Option<Targets>,
}

/// What becomes of a role.
pub(super) struct Outcome {
    /// What is published of it; nothing if it never signed anything.
    pub(super) role: Option<Role>,
    /// What waits for its keys from now on.
    pub(super) waits: Option<PendingMetadata>,
    /// Whether what waited before does not any more.
    pub(super) is_settled: bool,
}

impl<'a> Delegated<'a> {
    /// The role of this delegation, which should name those targets of a wish that it may.
    pub(super) fn new(
        delegation: &'a Delegation,
        delegations: &'a Delegations,
        wish: &[Target],
        before: Option<StoredMetadata>,
        pending: &[PendingMetadata],
    ) -> Self {
        let file = |target: &Target| (target.name.clone(), TargetFile::new(target.length, &target.digest));
        let pending = pending.iter().find(|pending| pending.role == delegation.name);
        Self {
            delegation,
            keys: &delegations.keys,
            wished: wish.iter().filter(|target| is_home(delegation, target)).map(file).collect(),
            before: before.map(|metadata| Before::read(metadata, delegation, &delegations.keys)),
            waiting: pending.and_then(|pending| Draft::from_bytes(&pending.role, &pending.bytes).ok()?.content().ok()),
        }
    }

    /// Signs what has to be signed of it.
    pub(super) fn sign(self, signer: &Signer<'_>) -> anyhow::Result<Outcome> {
        let role = &*self.delegation.name;
        // A role that this version of Farrier does not know says what it says.
        let is_ours = KeyRole::of_metadata(role).is_some();
        if !is_ours || self.says_it(Validity::of(role).renewed_with_seconds, signer.now) {
            return Ok(self.keep(signer.now));
        }
        let last = self.before.as_ref().map_or(0, |before| before.metadata.version);
        let content = Targets {
            version: next_version(role, last, signer.now),
            expires: signer.now + Validity::of(role).seconds,
            targets: self.wished.clone(),
            delegations: None,
            other: BTreeMap::new(),
        };
        match signer.sign(role, &content, &self.delegation.keys, self.keys)? {
            Ok(metadata) => {
                let is_settled = self.is_settled(metadata.version, signer.now);
                Ok(Outcome { role: Some(Role::new(metadata)), waits: None, is_settled })
            }
            Err(draft) => Ok(self.wait(&draft, signer)),
        }
    }

    /// What it said before goes on counting.
    fn keep(self, now: UnixTime) -> Outcome {
        let last = self.before.as_ref().map_or(0, |before| before.metadata.version);
        let is_settled = self.is_settled(last, now);
        Outcome { role: self.before.map(Role::from), waits: None, is_settled }
    }

    /// The same, while the draft waits for its keys.
    fn wait(self, draft: &Draft, signer: &Signer<'_>) -> Outcome {
        self.before.iter().for_each(|before| signer.report_old(&before.metadata));
        // That half of its time is over is no reason to bring a key from elsewhere.
        if self.says_it(ASK_WITH_SECONDS, signer.now) {
            return self.keep(signer.now);
        }
        let waits = (!self.is_waiting(signer.now)).then(|| PendingMetadata {
            role: self.delegation.name.clone(),
            bytes: draft.to_bytes(),
            created_at: signer.now,
            reason: self.reason(),
        });
        Outcome { role: self.before.map(Role::from), waits, is_settled: false }
    }

    /// Whether what it signed says what it should, and has more time left than this.
    fn says_it(&self, seconds_left: i64, now: UnixTime) -> bool {
        self.before.as_ref().is_some_and(|before| {
            let says_it = before.said.as_ref().is_some_and(|said| said.targets == self.wished);
            says_it && before.metadata.expires_at - now > seconds_left
        })
    }

    /// Whether what waits says what it should, and can be published once it is signed.
    fn is_waiting(&self, now: UnixTime) -> bool {
        let renewed_with = Validity::of(&self.delegation.name).renewed_with_seconds;
        self.waiting
            .as_ref()
            .is_some_and(|waiting| waiting.targets == self.wished && waiting.expires - now > renewed_with)
    }

    /// Whether nothing has to wait any more, now that this version is signed. The same targets may wait for other keys,
    /// or to be signed for longer.
    fn is_settled(&self, signed: u64, now: UnixTime) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.version <= signed || !self.is_waiting(now))
    }

    /// What is waiting, for people.
    fn reason(&self) -> String {
        let nothing = Files::new();
        let said = self.before.as_ref().and_then(|before| before.said.as_ref()).map_or(&nothing, |said| &said.targets);
        let published = self.wished.iter().filter(|(name, file)| said.get(*name) != Some(file)).map(|(name, _)| name);
        let withdrawn = said.keys().filter(|name| !self.wished.contains_key(*name));
        let parts = [named("publishes", published), named("withdraws", withdrawn)];
        let said = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if said.is_empty() { "it has to be signed again before it expires, or by other keys".to_owned() } else { said }
    }
}

impl Before {
    fn read(metadata: StoredMetadata, delegation: &Delegation, keys: &PublicKeys) -> Self {
        let said = |draft: Draft| draft.content().ok().filter(|_| is_enough(&draft, &delegation.keys, keys));
        let said = Draft::from_bytes(&metadata.role, &metadata.bytes).ok().and_then(said);
        Self { metadata, said }
    }
}

impl From<Before> for Role {
    fn from(Before { metadata, said }: Before) -> Self {
        Self { metadata, state: if said.is_some() { State::Kept } else { State::Void } }
    }
}

/// Whether this role may name a target.
pub(super) fn is_home(delegation: &Delegation, target: &Target) -> bool {
    roles::role_of(&target.name) == Some(&*delegation.name) && delegation.paths.contain(&target.name)
}

/// `publishes plugins/a/1, plugins/b/1, plugins/c/1 and 2 more`; nothing of nothing.
fn named<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let (shown, more) = names.split_at(NAMED_TARGETS.min(names.len()));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    (!names.is_empty()).then(|| format!("{what} {}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_a_few_and_counts_the_rest() {
        let names: Vec<String> = (1..=5).map(|number| format!("plugins/check/{number}")).collect();
        assert_eq!(named("publishes", names[..1].iter()).as_deref(), Some("publishes plugins/check/1"));
        let some = "publishes plugins/check/1, plugins/check/2, plugins/check/3 and 2 more";
        assert_eq!(named("publishes", names.iter()).as_deref(), Some(some));
        assert_eq!(named("publishes", [].iter()), None);
    }
}
