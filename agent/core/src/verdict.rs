//! What the answers of a scan add up to.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use farrier_protocol::{ComplianceState, Digest, UpdateId};
use serde::{Deserialize, Serialize};

/// A plugin in a record: the first bytes of the SHA-256 of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PluginTag([u8; 4]);

impl PluginTag {
    /// The tag of the plugin with this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let Digest([a, b, c, d, ..]) = Digest::of(name.as_bytes());
        Self([a, b, c, d])
    }
}

/// One reason for the state of an update, about one thing on the client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The thing, for example the installed package `libssl3`.
    pub subject: Box<str>,
    /// What is found there.
    pub state: ComplianceState,
    /// The reason in words.
    pub detail: Box<str>,
}

/// What a scan says of one update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub state: ComplianceState,
    /// The plugin that says so.
    pub plugin: PluginTag,
    /// Why; shared, because the updates of a failed chunk all have the same reason.
    pub findings: Rc<[Finding]>,
}

impl Verdict {
    /// The verdict of a plugin that could not give all its answers.
    fn of_blind(self, reason: &Rc<[Finding]>) -> Self {
        match self.state {
            ComplianceState::Installed => Self { state: ComplianceState::Unknown, findings: Rc::clone(reason), ..self },
            ComplianceState::NotRequired | ComplianceState::Required | ComplianceState::Unknown => self,
        }
    }

    /// The greater state wins; equal states keep the findings of both.
    fn merge(&mut self, other: Self) {
        if other.state > self.state {
            *self = other;
        } else if other.state == self.state && other.findings != self.findings {
            let mut findings: Vec<_> = self.findings.iter().chain(other.findings.iter()).cloned().collect();
            findings.sort();
            findings.dedup_by(|later, earlier| later.subject == earlier.subject);
            self.findings = findings.into();
        }
    }
}

/// Everything one scan found. Only what is not `NotRequired` takes memory.
#[derive(Debug, Default)]
pub struct Verdicts {
    found: BTreeMap<UpdateId, Verdict>,
    blind: BTreeMap<PluginTag, Rc<[Finding]>>,
}

impl Verdicts {
    /// Adds the answer to one rule. Several rules of one update make one verdict.
    pub fn add(&mut self, update: UpdateId, verdict: Verdict) {
        if verdict.state == ComplianceState::NotRequired {
            return;
        }
        let verdict = match self.blind.get(&verdict.plugin) {
            Some(reason) => verdict.of_blind(reason),
            None => verdict,
        };
        if let Some(known) = self.found.get_mut(&update) {
            known.merge(verdict);
        } else {
            self.found.insert(update, verdict);
        }
    }

    /// A plugin failed on these updates: none of them is anything but `Unknown`.
    pub fn fail(&mut self, plugin: PluginTag, updates: impl Iterator<Item = UpdateId>, reason: &Rc<[Finding]>) {
        for update in updates {
            let findings = Rc::clone(reason);
            self.add(update, Verdict { state: ComplianceState::Unknown, plugin, findings });
        }
    }

    /// A plugin failed before it was known which updates it would have been asked about. What was reported of it
    /// before is `Unknown` now, instead of `NotRequired` for want of an answer; and what it found `Installed` is, because
    /// the answer it did not give may have been `Required`.
    pub fn fail_blindly(&mut self, plugin: PluginTag, reason: &Rc<[Finding]>) {
        self.blind.entry(plugin).or_insert_with(|| Rc::clone(reason));
        for verdict in self.found.values_mut().filter(|verdict| verdict.plugin == plugin) {
            *verdict = verdict.clone().of_blind(reason);
        }
    }

    /// The verdicts by update, without the `NotRequired` ones.
    pub fn iter(&self) -> impl Iterator<Item = (&UpdateId, &Verdict)> {
        self.found.iter()
    }

    /// The verdict on an update that is not `NotRequired`.
    #[must_use]
    pub fn get(&self, update: &UpdateId) -> Option<&Verdict> {
        self.found.get(update)
    }

