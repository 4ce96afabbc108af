//! Everything there is to know for decisions: the deployments of this client with their terms, and its jobs.

use super::journal;
use crate::clock::now;
use crate::content::Unavailable;
use crate::deployments::{DeploymentError, Offer, Policies, Scopes, is_published};
use crate::health;
use crate::local_time::WallClock;
use crate::policy::Policy;
use crate::scan::{Scanner, Unfit};
use crate::session::Session;
use anyhow::{Context as _, anyhow};
use farrier_agent_core::enforcement::{Calendar, Deployed, Impossible, Job, JobKey, Jobs, Terms, reconcile};
use farrier_agent_core::versions::Health;
use farrier_protocol::assignment::{AssignedDeployment, AssignedInstaller};
use farrier_protocol::deployment::DeploymentPolicy;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{Digest, UnixTime, UpdateId};
use farrier_spool::Spool;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The deployments and the jobs.
pub(crate) struct Board {
    /// When the client may install.
    pub(crate) calendar: Calendar,
    /// The client's wall clock.
    pub(crate) wall: WallClock,
    jobs: Jobs,
    items: Vec<Item>,
    installers: Vec<AssignedInstaller>,
    fallbacks: Vec<Box<AssignedInstaller>>,
    /// Why installers cannot be used that were not even fetched.
    unfit: BTreeMap<Digest, Unfit>,
    /// How the versions of plugins fared.
    health: Health,
    /// Jobs that are changed and not stored yet, with the state they had.
    dirty: BTreeMap<JobKey, EnforcementState>,
    transitions: Vec<Transition>,
}

/// One update of one deployment, as this client is to have it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its job.
    pub(crate) key: JobKey,
    /// What is to be installed.
    pub(crate) offer: Offer,
    /// When and how.
    pub(crate) terms: Terms,
    /// What its deployment says.
    pub(crate) policy: Rc<DeploymentPolicy>,
}

/// A job that went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transition {
    /// Which job.
    pub(crate) key: JobKey,
    /// The state before.
    pub(crate) from: EnforcementState,
    /// The state now.
    pub(crate) to: EnforcementState,
}

impl Board {
    /// What the policy and the journal say, once they agree: jobs begin and end here. Nothing where there is nothing to
    /// install and never was.
    pub(crate) fn open(session: &mut Session<'_>, now: UnixTime) -> anyhow::Result<Option<Self>> {
        let Some(policy) = session.policy() else { return Ok(None) };
        let assigned = &policy.assignment.deployments;
        let retries = |deployment| {
            assigned.iter().find(|assigned| assigned.deployment == deployment).map_or(0, |assigned| assigned.retries)
        };
        let (jobs, lost) = journal::load(&session.spool, retries, now)?;
        let health = health::load(&session.spool, &policy.assignment)?;
        if assigned.is_empty() && jobs.is_empty() {
            return Ok(None);
        }
        let wall = WallClock::system();
        let calendar = Calendar::new(&policy.assignment.windows, |moment| wall.instant(moment));
        let installers: Vec<_> = policy.assignment.installers.iter().cloned().collect();
        let fallbacks: Vec<_> = policy.assignment.installer_fallbacks.iter().cloned().collect();
        let limit = session.agent.config.limits.limits().component_bytes;
        let all = installers.iter().chain(fallbacks.iter().map(Box::as_ref));
        let unfit =
            all.filter_map(|it| Some((it.digest, Unfit::TooLarge { bytes: policy.too_large(it, limit)?, limit })));
        let unfit = unfit.collect();
        let dirty = lost.iter().map(|key| (*key, EnforcementState::Waiting)).collect();
        let (items, transitions) = (Vec::new(), Vec::new());
        let mut board = Self { calendar, wall, jobs, items, installers, fallbacks, unfit, health, dirty, transitions };
        let deployed = board.read(session, &policy)?;
        board.reconcile(&session.spool, &deployed, now)?;
        let jobs = &board.jobs;
        board.items.retain(|item| jobs.contains_key(&item.key));
        Ok(Some(board))
    }

    /// Reads what is deployed here.
    fn read(&mut self, session: &Session<'_>, policy: &Policy) -> anyhow::Result<Vec<Deployed>> {
        let mut deployed = Vec::new();
        let scopes = scopes(session, policy, &self.health)?;
        let mut policies = Policies::new(&session.content)?;
        for assigned in &policy.assignment.deployments {
            let updates = match is_published(assigned) {
                true => self.add(session, &mut policies, assigned, &scopes),
                false => None,
            };
            let AssignedDeployment { deployment, standing, retries, .. } = *assigned;
            deployed.push(Deployed { deployment, standing, retries, updates });
        }
        Ok(deployed)
    }

    /// The updates of one deployment; none if they cannot be told at the moment.
    fn add(
        &mut self,
        session: &Session<'_>,
        policies: &mut Policies<'_>,
        assigned: &AssignedDeployment,
        scopes: &KnownScopes,
    ) -> Option<BTreeSet<UpdateId>> {
        let read = policies.deployment(assigned, &scopes.known).map_err(anyhow::Error::new);
        let read = read.and_then(|(policy, offers)| {
            let terms = Terms::new(&policy, assigned, session.identity.client, |moment| self.wall.instant(moment))?;
            Ok((policy, offers, terms))
        });
        let (policy, offers, terms) = match read {
            Ok(read) => read,
            Err(error) => {
                fetch_if_missing(session, &error);
                let error = format!("{error:#}");
                tracing::warn!(deployment.id = %assigned.deployment, error, "A deployment is not followed");
                return None;
            }
        };
        if policy.scopes.iter().any(|scope| scopes.unknown.contains(scope.plugin.as_str())) {
            return None;
        }
        let (policy, updates) = (Rc::new(policy), offers.iter().map(|offer| offer.update).collect());
        self.items.extend(offers.into_iter().map(|offer| Item {
            key: (assigned.deployment, offer.update),
            terms: Terms { max_run_seconds: offer.max_run_seconds, ..terms },
            offer,
            policy: policy.clone(),
        }));
        Some(updates)
    }

