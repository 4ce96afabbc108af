//! What a new assignment makes of the jobs.

use super::{Event, Job, JobKey, Jobs};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{DeploymentId, UnixTime, UpdateId};

/// A deployment as the assignment and its policy have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// How the client's phase stands.
    pub standing: Standing,
    /// How often an administrator asked to try again.
    pub retries: u16,
    /// What it deploys to this client's scopes. None if that cannot be told at the moment: then no job begins or ends.
    pub updates: Option<BTreeSet<UpdateId>>,
}

/// What becomes of `jobs` now that these are the deployments: every job that is new or changed, and none where one is
/// to be forgotten. The jobs are to be stored and reported, all or none.
#[must_use]
pub fn reconcile(jobs: &Jobs, deployed: &[Deployed], now: UnixTime) -> Vec<(JobKey, Option<Job>)> {
    let deployed: BTreeMap<_, _> = deployed.iter().map(|deployed| (deployed.deployment, deployed)).collect();
    let old = jobs.values().filter_map(|job| {
        let followed = follow(job, deployed.get(&job.key.0).copied(), now);
        (followed.as_ref() != Some(job)).then_some((job.key, followed))
    });
    let new = deployed.values().filter(|deployed| deployed.standing != Standing::Cancelled).flat_map(|deployed| {
        let keys = deployed.updates.iter().flatten().map(|update| (deployed.deployment, *update));
        keys.filter(|key| !jobs.contains_key(key)).map(|key| (key, Some(Job::new(key, deployed.retries, now))))
    });
    old.chain(new).collect()
}

/// What becomes of a job; none if it is to be forgotten. What the table of states does not allow (an installer is at
/// work, the job is over) is left as it is.
fn follow(job: &Job, deployed: Option<&Deployed>, now: UnixTime) -> Option<Job> {
    let after = |event, reason| {
        let mut changed = job.clone();
        changed.happen(event, None, reason, now).map_or_else(|_| job.clone(), |()| changed)
    };
    let Some(deployed) = deployed else {
        return (!job.state.is_final()).then(|| after(Event::Cancelled, "it is not deployed to this client any more"));
    };
    Some(match &deployed.updates {
        _ if deployed.standing == Standing::Cancelled => after(Event::Cancelled, "cancelled by the administrator"),
        Some(updates) if !updates.contains(&job.key.1) => {
            after(Event::Superseded, "it is superseded or expired, and not deployed any more")
        }
        Some(_) if matches!(job.state, EnforcementState::Superseded | EnforcementState::Cancelled) => {
            after(Event::Redeployed, "it is deployed again").begun_again(deployed.retries, now)
        }
        Some(_) | None if job.history.retries < deployed.retries => {
            after(Event::Retried, "an administrator wants it tried again").tried_again(deployed.retries)
        }
        Some(_) | None => job.clone(),
    })
}

impl Job {
    fn begun_again(mut self, retries: u16, now: UnixTime) -> Self {
        (self.history.first_seen, self.history.retries) = (now, retries);
        self
    }

    /// The request is remembered in any case, and what has not failed yet is not to wait for its next try.
    fn tried_again(mut self, retries: u16) -> Self {
        self.history.retries = retries;
        if self.is_readying() {
            self.history.begin_afresh();
        }
        self
    }
}
