//! What a scan found, into the spool, and from there to the site.

use crate::clock::{now, random};
use crate::scan::Outcome;
use crate::session::Session;
use crate::site::Site;
use crate::{health, inventory, shadows};
use anyhow::{anyhow, bail};
use farrier_agent_core::enforcement::Job;
use farrier_agent_core::report::{DamagedRecord, Profile, Recorded, everything, report};
use farrier_agent_core::versions::{Conduct, Health};
use farrier_agent_core::{Messages, Report};
use farrier_protocol::assignment::Assignment;
use farrier_protocol::state_message::{ScanResult, StateReply};
use farrier_spool::{Acknowledgement, Blob, MAX_OUTBOX_MESSAGES, Recording, Spool, SpoolError};

/// New streams in one report, at most: a site that wants ever more of them is broken.
const MAX_RESTARTS: u32 = 2;
/// Batches that are sent before the spool is told: what a crash sends again.
const BATCHES_PER_ACKNOWLEDGEMENT: u32 = 32;

/// What became of a scan's record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    /// How many updates are `Unknown` only because their plugin could not be asked.
    pub(crate) blind: u32,
    /// Whether the next scan uses another version of a plugin than this one.
    pub(crate) fell_back: bool,
    /// How often in a row a plugin failed that failed now and is not given up yet; of several, the least.
    pub(crate) trial: Option<u8>,
}

/// Records a scan and queues its messages, in one transaction.
pub(crate) fn record(
    session: &Session<'_>,
    outcome: &Outcome,
    assignment: &Assignment,
    mut health: Health,
) -> anyhow::Result<Noted> {
    let spool = &session.spool;
    let scan = ScanResult {
        scanned_at: now(),
        assignment_version: assignment.assessment.version,
        evaluated: outcome.tally.evaluated,
        plugins: outcome.plugins.iter().cloned().collect(),
    };
    let config = &session.agent.config;
    let (inventory, facts) = (inventory::take(&config.root), inventory::facts(config));
    let abilities = inventory::abilities(config);
    let (inventory_bytes, facts_bytes) = (farrier_protocol::encode(&inventory)?, farrier_protocol::encode(&facts)?);
    let abilities_bytes = farrier_protocol::encode(&abilities)?;
    let fall_backs = health.note(assignment, outcome.conducts.iter().cloned(), now());
    fall_backs.iter().for_each(health::tell);
    let health_bytes = health.encode();
    let is_new = |blob, bytes: &[u8]| Ok::<_, SpoolError>(spool.blob(blob)?.as_deref() != Some(bytes));
    let profile = Profile {
        inventory: is_new(Blob::Inventory, &inventory_bytes)?.then_some(&inventory),
        facts: is_new(Blob::Facts, &facts_bytes)?.then_some(&facts),
        abilities: is_new(Blob::Abilities, &abilities_bytes)?.then_some(&abilities),
        fall_backs: &fall_backs,
    };
    let scan_bytes = farrier_protocol::encode(&scan)?;
    let Report { changes, messages, blind } = compare(spool, outcome, profile, scan)?;
    let blobs = [
        (Blob::Scan, &*scan_bytes),
        (Blob::Inventory, &*inventory_bytes),
        (Blob::Facts, &*facts_bytes),
        (Blob::Abilities, &*abilities_bytes),
        (Blob::Health, &*health_bytes),
    ];
    spool.record(&Recording { records: &changes, blobs: &blobs, ..Recording::default() }, messages.iter())?;
    tracing::info!(changes = changes.len(), "Scan recorded");
    collapse(spool)?;
    let at_fault = outcome.conducts.iter().filter(|(_, conduct)| matches!(conduct, Conduct::AtFault(_)));
    let trial = at_fault.filter_map(|(digest, _)| health.trial(digest)).min();
    Ok(Noted { blind, fell_back: !fall_backs.is_empty(), trial })
}

/// Sends what is queued until the site acknowledged everything. Returns how many messages that were.
pub(crate) async fn send(session: &Session<'_>, site: &Site) -> anyhow::Result<u64> {
    let spool = &session.spool;
    let before = spool.stream()?.unsent();
    for _ in 0..=MAX_RESTARTS {
        if send_stream(spool, site).await? {
            session.agent.note_contact();
            return Ok(before);
        }
        tracing::warn!("The site asks for everything again: a new stream begins");
        restart(spool)?;
    }
    bail!("the site asks for everything again and again; {before} messages stay queued")
}

