//! `farrier status`: the compliance of all clients, for people and for scripts.

use crate::config::Config;
use crate::database::views::{FindingRow, StateCounts, UrgentUpdate};
use crate::database::{Database, now};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Status {
    clients: i64,
    updates: Counts,
    required_packages: Vec<String>,
    most_urgent: Vec<Urgent>,
}

/// Updates that are not expired, and the answers of all clients about them.
#[derive(Debug, Serialize)]
struct Counts {
    total: i64,
    #[serde(flatten)]
    states: StateCounts,
}

#[derive(Debug, Serialize)]
struct Urgent {
    title: String,
    classification: &'static str,
    suite: String,
    clients: i64,
    reason: String,
}

pub(super) async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    let status = status_of(&database).await?;
    if options.json { super::say(serde_json::to_string(&status)?) } else { print(&config.name, &status) }
}

async fn status_of(database: &Database) -> anyhow::Result<Status> {
    database.summarize().await?;
    let overview = database.overview(now()).await?;
    Ok(Status {
        clients: overview.clients.scanned,
        updates: Counts { total: overview.compliance.updates, states: overview.compliance.states },
        required_packages: database.required_packages(None).await?,
        most_urgent: overview.urgent.into_iter().map(Urgent::of).collect(),
    })
}

impl Urgent {
    fn of(update: UrgentUpdate) -> Self {
        let reason = |FindingRow { subject, detail, .. }| format!("{subject}: {detail}");
        Self {
            title: update.title,
            classification: update.classification.as_str(),
            suite: update.suite,
            clients: update.clients,
            reason: update.reason.map(reason).unwrap_or_default(),
        }
    }
}

fn print(name: &str, status: &Status) -> anyhow::Result<()> {
    let StateCounts { required, unknown, installed, not_required } = status.updates.states;
    super::say(format_args!("{name}: {} updates, {} scanned clients", status.updates.total, status.clients))?;
    for (state, count) in
        [("Required", required), ("Installed", installed), ("NotRequired", not_required), ("Unknown", unknown)]
    {
        super::say(format_args!("{count:>10} {state}"))?;
    }
    if !status.most_urgent.is_empty() {
        super::say("\nThe most urgent required updates that nothing supersedes, with their clients and a reason:")?;
    }
    for Urgent { title, classification, clients, reason, .. } in &status.most_urgent {
        super::say(format_args!("  {title:<44} {classification:<17} {clients:>7}  {reason}"))?;
    }
    Ok(())
}
