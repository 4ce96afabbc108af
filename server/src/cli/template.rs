//! `farrier template`: settings of deployments by name.

use super::deployment::SettingsOptions;
use crate::config::Config;
use crate::database::{Database, DeploymentTemplate, now};
use crate::deployment::Deployments;
use crate::deployment::settings::DeploymentSettings;
use crate::signals::Signals;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the templates.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings of a template as JSON; without one, what a deployment has that nothing is written of.
    Show {
        /// The template, by name or number.
        template: Option<String>,
    },
    /// Make a template.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        settings: SettingsOptions,
    },
    /// Replace the settings of a template.
    Change {
        /// The template, by name or number.
        name: String,
        #[command(flatten)]
        settings: SettingsOptions,
    },
    /// Remove a template.
    Remove {
        /// The template, by name or number.
        name: String,
    },
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    let deployments = Deployments::new(database.clone(), Signals::default());
    match command {
        Command::List { json } => list(&database, json).await,
        Command::Show { template } => {
            let settings = match template {
                Some(template) => find(&database, &template).await?.settings,
                None => DeploymentSettings::default(),
            };
            super::say(serde_json::to_string_pretty(&settings)?)
        }
        Command::Create { name, settings } => {
            let settings = settings.read(&database).await?;
            let template = deployments.create_template(&name, &settings, now()).await?;
            super::say(format_args!("Template {template} is made."))
        }
        Command::Change { name, settings } => {
            let template = find(&database, &name).await?;
            let settings = settings.read(&database).await?;
            deployments.change_template(template.id, &settings, now()).await?;
            super::say("The template is changed.")
        }
        Command::Remove { name } => {
            deployments.delete_template(find(&database, &name).await?.id).await?;
            super::say("The template is removed.")
        }
    }
}

/// The template with this name, else with this number.
pub(super) async fn find(database: &Database, template: &str) -> anyhow::Result<DeploymentTemplate> {
    let number = template.parse::<i64>().ok();
    let mut templates = database.templates().await?;
    let named = templates.iter().position(|known| known.name == template);
    let place = named.or_else(|| templates.iter().position(|known| Some(known.id) == number));
    match place {
        Some(place) => Ok(templates.swap_remove(place)),
        None => bail!("there is no template {template:?}: `farrier template list` shows them"),
    }
}

/// The settings in a JSON file.
pub(super) fn settings_of_file(file: &Path) -> anyhow::Result<DeploymentSettings> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!("{} holds no settings of a deployment: `farrier template show` prints some", file.display())
    })
}

async fn list(database: &Database, json: bool) -> anyhow::Result<()> {
    let templates = database.templates().await?;
    if json {
        return super::say(serde_json::to_string(&templates)?);
    }
    templates.iter().try_for_each(|template| {
        let phases = template.settings.phases.len();
        super::say(format_args!(
            "{:>5}  {:<40} {:?}, {phases} phases",
            template.id, template.name, template.settings.purpose
        ))
    })
}
