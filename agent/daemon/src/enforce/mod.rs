//! The engine: it does what is decided about the jobs (`farrier_agent_core::enforcement`), one bounded turn at a time,
//! so that the site is heard of in between: what it cancels or pauses is not begun. It decides nothing itself.
//!
//! Whatever changes the endpoint is in the journal before it begins. So a turn may end at any of its waits, by a signal
//! or a power cut, and the next one goes on from the journal and a fresh scan.

mod board;
mod content;
mod install;
mod installers;
mod journal;
mod notices;
mod restart;
mod survey;

pub(crate) use board::{Board, Item};

use crate::agent::Agent;
use crate::assess::{Assessment, assess};
use crate::clock::{now, random};
use crate::download::Downloads;
use crate::hooks::{Hooks, Notice};
use crate::scan::{Tally, conduct};
use crate::session::Session;
use crate::{health, report};
use farrier_agent_core::enforcement::{BootId, Impossible, Job, JobKey};
use farrier_agent_core::versions::Conduct;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ComplianceState, UnixTime, UpdateId};
use installers::Selected;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// When there is something to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once: the turn's time was up.
    AtOnce,
    /// At this time.
    At(UnixTime),
    /// When something else than time changes.
    WhenChanged,
}

/// The engine of one process.
#[derive(Debug)]
pub(crate) struct Engine {
    downloads: Downloads,
    hooks: Hooks,
    selections: BTreeMap<JobKey, Selected>,
    /// Jobs whose previous content cannot be had: they are installed without a way back.
    without_previous: BTreeSet<JobKey>,
    /// What the last scan says, until anything happens after which it proves nothing.
    sight: Option<Sight>,
    /// What users were told already.
    told: BTreeSet<(JobKey, Notice)>,
    /// The jobs that are worked on; none for all.
    only: Option<BTreeSet<JobKey>>,
    /// Whether this process still has to look at what the one before it left.
    is_new: bool,
    /// Whether content was missing in a scan, so that a poll has to fetch it.
    incomplete: bool,
    progress_told_at: Option<Instant>,
}

/// What a scan says of the updates that jobs are about.
#[derive(Debug, Clone, Default)]
struct Sight(BTreeMap<UpdateId, ComplianceState>);

/// What one turn works with.
struct Turn<'a, 's> {
    session: &'a mut Session<'s>,
    board: Board,
    boot: Option<BootId>,
    /// Whether the site was reached when it was last tried.
    online: bool,
    until: Instant,
    /// Jobs that are left alone for the rest of the turn.
    skipped: BTreeSet<JobKey>,
}

impl Engine {
    /// The engine of a process that works on all jobs.
    pub(crate) fn new(agent: &Agent) -> anyhow::Result<Self> {
        Ok(Self {
            downloads: Downloads::open(agent)?,
            hooks: Hooks::new(agent.config.user.hook.as_deref()),
            selections: BTreeMap::new(),
            without_previous: BTreeSet::new(),
            sight: None,
            told: BTreeSet::new(),
            only: None,
            is_new: true,
            incomplete: false,
            progress_told_at: None,
        })
    }

    /// The engine of a process that works on these jobs only, beside one that works on all.
    pub(crate) fn only(agent: &Agent, jobs: BTreeSet<JobKey>) -> anyhow::Result<Self> {
        Ok(Self { only: Some(jobs), is_new: false, ..Self::new(agent)? })
    }

    /// Scans, reports to the spool, and keeps what it says for the turn that follows.
    pub(crate) fn scan(&mut self, session: &mut Session<'_>) -> anyhow::Result<Assessment> {
        let board = Board::open(session, now())?;
        self.look(session, board.as_ref())
    }

    /// Does what is to be done about the jobs, until there is nothing more or the time is up.
    pub(crate) async fn turn(
        &mut self,
        session: &mut Session<'_>,
        online: bool,
        until: Instant,
    ) -> anyhow::Result<Next> {
        let outcome = self.take_turn(session, online, until).await;
        // Whoever takes a turn again has waited, and looks again.
        self.sight = None;
        self.hooks.tell();
        outcome
    }

    /// Whether content was missing in a scan since the last call.
    pub(crate) fn take_incomplete(&mut self) -> bool {
        std::mem::take(&mut self.incomplete)
    }

    /// Waits until users were told everything.
    pub(crate) async fn finish(&mut self) {
        self.hooks.finish().await;
    }

    async fn take_turn(&mut self, session: &mut Session<'_>, online: bool, until: Instant) -> anyhow::Result<Next> {
        let Some(board) = Board::open(session, now())? else { return Ok(Next::WhenChanged) };
        let boot = restart::boot(&session.agent.config)?;
        let mut turn = Turn { session, board, boot, online, until, skipped: BTreeSet::new() };
        self.recover(&mut turn)?;
        let next = self.work(&mut turn).await;
        turn.commit()?;
        self.notice(&mut turn.board);
        next
    }

    /// The lock is ours, so nobody is at what the journal says is being done.
    fn recover(&mut self, turn: &mut Turn<'_, '_>) -> anyhow::Result<()> {
        let was_left = |state| match state {
            EnforcementState::Installing => true,
            EnforcementState::Downloading => self.is_new,
            _ => false,
        };
        let left: Vec<_> = turn.board.jobs().filter(|job| was_left(job.state())).map(|job| job.key()).collect();
        for key in left {
            turn.board.alter(key, |job| Ok(job.interrupted(now())));
        }
        self.is_new = false;
        turn.commit()
    }

