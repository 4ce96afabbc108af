//! What the site must hear: the difference between what it was told and what a scan says.
//!
//! A *record* is what the spool keeps of an update that was reported: its state, its plugin and its findings, encoded.
//! An update without a record was never reported, or last as `NotRequired`.

use crate::enforcement::Job;
use crate::shadow::{ShadowReport, States};
use crate::{Finding, PluginTag, Verdict, Verdicts};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use farrier_protocol::state_message::{
    self, Abilities, Compliance, Facts, FallBack, Inventory, ScanResult, StateMessage, bounded,
};
use farrier_protocol::{ComplianceState, UpdateId};

/// An update's record, as the spool hands it out.
pub type Recorded = (UpdateId, Box<[u8]>);

/// A record that cannot be understood: the spool's content is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRecord(pub UpdateId);

impl fmt::Display for DamagedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record of update {} is damaged", self.0)
    }
}

impl core::error::Error for DamagedRecord {}

/// Encoded state messages, in their order, in one piece of memory.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// Appends a message.
    pub fn push(&mut self, message: &StateMessage) {
        // Cannot fail: memory takes what is appended, and every message has an encoding.
        if let Ok(bytes) = postcard::to_extend(message, core::mem::take(&mut self.bytes)) {
            self.bytes = bytes;
            self.ends.push(self.bytes.len());
        }
    }

    /// The encoded messages.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn push_profile(&mut self, profile: Profile<'_>) {
        if let Some(inventory) = profile.inventory {
            self.push(&StateMessage::Inventory(Box::new(inventory.clone())));
        }
        if let Some(facts) = profile.facts {
            self.push(&StateMessage::Facts(Box::new(facts.clone())));
        }
        if let Some(abilities) = profile.abilities {
            self.push(&StateMessage::Abilities(Box::new(abilities.clone())));
        }
        for fall_back in profile.fall_backs {
            self.push(&StateMessage::FallBack(Box::new(fall_back.clone())));
        }
    }

    fn push_verdict(&mut self, update: UpdateId, state: ComplianceState, findings: &[Finding]) {
        self.push(&StateMessage::Compliance(Compliance { update, state }));
        for finding in findings {
            self.push(&StateMessage::Finding(state_message::Finding {
                update,
                subject: bounded(&finding.subject),
                state: finding.state,
                detail: bounded(&finding.detail),
            }));
        }
    }
}

/// What the client is, as far as the site is to hear it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Profile<'a> {
    /// For people.
    pub inventory: Option<&'a Inventory>,
    /// For collections.
    pub facts: Option<&'a Facts>,
    /// For whoever assigns plugins.
    pub abilities: Option<&'a Abilities>,
    /// Which versions of plugins are not used.
    pub fall_backs: &'a [FallBack],
}

/// What one scan changes.
#[derive(Debug, Default)]
pub struct Report {
    /// The new record of each changed update; none where it is `NotRequired` now.
    pub changes: Vec<(UpdateId, Option<Vec<u8>>)>,
    /// What the site must hear of it.
    pub messages: Messages,
    /// How many updates are `Unknown` only because their plugin failed before it could be asked about them.
    pub blind: u32,
}

/// Compares the records with the verdicts of a scan. Unchanged updates are not mentioned; `profile` holds what of it changed.
///
/// # Errors
/// When a record cannot be understood.
pub fn report(
    recorded: &[Recorded],
    verdicts: &Verdicts,
    profile: Profile<'_>,
    scan: ScanResult,
) -> Result<Report, DamagedRecord> {
    let mut report = Report::default();
    report.messages.push_profile(profile);
    let mut unmentioned: BTreeMap<&UpdateId, &[u8]> = recorded.iter().map(|(id, record)| (id, &**record)).collect();
    for (update, verdict) in verdicts.iter() {
        report.compare(*update, unmentioned.remove(update), verdict);
    }
    for (update, record) in unmentioned {
        let (_, plugin, _) = decode_record(*update, record)?;
        if let Some(verdict) = verdicts.of_unmentioned(plugin) {
            report.compare(*update, Some(record), &verdict);
            report.blind += 1;
        } else {
            report.messages.push_verdict(*update, ComplianceState::NotRequired, &[]);
            report.changes.push((*update, None));
        }
    }
    report.messages.push(&StateMessage::Scan(Box::new(scan)));
    Ok(report)
}

/// Everything a new stream says after its `Reset`.
///
/// # Errors
/// When a record cannot be understood.
pub fn everything<'a>(
    recorded: &[Recorded],
    profile: Profile<'_>,
    jobs: impl IntoIterator<Item = &'a Job>,
    shadows: impl IntoIterator<Item = &'a ShadowReport>,
    scan: Option<ScanResult>,
) -> Result<Messages, DamagedRecord> {
    let mut messages = Messages::default();
    messages.push_profile(profile);
    for (update, record) in recorded {
        let (state, _, findings) = decode_record(*update, record)?;
        messages.push_verdict(*update, state, &findings);
    }
    jobs.into_iter().for_each(|job| messages.push(&job.message()));
    shadows.into_iter().flat_map(ShadowReport::messages).for_each(|message| messages.push(&message));
    if let Some(scan) = scan {
        messages.push(&StateMessage::Scan(Box::new(scan)));
    }
    Ok(messages)
}

/// The states that records hold of a plugin's updates.
///
/// # Errors
/// When a record cannot be understood.
pub fn states_of(recorded: &[Recorded], plugin: PluginTag) -> Result<States, DamagedRecord> {
    let mut states = States::new();
    for (update, record) in recorded {
        let (state, of, _) = decode_record(*update, record)?;
        if of == plugin {
            states.insert(*update, state);
        }
    }
    Ok(states)
}

impl Report {
    fn compare(&mut self, update: UpdateId, record: Option<&[u8]>, verdict: &Verdict) {
        let new = encode_record(verdict);
        if record != Some(&new) {
            self.messages.push_verdict(update, verdict.state, &verdict.findings);
            self.changes.push((update, Some(new)));
        }
    }
}

fn encode_record(verdict: &Verdict) -> Vec<u8> {
    let Verdict { state, plugin, findings } = verdict;
    // Cannot fail: memory takes what is appended. An empty record would read as damaged, not as a state.
    farrier_protocol::encode(&(state, plugin, &**findings)).unwrap_or_default()
}

fn decode_record(update: UpdateId, record: &[u8]) -> Result<(ComplianceState, PluginTag, Vec<Finding>), DamagedRecord> {
    farrier_protocol::decode(record).map_err(|_| DamagedRecord(update))
}
