//! What a batch of state messages means, given the client's stream so far. No database here.

use crate::database::rows::storable;
use farrier_protocol::state_message::{
    Abilities, Difference, Enforcement, Facts, FallBack, Finding, Inventory, PluginResult, ScanResult, ShadowResult,
    StateBatch, StateMessage, StateReply,
};
use farrier_protocol::{ComplianceState, DeploymentId, UpdateId};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How far the site has a client's messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stream {
    /// The client's random number; none before its first message.
    pub(super) number: Option<u64>,
    /// The serial of the last committed message.
    pub(super) last_serial: u64,
}

impl Stream {
    /// Goes on by a batch: the messages in it that are new, and the answer once they are committed.
    pub(super) fn advance<'a>(&mut self, batch: &'a StateBatch) -> (&'a [StateMessage], StateReply) {
        let Some(next) = self.next_serial(batch).filter(|next| (1..=*next).contains(&batch.first_serial)) else {
            return (&[], StateReply::Resend);
        };
        let seen = usize::try_from(next - batch.first_serial).unwrap_or(usize::MAX);
        let new = batch.messages.get(seen..).unwrap_or_default();
        self.number = Some(batch.stream);
        self.last_serial = next - 1 + new.len() as u64;
        (new, StateReply::Acknowledged { through: self.last_serial })
    }

    /// The serial of the first message that the site does not have. None if it cannot follow this stream.
    fn next_serial(&self, batch: &StateBatch) -> Option<u64> {
        if self.number == Some(batch.stream) {
            return self.last_serial.checked_add(1);
        }
        let starts = batch.first_serial == 1 && matches!(batch.messages.first(), Some(StateMessage::Reset));
        starts.then_some(1)
    }
}

