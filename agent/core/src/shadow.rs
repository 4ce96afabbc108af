//! Shadows: versions of plugins that scan beside those that count. Where they differ, and whether the site is to hear of
//! it.
//!
//! The shadow answers rule by rule ([`Comparison`]). Where it seems to differ, both versions are asked again, for their
//! reasons ([`Explained`]), and what that does not refute is reported ([`ShadowReport`]).

use crate::Finding;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use farrier_protocol::state_message::{
    Difference, MAX_DIFFERENCES, MAX_TEXT_BYTES, ShadowResult, StateMessage, Text, bounded,
};
use farrier_protocol::{ComplianceState, UnixTime, UpdateId};
use serde::{Deserialize, Serialize};

/// Updates that both versions are asked about again, at most. More are counted unconfirmed.
const MAX_ASKED_ABOUT: usize = 256;
/// Why there are no reasons.
const NO_ANSWER: &str = "asked for its reasons, it gave no answer";

/// The form in which a [`ShadowReport`] is stored.
const FORM: u8 = 1;

/// The states of updates; those that are not in it are `NotRequired`.
pub type States = BTreeMap<UpdateId, ComplianceState>;

/// What a shadow answers, beside what counts.
#[derive(Debug, Default)]
pub struct Comparison {
    counting: States,
    counting_failed: bool,
    shadow: States,
    /// Updates of which some answer was another than what counts.
    suspects: BTreeSet<UpdateId>,
    /// Updates that one of the two could not be asked about.
    unanswered: BTreeSet<UpdateId>,
    answered: u32,
    /// Where an update can be in several catalogs: each answered one, to be counted once.
    seen: Option<Vec<UpdateId>>,
}

/// What came of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many updates both evaluated.
    pub updates: u32,
    /// Those on which they seem to differ.
    pub differing: Vec<Suspect>,
}

/// An update on which two versions seem to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Which update.
    pub update: UpdateId,
    /// What counts.
    pub state: ComplianceState,
    /// What the shadow says.
    pub shadow_state: ComplianceState,
}

impl Comparison {
    /// A comparison with the states that count. If the version that counts failed on some updates, those that are
    /// `Unknown` are left out. `several` catalogs may hold the same update.
    #[must_use]
    pub fn new(counting: States, counting_failed: bool, several: bool) -> Self {
        Self { counting, counting_failed, seen: several.then(Vec::new), ..Self::default() }
    }

    /// The shadow's answer to one rule of an update. Of several rules, the greatest state is the update's.
    pub fn answer(&mut self, update: UpdateId, state: ComplianceState) {
        let counting = self.counting.get(&update).copied().unwrap_or(ComplianceState::NotRequired);
        if self.counting_failed && counting == ComplianceState::Unknown {
            return;
        }
        match &mut self.seen {
            Some(seen) => seen.push(update),
            None => self.answered += 1,
        }
        if state != ComplianceState::NotRequired {
            let known = self.shadow.entry(update).or_insert(state);
            *known = state.max(*known);
        }
        if state != counting {
            self.suspects.insert(update);
        }
    }

    /// The shadow gave no answer about these: that is no difference, but a failure.
    pub fn no_answer(&mut self, updates: impl Iterator<Item = UpdateId>) {
        self.unanswered.extend(updates);
    }

    /// What came of it.
    #[must_use]
    pub fn end(self) -> Compared {
        let Self { counting, shadow, suspects, unanswered, answered, seen, .. } = self;
        let state =
            |states: &States, update: &UpdateId| states.get(update).copied().unwrap_or(ComplianceState::NotRequired);
        let suspects = suspects.into_iter().filter(|update| !unanswered.contains(update));
        let suspects = suspects.map(|update| {
            let (state, shadow_state) = (state(&counting, &update), state(&shadow, &update));
            Suspect { update, state, shadow_state }
        });
        let differing = suspects.filter(|suspect| suspect.state != suspect.shadow_state);
        let updates = seen.map_or(answered, |mut seen| {
            seen.sort_unstable();
            seen.dedup();
            seen.retain(|update| !unanswered.contains(update));
            u32::try_from(seen.len()).unwrap_or(u32::MAX)
        });
        Compared { updates, differing: differing.collect() }
    }
}

impl Compared {
    /// Those on which both versions are asked for their reasons.
    pub fn asked_about(&self) -> impl Iterator<Item = Suspect> {
        self.differing.iter().copied().take(MAX_ASKED_ABOUT)
    }
}

/// What one version says of an update when it is asked for its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The state.
    pub state: ComplianceState,
    /// The reasons in words.
    pub detail: Text,
}

/// What one version says when it is asked again.
#[derive(Debug, Clone, Default)]
pub struct Explanations {
    answers: BTreeMap<UpdateId, Explained>,
    /// Why there is no answer, in words.
    unanswered: BTreeMap<UpdateId, Text>,
}

impl Explanations {
    /// What it says of one rule of an update.
    pub fn answer(&mut self, update: UpdateId, explained: Explained) {
        match self.answers.get_mut(&update) {
            Some(known) => known.merge(explained),
            None => drop(self.answers.insert(update, explained)),
        }
    }

    /// It gives no answer about a rule of this update, for this reason.
    pub fn no_answer(&mut self, update: UpdateId, reason: &str) {
        self.unanswered.entry(update).or_insert_with(|| bounded(&format!("{NO_ANSWER}: {reason}")));
    }

    /// What it says of the update, or why it says nothing.
    fn of(&self, update: &UpdateId) -> Result<&Explained, &str> {
        match self.unanswered.get(update) {
            Some(reason) => Err(reason),
            None => self.answers.get(update).ok_or(NO_ANSWER),
        }
    }
}

