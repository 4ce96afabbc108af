//! A site in memory, and a client that works as hard as it can to lose a message.
#![allow(clippy::unwrap_used, dead_code)]

use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::{
    Compliance, Enforcement, ShadowResult, StateBatch, StateMessage, StateReply, Text, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, DeploymentId, UpdateId};
use farrier_spool::{Acknowledgement, Blob, JobKey, Recording, Spool, SpoolError};
use std::collections::BTreeMap;

pub const OWNER: ClientId = ClientId([1; 16]);
pub const FIRST_STREAM: u64 = 77;

/// What the management point would store of one client.
#[derive(Debug, Clone, Default)]
pub struct Site {
    stream: Option<u64>,
    last_serial: u64,
    pub states: BTreeMap<UpdateId, ComplianceState>,
    pub jobs: BTreeMap<JobKey, EnforcementState>,
    /// How many updates were compared, by plugin.
    pub shadows: BTreeMap<String, u8>,
}

impl Site {
    pub fn take(&mut self, body: &[u8]) -> StateReply {
        let batch: StateBatch = farrier_protocol::decode(body).unwrap();
        if self.stream != Some(batch.stream) {
            if batch.first_serial != 1 {
                return StateReply::Resend;
            }
            (self.stream, self.last_serial) = (Some(batch.stream), 0);
        }
        if batch.first_serial > self.last_serial + 1 {
            return StateReply::Resend;
        }
        for (serial, message) in (batch.first_serial..).zip(&batch.messages) {
            if serial > self.last_serial {
                self.apply(message);
                self.last_serial = serial;
            }
        }
        StateReply::Acknowledged { through: self.last_serial }
    }

    fn apply(&mut self, message: &StateMessage) {
        match message {
            StateMessage::Reset => {
                self.states.clear();
                self.jobs.clear();
                self.shadows.clear();
            }
            StateMessage::Compliance(Compliance { update, state: ComplianceState::NotRequired }) => {
                self.states.remove(update);
            }
            StateMessage::Compliance(Compliance { update, state }) => drop(self.states.insert(*update, *state)),
            StateMessage::Enforcement(enforcement) => {
                self.jobs.insert((enforcement.deployment, enforcement.update), enforcement.state);
            }
            StateMessage::Shadow(result) if result.version.is_empty() => drop(self.shadows.remove(&*result.plugin)),
            StateMessage::Shadow(result) => drop(self.shadows.insert(result.plugin.to_string(), result.compared as u8)),
            StateMessage::Inventory(_)
            | StateMessage::Finding(_)
            | StateMessage::Scan(_)
            | StateMessage::Facts(_)
            | StateMessage::Abilities(_)
            | StateMessage::Difference(_)
            | StateMessage::FallBack(_) => {}
        }
    }
}

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One thing a client does: scan, go on with installations, have a shadow scan, adopt a policy, send some batches, or start
/// a new stream.
pub fn step(spool: &Spool, random: &mut Random, mut send: impl FnMut(&[u8]) -> StateReply) -> Result<(), SpoolError> {
    match random.below(13) {
        0..=4 => scan(spool, random),
        5..=7 => install(spool, random),
        8 => have_a_shadow_scan(spool, random),
        12 => adopt(spool, policy(spool).wrapping_add(1)),
        9 | 10 => {
            let mut after = 0;
            for _ in 0..=random.below(3) {
                let Some(batch) = spool.next_batch(after)? else { break };
                after = batch.through;
                match send(&batch.body) {
                    StateReply::Acknowledged { through } => {
                        let acknowledgement = spool.acknowledge(batch.stream, through)?;
                        assert_eq!(acknowledgement, Acknowledgement::Taken);
                    }
                    StateReply::Resend => return restart(spool, random),
                }
            }
            Ok(())
        }
        _ => restart(spool, random),
    }
}

/// Takes a new root, and then the policy of that number: all of its parts in one transaction.
pub fn adopt(spool: &Spool, number: u8) -> Result<(), SpoolError> {
    spool.store(&[(Blob::Root, &[number])])?;
    spool.store(&[(Blob::Policy, &encoded_policy(number)), (Blob::Polls, &[number])])
}

/// The policy in the spool, which is one policy and nothing else.
pub fn policy(spool: &Spool) -> u8 {
    let part = |blob| spool.blob(blob).unwrap();
    let Some(policy) = part(Blob::Policy) else {
        assert_eq!(part(Blob::Polls), None, "nothing of a policy is there before all of it is");
        return 0;
    };
    let number = policy[0];
    assert_eq!(policy, encoded_policy(number));
    assert_eq!(part(Blob::Polls).unwrap(), [number], "its parts belong together");
    let root = part(Blob::Root).unwrap()[0];
    assert!(root == number || root == number.wrapping_add(1), "a newer root is kept, an older one is not");
    number
}

/// Of different sizes, so that pages are freed and used again.
fn encoded_policy(number: u8) -> Vec<u8> {
    vec![number; 3_000 + usize::from(number % 5) * 7_000]
}

fn scan(spool: &Spool, random: &mut Random) -> Result<(), SpoolError> {
    let mut states = BTreeMap::new();
    for _ in 0..random.below(200) {
        let update = UpdateId([random.below(60) as u8; 16]);
        states.insert(update, ComplianceState::ALL[random.below(4) as usize]);
    }
    let records: Vec<_> = states
        .iter()
        .map(|(update, state)| (*update, (*state != ComplianceState::NotRequired).then(|| vec![*state as u8; 50])))
        .collect();
    let messages: Vec<_> = states.iter().map(|(update, state)| message(*update, *state)).collect();
    let recording = Recording { records: &records, blobs: &[(Blob::Scan, &[7; 100])], ..Recording::default() };
    spool.record(&recording, messages.iter().map(Vec::as_slice))
}

