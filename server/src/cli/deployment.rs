//! `farrier deployment`: what is deployed to whom, and how far it is.

mod show;
mod written;

use crate::config::Config;
use crate::database::{Database, now};
use crate::deployment::words::counted;
use crate::deployment::{Deployments, NewDeployment, Selection};
use crate::signals::Signals;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the deployments.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show a deployment: its phases, its clients by state, and what happened.
    Show {
        /// The deployment, by name or id.
        deployment: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show the clients of a deployment, and why each is not done.
    Clients {
        /// The deployment, by name or id.
        deployment: String,
        /// Only clients in this state: Failed, Waiting, Unreported, ...
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only clients in this phase, from 1.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        phase: Option<i64>,
        /// Which page.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        page: i64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Deploy updates to a collection.
    Create(Box<Create>),
    /// Begin nothing new, from the clients' next contact on.
    Pause {
        /// The deployment, by name or id.
        deployment: String,
        /// Why.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Let a paused deployment go on. Failures up to now do not stop it again.
    Resume {
        /// The deployment, by name or id.
        deployment: String,
    },
    /// End a deployment for good.
    Cancel {
        /// The deployment, by name or id.
        deployment: String,
        /// Why.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Let the roll-out go on after a phase, whatever its thresholds say.
    Approve {
        /// The deployment, by name or id.
        deployment: String,
        /// The phase, from 1; the last open one if absent.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        phase: Option<i64>,
    },
    /// Have clients try again what failed.
    Retry {
        /// The deployment, by name or id.
        deployment: String,
        /// Only this client, by host name or id; may be repeated.
        #[arg(long = "client", value_name = "CLIENT")]
        clients: Vec<String>,
    },
    /// Write every client and update of a deployment as CSV on stdout.
    Export {
        /// The deployment, by name or id.
        deployment: String,
        /// Write CSV; there is no other format yet.
        #[arg(long, required = true)]
        csv: bool,
    },
    /// Remove a cancelled deployment with everything that clients said of it.
    Remove {
        /// The deployment, by name or id.
        deployment: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name.
    name: String,
    /// An update by its name: bookworm-security/openssl/3.0.17-1~deb12u2; may be repeated.
    #[arg(long = "update", value_name = "UPDATE", required_unless_present = "group")]
    updates: Vec<String>,
    /// An update group, by name or number.
    #[arg(long, value_name = "GROUP", conflicts_with = "updates")]
    group: Option<String>,
    /// The collection, by name or number.
    #[arg(long, value_name = "COLLECTION")]
    collection: String,
    #[command(flatten)]
    settings: SettingsOptions,
    /// Show what it would be, and make nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where settings come from: a template or a file, and what is written beside it.
#[derive(Debug, Args)]
pub(super) struct SettingsOptions {
    /// Begin with this template, by name or number.
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Begin with the settings in this JSON file: `farrier template show` writes one.
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    written: written::Written,
}

impl SettingsOptions {
    /// The settings, checked only as far as they can be read.
    pub(super) async fn read(
        &self,
        database: &Database,
    ) -> anyhow::Result<crate::deployment::settings::DeploymentSettings> {
        let begin = match (&self.template, &self.settings) {
            (Some(template), _) => super::template::find(database, template).await?.settings,
            (None, Some(file)) => super::template::settings_of_file(file)?,
            (None, None) => crate::deployment::settings::DeploymentSettings::default(),
        };
        self.written.apply(database, begin).await
    }
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    let deployments = Deployments::new(database.clone(), Signals::default());
    match command {
        Command::List { json } => show::list(&database, json).await,
        Command::Show { deployment, json } => show::one(&database, find(&database, &deployment).await?, json).await,
        Command::Clients { deployment, state, phase, page, json } => {
            let id = find(&database, &deployment).await?;
            show::clients(&database, id, state.as_deref(), phase, page, json).await
        }
        Command::Create(options) => create(&deployments, *options).await,
        Command::Pause { deployment, reason } => {
            let id = find(&database, &deployment).await?;
            deployments.pause(id, &reason, now()).await?;
            super::say("The deployment is paused: clients hear of it with their next contact.")
        }
        Command::Resume { deployment } => {
            deployments.resume(find(&database, &deployment).await?, now()).await?;
            super::say("The deployment goes on.")
        }
        Command::Cancel { deployment, reason } => {
            let id = find(&database, &deployment).await?;
            deployments.cancel(id, &reason, now()).await?;
            super::say("The deployment is cancelled: clients hear of it with their next contact.")
        }
        Command::Approve { deployment, phase } => approve(&deployments, &deployment, phase).await,
        Command::Retry { deployment, clients } => retry(&deployments, &deployment, &clients).await,
        Command::Export { deployment, csv: _ } => show::export(&database, find(&database, &deployment).await?).await,
        Command::Remove { deployment } => {
            deployments.delete(find(&database, &deployment).await?, now()).await?;
            super::say("The deployment is removed.")
        }
    }
}

async fn create(deployments: &Deployments, options: Create) -> anyhow::Result<()> {
    let database = &deployments.database;
    let new = NewDeployment {
        id: NewDeployment::random_id(),
        selection: match &options.group {
            Some(group) => Selection::Group(super::group::find(database, group).await?),
            None => Selection::Updates(update_ids(database, &options.updates).await?),
        },
        collection: super::collection::find(database, &options.collection).await?,
        settings: options.settings.read(database).await?,
        name: options.name,
    };
    let review = deployments.review(&new, now()).await?;
    if options.dry_run {
        show::review(&review, options.json)?;
        ensure!(review.problems.is_empty(), "the deployment cannot be made like this: the reasons are above");
        return Ok(());
    }
    deployments.create(&new, now()).await?;
    if options.json {
        return super::say(serde_json::json!({ "id": new.id.to_string(), "review": review }));
    }
    super::say(format_args!("Deployment {} is made: {}.", new.id, show::in_a_line(&review)))
}

async fn approve(deployments: &Deployments, deployment: &str, phase: Option<i64>) -> anyhow::Result<()> {
    let id = find(&deployments.database, deployment).await?;
    let phase = match phase {
        Some(phase) => phase,
        None => {
            let detail = deployments.database.deployment(id).await?.context("the deployment is gone")?;
            ensure!(detail.row.open_phases > 0, "no phase of the deployment is open yet");
            detail.row.open_phases
        }
    };
    deployments.approve(id, phase - 1, now()).await?;
    super::say(format_args!("The roll-out goes on after phase {phase}."))
}

async fn retry(deployments: &Deployments, deployment: &str, clients: &[String]) -> anyhow::Result<()> {
    let id = find(&deployments.database, deployment).await?;
    let mut ids: Vec<ClientId> = Vec::with_capacity(clients.len());
    for client in clients {
        ids.push(super::client::find(&deployments.database, client).await?);
    }
    let chosen = (!clients.is_empty()).then_some(&ids[..]);
    match deployments.retry(id, chosen, now()).await? {
        0 => super::say("Nothing failed on those clients: there is nothing to try again."),
        retried => {
            super::say(format_args!("Asked to try again with the next contact: {}.", counted(retried, "client")))
        }
    }
}

/// The deployment with this id, or the only one with this name.
pub(super) async fn find(database: &Database, deployment: &str) -> anyhow::Result<DeploymentId> {
    if let Ok(id) = deployment.parse::<DeploymentId>()
        && database.deployment_head(id).await?.is_some()
    {
        return Ok(id);
    }
    match &database.deployments_named(deployment).await?[..] {
        [] => bail!("there is no deployment {deployment:?}: `farrier deployment list` shows them"),
        [id] => Ok(*id),
        several => bail!("{} deployments are named {deployment:?}: write the id of one of them", several.len()),
    }
}

/// Updates by name; an id is one, too.
pub(super) async fn update_ids(database: &Database, updates: &[String]) -> anyhow::Result<Vec<UpdateId>> {
    let id = |update: &String| update.parse().unwrap_or_else(|_| UpdateId::of_name(update));
    let ids: Vec<UpdateId> = updates.iter().map(id).collect();
    let known = database.updates_with_ids(&ids).await?;
    let unknown = updates.iter().zip(&ids).find(|(_, id)| !known.iter().any(|update| update.id == **id));
    match unknown {
        Some((update, _)) => bail!(
            "there is no software update {update:?}: write its suite, source package and version, \
             for example bookworm-security/openssl/3.0.17-1~deb12u2"
        ),
        None => Ok(ids),
    }
}