    /// What an update is now that an earlier scan knew under this plugin and this one says nothing of.
    pub(crate) fn of_unmentioned(&self, plugin: PluginTag) -> Option<Verdict> {
        let findings = Rc::clone(self.blind.get(&plugin)?);
        Some(Verdict { state: ComplianceState::Unknown, plugin, findings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const UPDATE: UpdateId = UpdateId([1; 16]);

    fn finding(subject: &str, state: ComplianceState) -> Finding {
        Finding { subject: subject.into(), state, detail: "because".into() }
    }

    fn verdict(state: ComplianceState, subjects: &[&str]) -> Verdict {
        let findings = subjects.iter().map(|subject| finding(subject, state)).collect();
        Verdict { state, plugin: PluginTag::of("dpkg"), findings }
    }

    fn subjects(verdicts: &Verdicts) -> Vec<&str> {
        verdicts.get(&UPDATE).unwrap().findings.iter().map(|finding| &*finding.subject).collect()
    }

    #[test]
    fn the_greatest_state_of_several_rules_is_the_updates_state() {
        for (first, second) in [
            (ComplianceState::Installed, ComplianceState::Required),
            (ComplianceState::Required, ComplianceState::Unknown),
            (ComplianceState::NotRequired, ComplianceState::Installed),
        ] {
            for order in [[first, second], [second, first]] {
                let mut verdicts = Verdicts::default();
                for state in order {
                    verdicts.add(UPDATE, verdict(state, &[state.as_str()]));
                }
                assert_eq!(verdicts.get(&UPDATE).unwrap().state, second);
                assert_eq!(subjects(&verdicts), [second.as_str()], "findings of the lesser state are void");
            }
        }
    }

    #[test]
    fn rules_that_agree_keep_the_findings_of_both_once() {
        let mut verdicts = Verdicts::default();
        verdicts.add(UPDATE, verdict(ComplianceState::Required, &["libssl3", "openssl"]));
        verdicts.add(UPDATE, verdict(ComplianceState::Required, &["libssl3:i386", "openssl"]));
        assert_eq!(subjects(&verdicts), ["libssl3", "libssl3:i386", "openssl"]);
    }

    #[test]
    fn not_required_takes_no_memory() {
        let mut verdicts = Verdicts::default();
        verdicts.add(UPDATE, verdict(ComplianceState::NotRequired, &[]));
        assert_eq!(verdicts.iter().count(), 0);
    }

    #[test]
    fn what_a_plugin_with_lost_rules_found_installed_is_unknown() {
        let reason: Rc<[Finding]> = vec![finding("dpkg", ComplianceState::Unknown)].into();
        let (before, after, required) = (UPDATE, UpdateId([2; 16]), UpdateId([3; 16]));
        let mut verdicts = Verdicts::default();
        verdicts.add(before, verdict(ComplianceState::Installed, &["libc6"]));
        verdicts.add(required, verdict(ComplianceState::Required, &["bash"]));
        verdicts.fail_blindly(PluginTag::of("dpkg"), &reason);
        verdicts.add(after, verdict(ComplianceState::Installed, &["libssl3"]));
        let state = |update| verdicts.get(update).unwrap().state;
        assert_eq!([state(&before), state(&after)], [ComplianceState::Unknown; 2]);
        assert_eq!(state(&required), ComplianceState::Required, "more rules would not change that");
    }

    #[test]
    fn a_failed_chunk_makes_every_update_of_it_unknown_with_the_reason() {
        let mut verdicts = Verdicts::default();
        verdicts.add(UPDATE, verdict(ComplianceState::Installed, &[]));
        let reason: Rc<[Finding]> = vec![finding("dpkg", ComplianceState::Unknown)].into();
        let updates = [UPDATE, UpdateId([2; 16])];
        verdicts.fail(PluginTag::of("dpkg"), updates.into_iter(), &reason);
        for update in updates {
            let verdict = verdicts.get(&update).unwrap();
            assert_eq!((verdict.state, &verdict.findings), (ComplianceState::Unknown, &reason));
        }
    }
}