/// Sends the messages of one stream; false if the site does not know what came before them.
async fn send_stream(spool: &Spool, site: &Site) -> anyhow::Result<bool> {
    let stream = spool.stream()?;
    let (mut committed, mut batches) = (stream.acknowledged, 0);
    let outcome = loop {
        let Some(batch) = spool.next_batch(committed)? else { break Ok(true) };
        match site.report(batch.body).await {
            Ok(StateReply::Acknowledged { through }) if through > committed => committed = through,
            Ok(StateReply::Acknowledged { through }) => {
                break Err(anyhow!("the site acknowledges message {through} again and nothing after it"));
            }
            Ok(StateReply::Resend) => return Ok(false),
            Err(error) => break Err(error.into()),
        }
        batches += 1;
        if batches % BATCHES_PER_ACKNOWLEDGEMENT == 0 && !acknowledge(spool, stream.id, committed)? {
            return Ok(false);
        }
    };
    // Also when the connection broke: what is committed need not be sent again.
    if !acknowledge(spool, stream.id, committed)? {
        return Ok(false);
    }
    outcome
}

/// False if the site committed what this spool never sent: one of them came out of a backup.
fn acknowledge(spool: &Spool, stream: u64, through: u64) -> anyhow::Result<bool> {
    Ok(spool.acknowledge(stream, through)? == Acknowledgement::Taken)
}

fn compare(spool: &Spool, outcome: &Outcome, profile: Profile<'_>, scan: ScanResult) -> anyhow::Result<Report> {
    let records = spool.records()?;
    match report(&records, &outcome.tally.verdicts, profile, scan.clone()) {
        Ok(report) => Ok(report),
        Err(damaged) => {
            forget(spool, damaged)?;
            Ok(report(&[], &outcome.tally.verdicts, profile, scan)?)
        }
    }
}

/// A new stream with everything that is recorded.
fn restart(spool: &Spool) -> anyhow::Result<()> {
    match full_state(spool, &spool.records()?, last_scan(spool)?)? {
        Ok(messages) => Ok(spool.restart_stream(new_stream()?, messages.iter())?),
        Err(damaged) => forget(spool, damaged),
    }
}

/// After a long time offline the history of every change is longer than the state it led to: then only that is kept.
fn collapse(spool: &Spool) -> anyhow::Result<()> {
    let unsent = spool.stream()?.unsent();
    if unsent <= MAX_OUTBOX_MESSAGES {
        return Ok(());
    }
    match full_state(spool, &spool.records()?, last_scan(spool)?)? {
        // Half, so that a state that is itself this long is not written again after every scan.
        Ok(messages) if (messages.len() as u64) < unsent / 2 => {
            tracing::info!(unsent, kept = messages.len(), "Queued messages collapsed into the present state");
            Ok(spool.restart_stream(new_stream()?, messages.iter())?)
        }
        Ok(_) => Ok(()),
        Err(damaged) => forget(spool, damaged),
    }
}

fn full_state(
    spool: &Spool,
    records: &[Recorded],
    scan: Option<ScanResult>,
) -> anyhow::Result<Result<Messages, DamagedRecord>> {
    // Blobs of another version of the agent are left out: the next scan writes them anew.
    let inventory = spool.blob(Blob::Inventory)?.and_then(|bytes| farrier_protocol::decode(&bytes).ok());
    let facts = spool.blob(Blob::Facts)?.and_then(|bytes| farrier_protocol::decode(&bytes).ok());
    let abilities = spool.blob(Blob::Abilities)?.and_then(|bytes| farrier_protocol::decode(&bytes).ok());
    let health = spool.blob(Blob::Health)?.and_then(|bytes| Health::decode(&bytes).ok());
    let fall_backs: Vec<_> = health.iter().flat_map(Health::told).cloned().collect();
    let profile = Profile {
        inventory: inventory.as_ref(),
        facts: facts.as_ref(),
        abilities: abilities.as_ref(),
        fall_backs: &fall_backs,
    };
    Ok(everything(records, profile, &jobs(spool)?, &shadows::reports(spool)?, scan))
}

fn last_scan(spool: &Spool) -> Result<Option<ScanResult>, SpoolError> {
    Ok(spool.blob(Blob::Scan)?.and_then(|bytes| farrier_protocol::decode(&bytes).ok()))
}

/// The jobs in the spool. One that this version of the agent does not understand is left out here: the engine ends it.
fn jobs(spool: &Spool) -> anyhow::Result<Vec<Job>> {
    Ok(spool.jobs()?.iter().filter_map(|(key, bytes)| Job::decode(*key, bytes).ok()).collect())
}

/// Records that this version of the agent does not understand are of no use: the next scan reports everything.
fn forget(spool: &Spool, damaged: DamagedRecord) -> anyhow::Result<()> {
    tracing::error!(error = %damaged, "State lost: everything is reported again");
    // Not that there was a scan: it would say that what is not mentioned is not required.
    let messages = full_state(spool, &[], None)??;
    Ok(spool.forget_records(new_stream()?, messages.iter())?)
}

fn new_stream() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(random()?))
}
