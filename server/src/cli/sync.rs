//! `farrier sync`: ask the running site to synchronize, and watch it.

use crate::config::Config;
use crate::database::{Database, Requester, SuitePhase, SuiteSync, SyncRun, now};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// Publishing takes seconds; after so many it has failed.
const PUBLISH_SECONDS: i64 = 120;
/// How often progress is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const HISTORY_RUNS: i64 = 5;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Request a synchronization.
    Run {
        /// Wait until what it brought is published, and fail if a suite failed.
        #[arg(long)]
        wait: bool,
    },
    /// Show the suites and the last synchronizations.
    Status,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    match command {
        Command::Run { wait } => {
            let run = database.request_sync(Requester::Administrator).await?;
            if wait {
                return wait_for(&database, run).await;
            }
            super::say(format_args!("Synchronization {run} is requested: `farrier sync status` shows how it goes."))
        }
        Command::Status => status(&database).await,
    }
}

async fn wait_for(database: &Database, id: i64) -> anyhow::Result<()> {
    let mut progress = Progress::default();
    loop {
        let run = database.sync_run(id).await?.context("the synchronization has vanished from the site database")?;
        match database.running_sync_run().await? {
            // Another one has to end first: that is what one waits for.
            Some(other) if run.started_at.is_none() => progress.show(&other),
            _ => progress.show(&run),
        }
        if run.published_at.is_some() {
            progress.end();
            return conclude(&run);
        }
        if run.finished_at.is_some_and(|finished| now() > finished + PUBLISH_SECONDS) {
            progress.end();
            bail!("what the synchronization brought is not published: the log of `farrier serve` says why");
        }
        if database.is_sync_run_abandoned(id).await? {
            progress.end();
            bail!("nobody takes the request: start `farrier serve` with this configuration, which then does it");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Prints how each suite ended; a failed one is an error.
fn conclude(run: &SyncRun) -> anyhow::Result<()> {
    for suite in &run.suites {
        super::say(line(suite))?;
    }
    let failed = run.suites.iter().filter(|suite| suite.phase == SuitePhase::Failed).count();
    match failed {
        0 if run.suites.is_empty() => bail!("no suite is configured: add [[software_update_point.suite]] to site.toml"),
        0 => Ok(()),
        failed => bail!("{failed} of {} suites failed; nothing of them was changed", run.suites.len()),
    }
}

fn line(suite: &SuiteSync) -> String {
    let SuiteSync { suite: name, phase, added, changed, expired, .. } = suite;
    let what = match (phase, &suite.error) {
        (_, Some(error)) => error.clone(),
        (SuitePhase::Imported, None) => format!("{added} updates added, {changed} changed, {expired} expired"),
        (_, None) => String::new(),
    };
    format!("{name:<24} {:<12} {what}", phase.as_str()).trim_end().to_owned()
}

async fn status(database: &Database) -> anyhow::Result<()> {
    for suite in database.suites().await?.iter().filter(|suite| suite.is_configured()) {
        let checked = suite.checked_at.map_or_else(|| "never".to_owned(), date);
        let changed = suite.changed_at.map_or_else(|| "never".to_owned(), date);
        super::say(format_args!("{:<24} checked {checked}, changed {changed}", suite.name))?;
    }
    let runs = database.sync_runs(HISTORY_RUNS).await?;
    if runs.is_empty() {
        super::say("Nothing was synchronized yet: `farrier sync run` requests it from the running site.")?;
    }
    for run in runs {
        let (requested, by) = (date(run.requested_at), run.requested_by.as_str());
        super::say(format_args!("\nSynchronization {}, requested {requested} by {by}", run.id))?;
        for suite in &run.suites {
            super::say(format_args!("  {}", line(suite)))?;
        }
    }
    Ok(())
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |timestamp| timestamp.to_string())
}

/// A bar for each suite, and one for what follows.
#[derive(Default)]
struct Progress {
    all: MultiProgress,
    suites: HashMap<String, (SuitePhase, ProgressBar)>,
    publishing: Option<ProgressBar>,
}

impl Progress {
    fn show(&mut self, run: &SyncRun) {
        for suite in &run.suites {
            self.show_suite(suite);
        }
        if run.finished_at.is_some() && self.publishing.is_none() {
            let bar = self.all.add(ProgressBar::new_spinner().with_message("Publishing the catalogs"));
            bar.enable_steady_tick(LOOK_EVERY);
            self.publishing = Some(bar);
        }
    }

    fn show_suite(&mut self, suite: &SuiteSync) {
        let all = &self.all;
        let (phase, bar) = self
            .suites
            .entry(suite.suite.clone())
            .or_insert_with(|| (SuitePhase::Waiting, all.add(ProgressBar::no_length())));
        if *phase != suite.phase {
            *phase = suite.phase;
            bar.set_style(style(suite.phase));
            bar.set_message(format!("{:<24} {:<12}", suite.suite, suite.phase.as_str()));
        }
        bar.set_length(u64::try_from(suite.total).unwrap_or_default());
        bar.set_position(u64::try_from(suite.done).unwrap_or_default());
    }

    fn end(&self) {
        let _ = self.all.clear();
    }
}

fn style(phase: SuitePhase) -> ProgressStyle {
    let template = match phase {
        SuitePhase::Downloading => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
        SuitePhase::Importing => "{msg} {wide_bar} {human_pos}/{human_len} packages",
        SuitePhase::Waiting | SuitePhase::Unchanged | SuitePhase::Imported | SuitePhase::Failed => "{msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