impl Explained {
    /// What it says of one rule.
    #[must_use]
    pub fn new(state: ComplianceState, findings: &[Finding]) -> Self {
        let mut explained = Self { state, detail: Text::new() };
        findings.iter().for_each(|finding| explained.say(&[&finding.subject, ": ", &finding.detail]));
        explained
    }

    /// The same without a finding, for a reason of the agent's own.
    #[must_use]
    pub fn because(state: ComplianceState, reason: &str) -> Self {
        Self { state, detail: bounded(reason) }
    }

    /// What was said before, with what can be said of it now.
    fn standing(state: ComplianceState, said: Result<&Self, &str>) -> Self {
        Self { state, detail: said.map_or_else(bounded, |explained| explained.detail.clone()) }
    }

    /// Adds what it says of another rule of the same update: the greater state wins.
    fn merge(&mut self, other: Self) {
        if other.state > self.state {
            *self = other;
        } else if other.state == self.state && !other.detail.is_empty() && other.detail != self.detail {
            self.say(&[&other.detail]);
        }
    }

    /// Adds words, as far as there is room.
    fn say(&mut self, words: &[&str]) {
        let separator = if self.detail.is_empty() { "" } else { "; " };
        for word in core::iter::once(&separator).chain(words) {
            let room = MAX_TEXT_BYTES - self.detail.len();
            let end = (0..=word.len().min(room)).rev().find(|end| word.is_char_boundary(*end)).unwrap_or(0);
            // Cannot fail: it was cut to the room there is.
            let _ = self.detail.push_str(&word[..end]);
            if end < word.len() {
                return;
            }
        }
    }
}

/// Which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The version that counts.
    pub version: &'a str,
    /// The version that does not.
    pub shadow_version: &'a str,
}

/// What the site is told of one shadow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowReport {
    result: ShadowResult,
    differences: Vec<Difference>,
}

impl ShadowReport {
    /// The report on a comparison, with the reasons of both versions. What they agree on when they are asked for their
    /// reasons is no difference: the endpoint changed meanwhile. Where one of them gives none, what they said before stands.
    #[must_use]
    pub fn new(
        pair: Pair<'_>,
        compared: &Compared,
        reasons: &Explanations,
        shadow_reasons: &Explanations,
        error: &str,
        scanned_at: UnixTime,
    ) -> Self {
        let difference = |Suspect { update, state, shadow_state }| {
            let (counting, shadow) = match (reasons.of(&update), shadow_reasons.of(&update)) {
                (Ok(counting), Ok(shadow)) => (counting.clone(), shadow.clone()),
                (counting, shadow) => (Explained::standing(state, counting), Explained::standing(shadow_state, shadow)),
            };
            (counting.state != shadow.state).then(|| Difference {
                plugin: bounded(pair.plugin),
                update,
                state: counting.state,
                shadow_state: shadow.state,
                detail: counting.detail,
                shadow_detail: shadow.detail,
            })
        };
        let mut differences: Vec<_> = compared.asked_about().filter_map(difference).collect();
        let not_asked = compared.differing.len().saturating_sub(MAX_ASKED_ABOUT);
        let differing = u32::try_from(differences.len() + not_asked).unwrap_or(u32::MAX);
        differences.truncate(MAX_DIFFERENCES);
        let result = ShadowResult {
            plugin: bounded(pair.plugin),
            version: bounded(pair.version),
            shadow_version: bounded(pair.shadow_version),
            scanned_at,
            compared: compared.updates,
            differing,
            error: bounded(error),
        };
        Self { result, differences }
    }

    /// The report on a shadow that could not be compared.
    #[must_use]
    pub fn failed(pair: Pair<'_>, error: &str, scanned_at: UnixTime) -> Self {
        let (compared, none) = (Compared::default(), Explanations::default());
        Self::new(pair, &compared, &none, &none, error, scanned_at)
    }

    /// What is said of a plugin that has no shadow any more.
    #[must_use]
    pub fn gone(plugin: &str) -> Self {
        Self::failed(Pair { plugin, version: "", shadow_version: "" }, "", 0)
    }

    /// How the shadow fared.
    #[must_use]
    pub fn result(&self) -> &ShadowResult {
        &self.result
    }

    /// The updates on which the versions differ, as far as they are reported.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Whether the site is to hear of it, after it heard `told`: reasons in other words and another time are no news.
    #[must_use]
    pub fn is_news(&self, told: Option<&Self>) -> bool {
        let Some(told) = told else { return true };
        let result = ShadowResult { scanned_at: told.result.scanned_at, ..self.result.clone() };
        let states = |report: &Self| -> Vec<_> {
            report.differences.iter().map(|it| (it.update, it.state, it.shadow_state)).collect()
        };
        result != told.result || states(self) != states(told)
    }

    /// The messages, in their order.
    pub fn messages(&self) -> impl Iterator<Item = StateMessage> {
        let result = core::iter::once_with(|| StateMessage::Shadow(Box::new(self.result.clone())));
        result.chain(self.differences.iter().map(|difference| StateMessage::Difference(Box::new(difference.clone()))))
    }

    /// As the spool keeps it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Cannot fail: memory takes what is appended. What is too short is not understood, and then reported again.
        postcard::to_extend(self, [FORM].to_vec()).unwrap_or_default()
    }

    /// What the spool kept. Nothing if it cannot be understood: then whatever comes next is news.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [FORM, rest @ ..] => farrier_protocol::decode(rest).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
