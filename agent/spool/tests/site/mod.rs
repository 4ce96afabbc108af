//! A site in memory, and a client that works as hard as it can to lose a message.
#![allow(clippy::unwrap_used, dead_code)]

use farrier_protocol::state_message::{Compliance, StateBatch, StateMessage, StateReply};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};
use farrier_spool::{Acknowledgement, Blob, Recording, Spool, SpoolError};
use std::collections::BTreeMap;

pub const OWNER: ClientId = ClientId([1; 16]);
pub const FIRST_STREAM: u64 = 77;

/// What the management point would store of one client.
#[derive(Debug, Clone, Default)]
pub struct Site {
    stream: Option<u64>,
    last_serial: u64,
    pub states: BTreeMap<UpdateId, ComplianceState>,
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
            StateMessage::Reset => self.states.clear(),
            StateMessage::Compliance(Compliance { update, state: ComplianceState::NotRequired }) => {
                self.states.remove(update);
            }
            StateMessage::Compliance(Compliance { update, state }) => drop(self.states.insert(*update, *state)),
            StateMessage::Inventory(_)
            | StateMessage::Finding(_)
            | StateMessage::Scan(_)
            | StateMessage::Facts(_)
            | StateMessage::Enforcement(_) => {}
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

/// One thing a client does: scan, send some batches, or start a new stream.
pub fn step(spool: &Spool, random: &mut Random, mut send: impl FnMut(&[u8]) -> StateReply) -> Result<(), SpoolError> {
    match random.below(8) {
        0..=4 => scan(spool, random),
        5 | 6 => {
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
    let recording = Recording { records: &records, blobs: &[(Blob::Scan, &[7; 100])] };
    spool.record(&recording, messages.iter().map(Vec::as_slice))
}

fn restart(spool: &Spool, random: &mut Random) -> Result<(), SpoolError> {
    let messages: Vec<_> = recorded(spool)?.into_iter().map(|(update, state)| message(update, state)).collect();
    spool.restart_stream(random.below(u64::MAX), messages.iter().map(Vec::as_slice))
}

fn message(update: UpdateId, state: ComplianceState) -> Vec<u8> {
    farrier_protocol::encode(&StateMessage::Compliance(Compliance { update, state })).unwrap()
}

fn recorded(spool: &Spool) -> Result<BTreeMap<UpdateId, ComplianceState>, SpoolError> {
    let records = spool.records()?.into_iter();
    Ok(records.map(|(update, record)| (update, ComplianceState::try_from(i64::from(record[0])).unwrap())).collect())
}

/// Whatever happened: once the queued messages arrive, the site knows exactly what is recorded, and no serial is missing.
pub fn assert_nothing_is_lost(spool: &Spool, site: &Site) {
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
}
