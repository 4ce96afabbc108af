//! `/synchronization`: the upstream suites, the synchronization that runs, and the ones before.

use super::frame::{Frame, Section, html};
use super::problem::Problem;
use super::{State, filters};
use crate::database::views::SuiteRow;
use crate::database::{Requester, SuitePhase, SuiteSync, SyncRun};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::{Html, Redirect};
use serde::Serialize;

/// Synchronizations of the history that are shown.
const HISTORY_RUNS: i64 = 20;

/// The suites and the last synchronizations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    pub(super) suites: Vec<SuiteStatus>,
    /// The one that waits or runs.
    pub(super) current: Option<SyncRun>,
    /// Whether nobody does it: no site process runs.
    pub(super) abandoned: bool,
    /// When the next one is due by schedule.
    pub(super) next_at: Option<i64>,
    /// The ended ones, the newest first.
    pub(super) history: Vec<SyncRun>,
}

/// A suite, and how its last synchronization ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SuiteStatus {
    #[serde(flatten)]
    pub(super) suite: SuiteRow,
    pub(super) last: Option<SuiteSync>,
}

#[derive(Template)]
#[template(path = "synchronization.html")]
struct SynchronizationPage {
    frame: Frame,
    status: Status,
}

/// The part of the page that changes while a synchronization runs.
#[derive(Template)]
#[template(path = "synchronization_status.html")]
struct StatusFragment {
    frame: Frame,
    status: Status,
}

pub(super) async fn page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let status = Status::read(&state, HISTORY_RUNS).await?;
    html(&SynchronizationPage { frame: Frame::new(&state, Section::Synchronization), status })
}

pub(super) async fn status(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let status = Status::read(&state, HISTORY_RUNS).await?;
    html(&StatusFragment { frame: Frame::new(&state, Section::Synchronization), status })
}

pub(super) async fn api(Shared(state): Shared<State>) -> Result<Json<Status>, Problem> {
    Status::read(&state, HISTORY_RUNS).await.map(Json)
}

/// Requests a synchronization and shows it.
pub(super) async fn run(Shared(state): Shared<State>) -> Result<Redirect, Problem> {
    let run = state.database().request_sync(Requester::Administrator).await?;
    tracing::info!(sync_run.id = run, "Synchronization requested in the console");
    state.console.signals.sync_requested.notify_one();
    Ok(Redirect::to("/synchronization"))
}

impl Status {
    /// The suites, and the last `history` synchronizations that ended.
    pub(super) async fn read(state: &State, history: i64) -> Result<Self, Problem> {
        let database = state.database();
        // Two may be open: one that runs, and a request behind it.
        let runs = database.sync_runs(history + 2).await?;
        let (ended, open): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.finished_at.is_some());
        let current = open.into_iter().min_by_key(|run| run.id);
        let abandoned = match &current {
            Some(run) => database.is_sync_run_abandoned(run.id).await?,
            None => false,
        };
        let suites = database.suite_rows().await?.into_iter().map(|suite| SuiteStatus::of(suite, &ended)).collect();
        let last = ended.first().and_then(|run| run.finished_at);
        let next_at = last.zip(state.console.synchronize_every).map(|(last, every)| last + every.as_secs());
        Ok(Self { suites, current, abandoned, next_at, history: ended })
    }

    pub(super) fn last(&self) -> Option<&SyncRun> {
        self.history.first()
    }
}

/// The suites of a synchronization that changed or failed.
fn notable(run: &SyncRun) -> impl Iterator<Item = &SuiteSync> {
    run.suites.iter().filter(|part| part.phase != SuitePhase::Unchanged)
}

/// The names of the others.
fn unchanged(run: &SyncRun) -> String {
    let unchanged = run.suites.iter().filter(|part| part.phase == SuitePhase::Unchanged);
    unchanged.map(|part| part.suite.as_str()).collect::<Vec<_>>().join(", ")
}

/// Seconds from start to end.
fn duration(run: &SyncRun) -> i64 {
    run.finished_at.zip(run.started_at).map_or(0, |(finished, started)| finished - started)
}

impl SuiteStatus {
    fn of(suite: SuiteRow, ended: &[SyncRun]) -> Self {
        let last = ended.iter().flat_map(|run| &run.suites).find(|part| part.suite == suite.name).cloned();
        Self { suite, last }
    }

    pub(super) fn failed(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.phase == SuitePhase::Failed)
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.last.as_ref().and_then(|last| last.error.as_deref())
    }
}
