//! The journal: the jobs in the spool, each change with what the site must hear of it in one transaction.

use anyhow::Context as _;
use farrier_agent_core::Messages;
use farrier_agent_core::enforcement::{Job, JobKey, Jobs};
use farrier_protocol::{DeploymentId, UnixTime};
use farrier_spool::{Recording, Spool};

/// A change of a job; none if it is to be forgotten.
pub(super) type Change<'a> = (JobKey, Option<&'a Job>);

/// The jobs, and those of them that could not be understood: they failed, and are to be stored so. `retries` says what
/// number of requests to try again a deployment has.
pub(super) fn load(
    spool: &Spool,
    retries: impl Fn(DeploymentId) -> u16,
    now: UnixTime,
) -> anyhow::Result<(Jobs, Vec<JobKey>)> {
    let (mut jobs, mut lost) = (Jobs::new(), Vec::new());
    for (key, bytes) in spool.jobs()? {
        let job = Job::decode(key, &bytes).unwrap_or_else(|damaged| {
            tracing::error!(error = %damaged, "A part of the journal is lost");
            lost.push(key);
            Job::lost(&damaged, retries(key.0), now)
        });
        jobs.insert(key, job);
    }
    Ok((jobs, lost))
}

/// Stores changes durably, all or none; the site is to hear of those that are `told`.
pub(super) fn record<'a>(
    spool: &Spool,
    changes: impl Iterator<Item = Change<'a>>,
    told: impl Fn(&Job) -> bool,
) -> anyhow::Result<()> {
    let (mut jobs, mut messages) = (Vec::new(), Messages::default());
    for (key, job) in changes {
        if let Some(job) = job.filter(|job| told(job)) {
            messages.push(&job.message());
        }
        jobs.push((key, job.map(Job::encode)));
    }
    if jobs.is_empty() {
        return Ok(());
    }
    let recorded = spool.record(&Recording { jobs: &jobs, ..Recording::default() }, messages.iter());
    recorded.context("the journal of installations cannot be kept, so nothing is installed")
}