/// Jobs go on; one that the site heard the end of may be forgotten.
fn install(spool: &Spool, random: &mut Random) -> Result<(), SpoolError> {
    let known = journal(spool)?;
    let (mut jobs, mut messages) = (BTreeMap::new(), Vec::new());
    for _ in 0..random.below(20) {
        let key = (DeploymentId([random.below(3) as u8; 16]), UpdateId([random.below(9) as u8; 16]));
        let state = EnforcementState::ALL[random.below(13) as usize];
        if known.get(&key) == Some(&EnforcementState::Cancelled) {
            jobs.insert(key, None);
        } else {
            jobs.insert(key, Some(state));
        }
    }
    for (key, state) in &jobs {
        // The last word on a forgotten job was its end.
        messages.extend(state.map(|state| enforcement(*key, state)));
    }
    let jobs: Vec<_> = jobs.into_iter().map(|(key, state)| (key, state.map(|state| vec![state as u8; 90]))).collect();
    let recording = Recording { jobs: &jobs, ..Recording::default() };
    spool.record(&recording, messages.iter().map(Vec::as_slice))
}

/// One plugin has another report, or none any more.
fn have_a_shadow_scan(spool: &Spool, random: &mut Random) -> Result<(), SpoolError> {
    let plugin = ["dpkg", "rpm", "file-set"][random.below(3) as usize].to_owned();
    let compared = (random.below(4) > 0).then(|| random.below(256) as u8);
    let said = shadow(&plugin, compared);
    let shadows = [(plugin, compared.map(|compared| vec![compared; 200]))];
    spool.record(&Recording { shadows: &shadows, ..Recording::default() }, [said.as_slice()])
}

fn shadow(plugin: &str, compared: Option<u8>) -> Vec<u8> {
    let version = if compared.is_some() { "0.1.0" } else { "" };
    let result = ShadowResult {
        plugin: bounded(plugin),
        version: bounded(version),
        shadow_version: bounded(version),
        scanned_at: 0,
        compared: compared.unwrap_or_default().into(),
        differing: 0,
        error: Text::new(),
    };
    farrier_protocol::encode(&StateMessage::Shadow(Box::new(result))).unwrap()
}

fn reports(spool: &Spool) -> Result<BTreeMap<String, u8>, SpoolError> {
    Ok(spool.shadows()?.into_iter().map(|(plugin, report)| (plugin, report[0])).collect())
}

fn restart(spool: &Spool, random: &mut Random) -> Result<(), SpoolError> {
    let states = recorded(spool)?.into_iter().map(|(update, state)| message(update, state));
    let jobs = journal(spool)?.into_iter().map(|(key, state)| enforcement(key, state));
    let shadows = reports(spool)?.into_iter().map(|(plugin, compared)| shadow(&plugin, Some(compared)));
    let messages: Vec<_> = states.chain(jobs).chain(shadows).collect();
    spool.restart_stream(random.below(u64::MAX), messages.iter().map(Vec::as_slice))
}

fn enforcement((deployment, update): JobKey, state: EnforcementState) -> Vec<u8> {
    let enforcement = Enforcement {
        deployment,
        update,
        state,
        since: 0,
        installations: 0,
        bytes_left: 0,
        until: None,
        reason: Text::new(),
    };
    farrier_protocol::encode(&StateMessage::Enforcement(Box::new(enforcement))).unwrap()
}

fn journal(spool: &Spool) -> Result<BTreeMap<JobKey, EnforcementState>, SpoolError> {
    let jobs = spool.jobs()?.into_iter();
    Ok(jobs.map(|(key, job)| (key, EnforcementState::try_from(i64::from(job[0])).unwrap())).collect())
}

fn message(update: UpdateId, state: ComplianceState) -> Vec<u8> {
    farrier_protocol::encode(&StateMessage::Compliance(Compliance { update, state })).unwrap()
}

fn recorded(spool: &Spool) -> Result<BTreeMap<UpdateId, ComplianceState>, SpoolError> {
    let records = spool.records()?.into_iter();
    Ok(records.map(|(update, record)| (update, ComplianceState::try_from(i64::from(record[0])).unwrap())).collect())
}

/// Whatever happened: once the queued messages arrive, the site knows exactly what is recorded, of each job exactly what is
/// in the journal, of each shadow what was reported, and no serial is missing; and the policy is a whole one.
pub fn assert_nothing_is_lost(spool: &Spool, site: &Site) {
    policy(spool);
    let mut site = site.clone();
    let stream = spool.stream().unwrap();
    let mut after = stream.acknowledged;
    while let Some(batch) = spool.next_batch(after).unwrap() {
        let reply = site.take(&batch.body);
        assert!(matches!(reply, StateReply::Acknowledged { through } if through >= batch.through), "{reply:?}");
        after = batch.through;
    }
    assert_eq!(after, stream.next_serial - 1, "every queued message is there");
    assert_eq!(site.states, recorded(spool).unwrap(), "what is recorded is what the site was told");
    // Of a forgotten job the site keeps the last word.
    site.jobs.retain(|_, state| *state != EnforcementState::Cancelled);
    let mut journal = journal(spool).unwrap();
    journal.retain(|_, state| *state != EnforcementState::Cancelled);
    assert_eq!(site.jobs, journal, "what is in the journal is what the site was told");
    assert_eq!(site.shadows, reports(spool).unwrap(), "what is kept of shadows is what the site was told");
}
