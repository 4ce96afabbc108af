//! `farrier status`: the compliance of all clients, and what asks for an administrator, for people and for scripts.

use crate::config::Config;
use crate::database::views::{FindingRow, StateCounts, UrgentUpdate};
use crate::database::{Database, now};
use crate::keys::{MetadataStanding, Notice, SiteKeys, Standing, Urgency};
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
    clients_waiting: i64,
    clients_in_doubt: i64,
    updates: Counts,
    required_packages: Vec<String>,
    most_urgent: Vec<Urgent>,
    trust: Trust,
}

/// What the site's keys have signed, and what of that asks for an administrator.
#[derive(Debug, Serialize)]
struct Trust {
    metadata: Vec<MetadataStanding>,
    notices: Vec<Notice>,
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
    let standing = SiteKeys::open(database.clone(), &config.data)?.standing(now()).await?;
    let status = status_of(&database, standing).await?;
    if options.json { super::say(serde_json::to_string(&status)?) } else { print(&config.name, &status) }
}

async fn status_of(database: &Database, standing: Standing) -> anyhow::Result<Status> {
    database.summarize().await?;
    let overview = database.overview(now()).await?;
    Ok(Status {
        clients: overview.clients.scanned,
        clients_waiting: overview.clients.waiting,
        clients_in_doubt: overview.clients.in_doubt,
        updates: Counts { total: overview.compliance.updates, states: overview.compliance.states },
        required_packages: database.required_packages(None).await?,
        most_urgent: overview.urgent.into_iter().map(Urgent::of).collect(),
        trust: Trust::of(standing),
    })
}

impl Trust {
    fn of(standing: Standing) -> Self {
        let metadata = standing.roles.into_iter().flat_map(|role| role.metadata).collect();
        Self { metadata, notices: standing.notices }
    }
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
    for (clients, what, option) in [
        (status.clients_waiting, "waiting for approval", "--waiting"),
        (status.clients_in_doubt, "whose identity is in doubt", "--in-doubt"),
    ] {
        if clients > 0 {
            super::say(format_args!("{clients:>10} clients {what}: `farrier client list {option}`"))?;
        }
    }
    if !status.most_urgent.is_empty() {
        super::say("\nThe most urgent required updates that nothing supersedes, with their clients and a reason:")?;
    }
    for Urgent { title, classification, clients, reason, .. } in &status.most_urgent {
        super::say(format_args!("  {title:<44} {classification:<17} {clients:>7}  {reason}"))?;
    }
    status.trust.notices.iter().try_for_each(say_notice)
}

/// A line of its own for what asks for an administrator.
pub(super) fn say_notice(notice: &Notice) -> anyhow::Result<()> {
    let word = match notice.urgency {
        Urgency::Warning => "Warning",
        Urgency::Urgent => "URGENT",
    };
    super::say(format_args!("\n{word}: {notice}"))
}
