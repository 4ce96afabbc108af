//! `farrier group`: update groups.

use super::deployment::update_ids;
use crate::config::{Config, parse_period};
use crate::database::{Database, now};
use crate::deployment::{Deployments, NewGroup};
use crate::signals::Signals;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::SignedDuration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the update groups.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show the updates of a group.
    Show {
        /// The group, by name or number.
        group: String,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Make a group.
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// The updates by name: bookworm-security/openssl/3.0.17-1~deb12u2.
        #[arg(value_name = "UPDATE")]
        updates: Vec<String>,
    },
    /// Add updates to a group.
    Add {
        /// The group, by name or number.
        group: String,
        /// The updates, by name.
        #[arg(value_name = "UPDATE", required = true)]
        updates: Vec<String>,
    },
    /// Take updates out of a group.
    Take {
        /// The group, by name or number.
        group: String,
        /// The updates, by name.
        #[arg(value_name = "UPDATE", required = true)]
        updates: Vec<String>,
    },
    /// Set how long the installation of an update may take.
    MaxRun {
        /// The group, by name or number.
        group: String,
        /// The update, by name.
        update: String,
        /// The time; what the deployment says, if absent.
        #[arg(value_name = "PERIOD", value_parser = parse_period)]
        period: Option<SignedDuration>,
    },
    /// Remove a group that no deployment uses.
    Remove {
        /// The group, by name or number.
        group: String,
    },
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    let deployments = Deployments::new(database.clone(), Signals::default());
    match command {
        Command::List { json } => list(&database, json).await,
        Command::Show { group, json } => show(&database, find(&database, &group).await?, json).await,
        Command::Create { name, description, updates } => {
            let new = NewGroup { name, description, updates: update_ids(&database, &updates).await? };
            let group = deployments.create_group(&new, now()).await?;
            super::say(format_args!("Update group {group} is made."))
        }
        Command::Add { group, updates } => {
            let updates = update_ids(&database, &updates).await?;
            deployments.add_to_group(find(&database, &group).await?, &updates, now()).await?;
            super::say("The updates are added.")
        }
        Command::Take { group, updates } => {
            let updates = update_ids(&database, &updates).await?;
            deployments.remove_from_group(find(&database, &group).await?, &updates, now()).await?;
            super::say("The updates are taken out.")
        }
        Command::MaxRun { group, update, period } => {
            let group = find(&database, &group).await?;
            let seconds = period.map(|period| u32::try_from(period.as_secs())).transpose();
            let seconds = seconds.context("such a period is too long")?;
            for update in update_ids(&database, &[update]).await? {
                deployments.set_max_run(group, update, seconds, now()).await?;
            }
            super::say("The maximum run time is set.")
        }
        Command::Remove { group } => {
            deployments.delete_group(find(&database, &group).await?).await?;
            super::say("The update group is removed.")
        }
    }
}

/// The group with this name, else with this number.
pub(super) async fn find(database: &Database, group: &str) -> anyhow::Result<i64> {
    let groups = database.update_groups().await?;
    let named = groups.iter().find(|known| known.name == group);
    let numbered = || group.parse().ok().and_then(|number: i64| groups.iter().find(|known| known.id == number));
    match named.or_else(numbered) {
        Some(group) => Ok(group.id),
        None => bail!("there is no update group {group:?}: `farrier group list` shows them"),
    }
}

async fn list(database: &Database, json: bool) -> anyhow::Result<()> {
    let groups = database.update_groups().await?;
    if json {
        return super::say(serde_json::to_string(&groups)?);
    }
    groups.iter().try_for_each(|group| {
        let (id, name) = (group.id, &group.name);
        super::say(format_args!("{id:>5}  {name:<40} {} updates, {} deployments", group.updates, group.deployments))
    })
}

async fn show(database: &Database, group: i64, json: bool) -> anyhow::Result<()> {
    let updates = database.grouped_updates(group).await?;
    if json {
        return super::say(serde_json::to_string(&updates)?);
    }
    updates.iter().try_for_each(|update| {
        let dropped = if update.dropped_out { "  (superseded or expired: not deployed)" } else { "" };
        super::say(format_args!("{}{dropped}", update.name))
    })
}