    async fn work(&mut self, turn: &mut Turn<'_, '_>) -> anyhow::Result<Next> {
        loop {
            let survey = self.survey(turn);
            turn.commit()?;
            match survey.first() {
                survey::Work::Nothing => return Ok(survey.next()),
                // What it is for comes in the same turn, or slow endpoints would do nothing but scan.
                survey::Work::Scan => {
                    self.look(turn.session, Some(&turn.board))?;
                    continue;
                }
                survey::Work::Finish(key) => self.finish_update(turn, key)?,
                survey::Work::Announce(jobs) => self.announce(turn, jobs)?,
                survey::Work::Install(key) => self.install(turn, key).await?,
                survey::Work::RollBack(key) => self.roll_back(turn, key).await?,
                survey::Work::Download(jobs) => self.download(turn, jobs).await?,
                survey::Work::Restart(jobs) => self.restart(turn, jobs).await?,
            }
            if Instant::now() >= turn.until {
                return Ok(Next::AtOnce);
            }
            // Signals arrive only in one who waits.
            tokio::task::yield_now().await;
        }
    }

    fn look(&mut self, session: &mut Session<'_>, board: Option<&Board>) -> anyhow::Result<Assessment> {
        let updates = board.into_iter().flat_map(|board| board.items().map(|(item, _)| item.offer.update));
        let assessment = assess(session, Tally::watching(updates))?;
        self.sight = Some(Sight::of(&assessment));
        self.incomplete |= assessment.outcome.tally.incomplete;
        Ok(assessment)
    }

    fn announce(&mut self, turn: &mut Turn<'_, '_>, jobs: &[(JobKey, Option<UnixTime>)]) -> anyhow::Result<()> {
        for (key, at) in jobs {
            turn.alter(*key, |job| job.restart_announced(*at, now()));
            self.tell_of_restart(&turn.board, *key, *at);
        }
        turn.commit()
    }

    async fn restart(&mut self, turn: &mut Turn<'_, '_>, jobs: &[JobKey]) -> anyhow::Result<()> {
        for key in jobs {
            turn.alter(*key, |job| job.restart_begun(now()));
        }
        turn.commit()?;
        self.send(turn).await;
        self.hooks.finish().await;
        self.sight = None;
        tracing::info!("The machine is told to restart");
        if let Err(error) = restart::restart(&turn.session.agent.config).await {
            tracing::error!(error = format!("{error:#}"), "The machine cannot be restarted");
        }
        Ok(())
    }

    /// Tells the site what is queued before something happens that the agent may not survive. A site that cannot be
    /// reached hears of it later.
    async fn send(&self, turn: &mut Turn<'_, '_>) {
        if !turn.online {
            return;
        }
        let sent = match turn.session.site() {
            Ok(site) => report::send(turn.session, &site).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            turn.online = false;
            tracing::info!(error = format!("{error:#}"), "The site hears of it later");
        }
    }

    fn is_mine(&self, key: JobKey) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&key))
    }
}

impl Turn<'_, '_> {
    /// Changes a job. One that cannot be changed so is left alone for the rest of the turn.
    fn alter<T>(&mut self, key: JobKey, change: impl FnOnce(&mut Job) -> Result<T, Impossible>) -> Option<T> {
        let altered = self.board.alter(key, change);
        if altered.is_none() {
            self.skipped.insert(key);
        }
        altered
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.board.commit(&self.session.spool, true)
    }

    /// Takes note of how an installer fared, in the version that is used.
    fn judge(&mut self, installer: &str, conduct: Conduct) {
        let Ok(digest) = self.board.installer(installer).map(|installer| installer.digest) else { return };
        match health::note(self.session, digest, conduct) {
            Ok(health) => self.board.learn(health),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(plugin.name = installer, error, "How an installer fared could not be noted");
            }
        }
    }
}

/// What a failure before the installer was at work says of it: that it refuses does not end a row of failures.
fn conduct_of_failure(error: &anyhow::Error) -> Conduct {
    match conduct(error) {
        Conduct::AtFault(reason) => Conduct::AtFault(reason),
        Conduct::Sound | Conduct::Unproven => Conduct::Unproven,
    }
}

impl Sight {
    fn of(assessment: &Assessment) -> Self {
        let outcome = &assessment.outcome;
        // A plugin that failed on any part may have failed on the part with the update.
        let is_sound = outcome.plugins.iter().all(|plugin| plugin.error.is_empty());
        let state = |update: &UpdateId, met: bool| match outcome.tally.verdicts.get(update) {
            Some(verdict) => verdict.state,
            None if met && is_sound => ComplianceState::NotRequired,
            None => ComplianceState::Unknown,
        };
        Self(outcome.tally.watched.iter().map(|(update, met)| (*update, state(update, *met))).collect())
    }

    fn state(&self, update: UpdateId) -> Option<ComplianceState> {
        self.0.get(&update).copied()
    }
}

/// A random number for jitter; without any, there merely is none.
fn chance() -> u32 {
    random().map_or(u32::MAX / 2, u32::from_le_bytes)
}