/// What the new messages of one client change, the last word on everything.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// Everything stored before is void.
    pub(super) reset: bool,
    /// The states; the stored findings of these updates are void.
    pub(super) states: BTreeMap<UpdateId, ComplianceState>,
    /// The findings by update and subject.
    pub(super) findings: BTreeMap<(UpdateId, Cow<'a, str>), &'a Finding>,
    pub(super) inventory: Option<&'a Inventory>,
    pub(super) facts: Option<&'a Facts>,
    /// How far the client is with deployed updates.
    pub(super) enforcements: BTreeMap<(DeploymentId, UpdateId), &'a Enforcement>,
    pub(super) scan: Option<&'a ScanResult>,
    pub(super) abilities: Option<&'a Abilities>,
    /// How shadows fared, by plugin; the stored differences of these plugins are void.
    pub(super) shadows: BTreeMap<Cow<'a, str>, &'a ShadowResult>,
    /// Where shadows differ, by plugin and update.
    pub(super) differences: BTreeMap<(Cow<'a, str>, UpdateId), &'a Difference>,
    /// What is used in place of versions that failed, by plugin.
    pub(super) fallbacks: BTreeMap<Cow<'a, str>, &'a FallBack>,
}

impl<'a> Changes<'a> {
    /// Adds the next message.
    pub(super) fn push(&mut self, message: &'a StateMessage) {
        match message {
            StateMessage::Reset => {
                let Self { inventory, facts, abilities, .. } = *self;
                *self = Self { reset: true, inventory, facts, abilities, ..Self::default() };
            }
            StateMessage::Inventory(inventory) => self.inventory = Some(inventory),
            StateMessage::Compliance(compliance) => {
                if self.states.insert(compliance.update, compliance.state).is_some() {
                    self.findings.retain(|(update, _), _| *update != compliance.update);
                }
            }
            StateMessage::Finding(finding) => {
                self.findings.insert((finding.update, storable(&finding.subject)), finding);
            }
            StateMessage::Scan(scan) => self.scan = Some(scan),
            StateMessage::Facts(facts) => self.facts = Some(facts),
            StateMessage::Enforcement(enforcement) => {
                self.enforcements.insert((enforcement.deployment, enforcement.update), enforcement);
            }
            StateMessage::Abilities(abilities) => self.abilities = Some(abilities),
            StateMessage::Shadow(shadow) => {
                let plugin = storable(&shadow.plugin);
                self.differences.retain(|(of, _), _| *of != plugin);
                self.shadows.insert(plugin, shadow);
            }
            StateMessage::Difference(difference) => {
                self.differences.insert((storable(&difference.plugin), difference.update), difference);
            }
            StateMessage::FallBack(fallback) => {
                self.fallbacks.insert(storable(&fallback.plugin), fallback);
            }
        }
    }

    /// The updates that anything is said about.
    pub(super) fn updates(&self) -> impl Iterator<Item = &UpdateId> {
        let reported = self.states.keys().chain(self.findings.keys().map(|(update, _)| update));
        let deployed = self.enforcements.keys().map(|(_, update)| update);
        reported.chain(deployed).chain(self.differences.keys().map(|(_, update)| update))
    }

    /// How the plugins fared, each name once.
    pub(super) fn plugins(&self) -> BTreeMap<Cow<'a, str>, &'a PluginResult> {
        let plugins = self.scan.into_iter().flat_map(|scan| &scan.plugins);
        plugins.map(|plugin| (storable(&plugin.name), plugin)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_protocol::state_message::Compliance;

    const RESEND: StateReply = StateReply::Resend;

    fn through(serial: u64) -> StateReply {
        StateReply::Acknowledged { through: serial }
    }

    fn compliance(update: u8) -> StateMessage {
        StateMessage::Compliance(Compliance { update: UpdateId([update; 16]), state: ComplianceState::Required })
    }

    fn batch(stream: u64, first_serial: u64, messages: &[StateMessage]) -> StateBatch {
        StateBatch { stream, first_serial, messages: messages.iter().cloned().collect() }
    }

    /// Advances a stream that has 10 messages.
    fn after_ten(batch: &StateBatch) -> (usize, StateReply, Stream) {
        let mut stream = Stream { number: Some(7), last_serial: 10 };
        let (new, reply) = stream.advance(batch);
        (new.len(), reply, stream)
    }

    #[test]
    fn messages_that_follow_are_taken_and_those_seen_before_are_skipped() {
        let messages = [compliance(1), compliance(2), compliance(3)];
        for (first, new, last) in [(11, 3, 13), (10, 2, 12), (9, 1, 11), (8, 0, 10), (1, 0, 10)] {
            let (taken, reply, stream) = after_ten(&batch(7, first, &messages));
            assert_eq!((taken, reply, stream.last_serial), (new, through(last), last), "first serial {first}");
        }
    }

    #[test]
    fn a_gap_asks_for_everything_and_takes_nothing() {
        for first in [0, 12, u64::MAX] {
            let (taken, reply, stream) = after_ten(&batch(7, first, &[compliance(1)]));
            assert_eq!((taken, reply), (0, RESEND), "first serial {first}");
            assert_eq!(stream, Stream { number: Some(7), last_serial: 10 });
        }
    }

    #[test]
    fn only_a_reset_with_the_first_serial_starts_a_stream() {
        let reset = [StateMessage::Reset, compliance(1)];
        assert_eq!(after_ten(&batch(8, 1, &reset)), (2, through(2), Stream { number: Some(8), last_serial: 2 }));
        for refused in [batch(8, 2, &reset), batch(8, 1, &reset[1..]), batch(8, 1, &[]), batch(8, 11, &reset)] {
            assert_eq!(after_ten(&refused).1, RESEND, "{refused:?}");
        }
    }

    #[test]
    fn an_empty_batch_asks_how_far_the_site_is() {
        assert_eq!(after_ten(&batch(7, 11, &[])).1, through(10));
    }

    #[test]
    fn a_new_state_voids_the_findings_before_it() {
        let finding = |subject: &str| {
            StateMessage::Finding(Finding {
                update: UpdateId([1; 16]),
                subject: subject.try_into().unwrap(),
                state: ComplianceState::Required,
                detail: heapless::String::new(),
            })
        };
        let messages = [compliance(1), finding("old"), compliance(1), finding("new"), compliance(2)];
        let mut changes = Changes::default();
        messages.iter().for_each(|message| changes.push(message));
        let subjects: Vec<_> = changes.findings.keys().map(|(_, subject)| subject.as_ref()).collect();
        assert_eq!((subjects, changes.states.len()), (vec!["new"], 2));
    }

    #[test]
    fn a_new_word_on_a_shadow_voids_the_differences_before_it() {
        let difference = |plugin: &str, update: u8| {
            StateMessage::Difference(Box::new(Difference {
                plugin: plugin.try_into().unwrap(),
                update: UpdateId([update; 16]),
                state: ComplianceState::Required,
                shadow_state: ComplianceState::Installed,
                detail: heapless::String::new(),
                shadow_detail: heapless::String::new(),
            }))
        };
        let shadow = |plugin: &str| {
            StateMessage::Shadow(Box::new(ShadowResult {
                plugin: plugin.try_into().unwrap(),
                version: "1.0.0".try_into().unwrap(),
                shadow_version: "1.1.0".try_into().unwrap(),
                scanned_at: 1,
                compared: 2,
                differing: 1,
                error: heapless::String::new(),
            }))
        };
        let messages =
            [shadow("dpkg"), difference("dpkg", 1), difference("rpm", 2), shadow("dpkg"), difference("dpkg", 3)];
        let mut changes = Changes::default();
        messages.iter().for_each(|message| changes.push(message));
        let left: Vec<_> = changes.differences.keys().map(|(plugin, update)| (plugin.as_ref(), update.0[0])).collect();
        assert_eq!(left, [("dpkg", 3), ("rpm", 2)]);
        changes.push(&StateMessage::Reset);
        assert!(changes.shadows.is_empty() && changes.differences.is_empty());
    }

    #[test]
    fn a_reset_voids_what_came_before_it() {
        let messages = [compliance(1), StateMessage::Reset, compliance(2)];
        let mut changes = Changes::default();
        messages.iter().for_each(|message| changes.push(message));
        assert!(changes.reset);
        assert_eq!(changes.states.into_keys().collect::<Vec<_>>(), [UpdateId([2; 16])]);
    }
}
