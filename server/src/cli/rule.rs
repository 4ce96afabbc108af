//! `farrier rule`: automatic deployment rules.

use super::deployment::SettingsOptions;
use crate::config::{Classification, Config};
use crate::database::{Database, DeploymentRule, now};
use crate::deployment::rules::{RuleFilter, Severity};
use crate::deployment::words::time;
use crate::deployment::{Deployments, NewRule};
use crate::signals::Signals;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the rules.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Make a rule: after every synchronization, what it selects is deployed.
    Create(Box<Create>),
    /// Show what a filter, or a rule, selects now.
    Preview {
        /// The rule, by name or number.
        rule: Option<String>,
        #[command(flatten)]
        filter: Filter,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Run a rule now.
    Run {
        /// The rule, by name or number.
        rule: String,
    },
    /// Let a rule run after every synchronization.
    Enable {
        /// The rule, by name or number.
        rule: String,
    },
    /// Let a rule run no more.
    Disable {
        /// The rule, by name or number.
        rule: String,
    },
    /// Remove a rule; what it deployed stays.
    Remove {
        /// The rule, by name or number.
        rule: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name.
    name: String,
    /// The collection, by name or number.
    #[arg(long, value_name = "COLLECTION")]
    collection: String,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    settings: SettingsOptions,
    /// Make it, and do not let it run yet.
    #[arg(long)]
    disabled: bool,
}

/// Which updates.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// What kind: security, critical or updates; may be repeated.
    #[arg(long = "classification", value_name = "KIND", value_parser = parse_classification)]
    classifications: Vec<Classification>,
    /// A suite; may be repeated.
    #[arg(long = "suite", value_name = "SUITE")]
    suites: Vec<String>,
    /// The upstream's own priority, at least: optional, standard, important or required.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Known to the site for so many days, at least.
    #[arg(long, value_name = "DAYS")]
    min_age: Option<u32>,
    /// Known to the site for so many days, at most.
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u32>,
    /// A word in the title or the summary; may be repeated, and one has to occur.
    #[arg(long = "title", value_name = "WORD")]
    title: Vec<String>,
    /// A word that must not occur in the title; may be repeated.
    #[arg(long = "without", value_name = "WORD")]
    without: Vec<String>,
    /// Required on so many clients, at least.
    #[arg(long, value_name = "CLIENTS", default_value_t = 0)]
    min_required: u32,
}

impl Filter {
    fn filter(self) -> RuleFilter {
        RuleFilter {
            classifications: self.classifications,
            suites: self.suites,
            severity: self.severity.unwrap_or_default(),
            min_age_days: self.min_age,
            max_age_days: self.max_age,
            title: self.title,
            without: self.without,
            min_required: self.min_required,
        }
    }
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    let deployments = Deployments::new(database.clone(), Signals::default());
    match command {
        Command::List { json } => list(&database, json).await,
        Command::Create(options) => create(&deployments, *options).await,
        Command::Preview { rule, filter, json } => preview(&deployments, rule.as_deref(), filter, json).await,
        Command::Run { rule } => {
            let outcome = deployments.run_rule(find(&database, &rule).await?.id, now()).await?;
            super::say(outcome)
        }
        Command::Enable { rule } => enable(&deployments, &rule, true).await,
        Command::Disable { rule } => enable(&deployments, &rule, false).await,
        Command::Remove { rule } => {
            deployments.delete_rule(find(&database, &rule).await?.id).await?;
            super::say("The rule is removed; what it deployed stays.")
        }
    }
}

async fn create(deployments: &Deployments, options: Create) -> anyhow::Result<()> {
    let database = &deployments.database;
    let new = NewRule {
        name: options.name,
        enabled: !options.disabled,
        filter: options.filter.filter(),
        collection: super::collection::find(database, &options.collection).await?,
        settings: options.settings.read(database).await?,
    };
    let selected = deployments.preview_rule(&new.filter, now()).await?.len();
    let rule = deployments.create_rule(&new, now()).await?;
    let runs = if new.enabled { "runs after the next synchronization" } else { "does not run before it is enabled" };
    super::say(format_args!("Rule {rule} is made. It would select {selected} updates now, and {runs}."))
}

async fn enable(deployments: &Deployments, rule: &str, enabled: bool) -> anyhow::Result<()> {
    let rule = find(&deployments.database, rule).await?;
    deployments.change_rule(rule.id, &NewRule { enabled, ..rule.definition }, now()).await?;
    super::say(if enabled { "The rule runs after every synchronization." } else { "The rule runs no more." })
}

async fn preview(deployments: &Deployments, rule: Option<&str>, filter: Filter, json: bool) -> anyhow::Result<()> {
    let filter = match rule {
        Some(rule) => find(&deployments.database, rule).await?.definition.filter,
        None => filter.filter(),
    };
    let selected = deployments.preview_rule(&filter, now()).await?;
    if json {
        let row = |candidate: &crate::database::RuleCandidate| {
            json!({
                "id": candidate.id.to_string(),
                "title": candidate.update.title,
                "classification": candidate.update.classification.as_str(),
                "suite": candidate.update.suite,
                "required": candidate.update.required,
            })
        };
        return super::say(serde_json::Value::Array(selected.iter().map(row).collect()));
    }
    for candidate in &selected {
        let update = &candidate.update;
        super::say(format_args!("{:<44} {:<17} {}", update.title, update.classification, update.suite))?;
    }
    super::say(format_args!("{} updates.", selected.len()))
}

/// The rule with this name, else with this number.
async fn find(database: &Database, rule: &str) -> anyhow::Result<DeploymentRule> {
    let number = rule.parse::<i64>().ok();
    let mut rules = database.rules().await?;
    let named = rules.iter().position(|known| known.definition.name == rule);
    match named.or_else(|| rules.iter().position(|known| Some(known.id) == number)) {
        Some(place) => Ok(rules.swap_remove(place)),
        None => bail!("there is no rule {rule:?}: `farrier rule list` shows them"),
    }
}

async fn list(database: &Database, json: bool) -> anyhow::Result<()> {
    let rules = database.rules().await?;
    if json {
        let mut rows = Vec::with_capacity(rules.len());
        for rule in &rules {
            rows.push(json!({
                "id": rule.id,
                "name": rule.definition.name,
                "enabled": rule.definition.enabled,
                "filter": serde_json::to_value(&rule.definition.filter).context("a filter has no JSON")?,
                "collection": rule.collection_name,
                "settings": serde_json::to_value(&rule.definition.settings).context("settings have no JSON")?,
                "ran_at": rule.ran_at,
                "outcome": rule.outcome,
                "deployments": rule.deployments,
            }));
        }
        return super::say(serde_json::Value::Array(rows));
    }
    rules.iter().try_for_each(|rule| {
        let ran = rule.ran_at.map_or_else(|| "never".to_owned(), time);
        let (enabled, outcome) = (rule.definition.enabled, rule.outcome.as_deref().unwrap_or_default());
        let enabled = if enabled { "enabled" } else { "disabled" };
        super::say(format_args!("{:>5}  {:<32} {enabled:<8} ran {ran}  {outcome}", rule.id, rule.definition.name))
    })
}

fn parse_classification(text: &str) -> Result<Classification, String> {
    match text {
        "security" => Ok(Classification::SecurityUpdates),
        "critical" => Ok(Classification::CriticalUpdates),
        "updates" => Ok(Classification::Updates),
        _ => Err(format!("{text:?} is no classification: write security, critical or updates")),
    }
}
