//! The software update point: makes the software updates of the site database those of the upstreams.
//!
//! It takes no input. A request in the database, or the period, makes it go through the configured suites; each is
//! imported in one transaction or not at all, so that it may be stopped at any moment.

pub mod debian;
mod progress;

use crate::config::{SoftwareUpdatePointConfig, SuiteConfig};
use crate::database::{Database, Requester, Suite, SuitePhase, SuiteSync, now};
use crate::signals::Signals;
use anyhow::Context as _;
use debian::Outcome;
use progress::Progress;
use std::convert::Infallible;
use std::time::Duration;

/// How often the database is asked for requests: the command line is another process and rings no bell here.
const LOOK_FOR_REQUESTS_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for a database that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Synchronizes for ever. Stopping is dropping the future.
///
/// A synchronization that a stopped process left unfinished starts over: where nothing changed it costs one request.
///
/// # Errors
/// When the database fails at the start. When it fails later, the work starts over a little later.
pub async fn run(database: Database, config: SoftwareUpdatePointConfig, signals: Signals) -> anyhow::Result<()> {
    let point = SoftwareUpdatePoint { database, config, signals };
    point.prepare().await?;
    loop {
        let Err(error) = point.serve().await;
        tracing::error!(error = format!("{error:#}"), "Synchronizing stopped and starts over.");
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// The role, with what it works on.
#[derive(Debug, Clone)]
pub struct SoftwareUpdatePoint {
    /// The site database.
    pub database: Database,
    /// The suites and the period.
    pub config: SoftwareUpdatePointConfig,
    /// Whom to wake.
    pub signals: Signals,
}

impl SoftwareUpdatePoint {
    /// Makes the database's suites the configured ones and picks up what a stopped process left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        let changed = self.database.configure_suites(&self.config.suites).await.context("writing the suites")?;
        self.requeue_interrupted().await?;
        if changed {
            self.signals.content_changed.notify_one();
            self.request_after_change().await?;
        }
        Ok(())
    }

    async fn serve(&self) -> Result<Infallible, anyhow::Error> {
        loop {
            self.requeue_interrupted().await?;
            self.request_if_due().await?;
            while self.synchronize_once().await? {}
            tokio::select! {
                () = self.signals.sync_requested.notified() => {}
                () = tokio::time::sleep(LOOK_FOR_REQUESTS_EVERY) => {}
            }
        }
    }

    async fn requeue_interrupted(&self) -> anyhow::Result<()> {
        let requeued =
            self.database.requeue_interrupted_sync_runs(now()).await.context("reading the synchronizations")?;
        if requeued > 0 {
            tracing::info!(requeued, "An interrupted synchronization starts over.");
        }
        Ok(())
    }

    /// Requests a synchronization of a changed configuration. A site that synchronizes only when told to waits to be
    /// told, unless it has nothing of a suite yet.
    async fn request_after_change(&self) -> anyhow::Result<()> {
        let suites = self.database.suites().await.context("reading the suites")?;
        let is_new = suites.iter().any(|suite| suite.imported.is_none());
        if is_new || (!suites.is_empty() && !self.config.synchronize_every.is_zero()) {
            self.database.request_sync(Requester::Schedule).await.context("requesting a synchronization")?;
        }
        Ok(())
    }

    /// Requests a synchronization when the last one ended a period ago.
    async fn request_if_due(&self) -> anyhow::Result<()> {
        let period = self.config.synchronize_every.as_secs();
        if period == 0 || self.config.suites.is_empty() {
            return Ok(());
        }
        let last = self.database.last_sync_finished_at().await.context("reading the synchronizations")?;
        if last.is_none_or(|last| now() >= last.saturating_add(period)) {
            self.database.request_sync(Requester::Schedule).await.context("requesting a synchronization")?;
        }
        Ok(())
    }

    /// Does the oldest synchronization that was requested; says whether there was one. A suite that fails is recorded
    /// and does not keep the others from being synchronized.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn synchronize_once(&self) -> anyhow::Result<bool> {
        let names: Vec<&str> = self.config.suites.iter().map(|suite| suite.name.as_str()).collect();
        let Some(run) = self.database.take_sync_run(&names).await.context("taking a synchronization")? else {
            return Ok(false);
        };
        tracing::info!(sync_run.id = run, suites = names.len(), "A synchronization starts.");
        let suites = self.database.suites().await.context("reading the suites")?;
        for config in &self.config.suites {
            let suite = suites.iter().find(|suite| suite.name == config.name).context("a suite is not configured")?;
            let result = match self.synchronize_suite(run, config, suite).await {
                Ok(result) => result,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(suite.name = config.name, error, "A suite cannot be synchronized.");
                    SuiteSync { phase: SuitePhase::Failed, error: Some(error), ..SuiteSync::waiting(&config.name) }
                }
            };
            self.database.record_suite_sync(run, &result).await.context("recording a synchronization")?;
        }
        self.database.finish_sync_run(run).await.context("recording a synchronization")?;
        // Even if nothing changed: who waits for the synchronization waits for its publication.
        self.signals.content_changed.notify_one();
        Ok(true)
    }

    async fn synchronize_suite(&self, run: i64, config: &SuiteConfig, suite: &Suite) -> anyhow::Result<SuiteSync> {
        let progress = Progress::new();
        let fetching = debian::fetch(config, suite, &progress);
        let outcome = progress.record(&self.database, run, &config.name, fetching).await?;
        let import = match outcome {
            Outcome::Unchanged { validator } => {
                self.database.record_suite_unchanged(suite.id, validator.as_deref()).await?;
                tracing::info!(suite.name = config.name, "The suite is unchanged.");
                return Ok(SuiteSync { phase: SuitePhase::Unchanged, ..SuiteSync::waiting(&config.name) });
            }
            Outcome::Changed(import) => import,
        };
        progress.note(&self.database, run, &config.name).await;
        let counts = self.database.import_suite(suite.id, &import).await.context("storing the software updates")?;
        let (added, changed, expired) = (counts.added, counts.changed, counts.expired);
        tracing::info!(suite.name = config.name, added, changed, expired, "The suite is imported.");
        let packages = import.updates.iter().map(|update| update.packages.len()).sum::<usize>();
        let done = i64::try_from(packages)?;
        Ok(SuiteSync {
            phase: SuitePhase::Imported,
            done,
            total: done,
            added,
            changed,
            expired,
            ..SuiteSync::waiting(&config.name)
        })
    }
}