    fn reconcile(&mut self, spool: &Spool, deployed: &[Deployed], now: UnixTime) -> anyhow::Result<()> {
        let changes = reconcile(&self.jobs, deployed, now);
        journal::record(spool, changes.iter().map(|(key, job)| (*key, job.as_ref())), |_| true)?;
        for (key, job) in changes {
            match job {
                Some(job) => drop(self.jobs.insert(key, job)),
                None => drop(self.jobs.remove(&key)),
            }
        }
        Ok(())
    }

    /// Every deployed update, in the order in which they are installed.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&Item, &Job)> {
        self.items.iter().filter_map(|item| Some((item, self.jobs.get(&item.key)?)))
    }

    /// One deployed update.
    pub(crate) fn item(&self, key: JobKey) -> Option<(&Item, &Job)> {
        self.items().find(|(item, _)| item.key == key)
    }

    /// The deployed update at this position.
    pub(crate) fn at(&self, position: usize) -> Option<(&Item, &Job)> {
        let item = self.items.get(position)?;
        Some((item, self.jobs.get(&item.key)?))
    }

    /// The jobs, also of what is deployed no more.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// The installer of this name, in the version that is used.
    pub(crate) fn installer(&self, name: &str) -> anyhow::Result<&AssignedInstaller> {
        let assigned = self.installers.iter().find(|installer| *installer.name == *name).with_context(|| {
            format!("the installer {name} is not assigned to this client: the site has to publish it")
        })?;
        let chosen = self.health.choose(assigned, &self.fallbacks, now()).version();
        chosen.map_err(|reason| anyhow!("the installer {name} cannot be used: {reason}"))
    }

    /// Why the component of this digest cannot be used, if it was not even fetched.
    pub(crate) fn unfit(&self, component: &Digest) -> Option<&Unfit> {
        self.unfit.get(component)
    }

    /// From now on this is how the versions of plugins fared.
    pub(crate) fn learn(&mut self, health: Health) {
        self.health = health;
    }

    /// Changes a job; [`commit`](Self::commit) stores it. A change that is impossible is a mistake of this program: it
    /// is logged, and the job stays as it is. Nothing is returned then.
    pub(crate) fn alter<T>(
        &mut self,
        key: JobKey,
        change: impl FnOnce(&mut Job) -> Result<T, Impossible>,
    ) -> Option<T> {
        let job = self.jobs.get_mut(&key)?;
        let mut changed = job.clone();
        match change(&mut changed) {
            Ok(value) => {
                if changed != *job {
                    self.dirty.entry(key).or_insert(job.state());
                    *job = changed;
                }
                Some(value)
            }
            Err(error) => {
                tracing::error!(deployment.id = %key.0, update.id = %key.1, %error, "A job is left as it is");
                None
            }
        }
    }

    /// Stores what changed, durably. The site hears of every new state, and of `everything` else that changed, too, if
    /// that is wanted.
    pub(crate) fn commit(&mut self, spool: &Spool, everything: bool) -> anyhow::Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        let jobs = dirty.keys().map(|key| (*key, self.jobs.get(key)));
        journal::record(spool, jobs, |job| {
            everything || dirty.get(&job.key()).is_none_or(|state| *state != job.state())
        })?;
        for (key, from) in dirty {
            if let Some(to) = self.jobs.get(&key).map(Job::state).filter(|to| *to != from) {
                tracing::info!(deployment.id = %key.0, update.id = %key.1, state = %to, "A job has a new state");
                self.transitions.push(Transition { key, from, to });
            }
        }
        Ok(())
    }

    /// The new states since the last call.
    pub(crate) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Every file of every update that is not done with.
    pub(crate) fn offered_files(&self) -> impl Iterator<Item = (JobKey, Digest)> {
        let open = self.items().filter(|(_, job)| !job.state().is_final());
        open.flat_map(|(item, _)| {
            item.offer.contents.iter().chain(&item.offer.previous).map(|file| (item.key, file.digest))
        })
    }
}

/// What is missing on disk is fetched by the next poll.
pub(super) fn fetch_if_missing(session: &Session<'_>, error: &anyhow::Error) {
    let is_missing = error.is::<Unavailable>() || matches!(error.downcast_ref(), Some(DeploymentError::Unavailable(_)));
    if is_missing && let Err(error) = session.note_missing_content() {
        tracing::warn!(error = format!("{error:#}"), "What is missing cannot be asked for");
    }
}

/// The scopes that plugins name, and the plugins that could not name any.
struct KnownScopes {
    known: Scopes,
    unknown: BTreeSet<String>,
}

fn scopes(session: &Session<'_>, policy: &Policy, health: &Health) -> anyhow::Result<KnownScopes> {
    let mut scopes = KnownScopes { known: Scopes::new(), unknown: BTreeSet::new() };
    if policy.assignment.deployments.is_empty() {
        return Ok(scopes);
    }
    let scanner = Scanner::open(session.agent, &session.identity, &session.content, policy)?;
    for plugin in &policy.assignment.assessment.plugins {
        match scanner.guest_in_use(policy, health, plugin).and_then(|mut guest| Ok(guest.scopes()?)) {
            Ok(named) => drop(scopes.known.insert(plugin.name.to_string(), named)),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(plugin.name = %plugin.name, error, "A plugin names no scopes: its jobs wait");
                scopes.unknown.insert(plugin.name.to_string());
            }
        }
    }
    Ok(scopes)
}
