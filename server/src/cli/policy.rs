//! `farrier policy`: software updates that an administrator writes.

use crate::authored::{self, Imported, KnownPlugins, Outcome};
use crate::config::Config;
use crate::content::ContentStore;
use crate::database::{AuthoredRow, Database, now};
use crate::deployment::words::{bytes, counted};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use farrier_runtime::Manifest;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a policy file with its content. Needs no site.
    Check {
        /// The policy file: `policy.toml`.
        file: PathBuf,
        /// A plugin that does not come with Farrier: its component, `plugin.wasm`; may be repeated.
        #[arg(long = "plugin", value_name = "COMPONENT")]
        plugins: Vec<PathBuf>,
    },
    /// Make a software update of a policy file, or change what may be changed of one. A new version supersedes the one
    /// before.
    Import {
        /// The policy file: `policy.toml`.
        file: PathBuf,
    },
    /// List the policies, the newest version of each first.
    List {
        /// Also those that were removed.
        #[arg(long)]
        all: bool,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show a policy as it was imported, with its content.
    Show {
        /// The policy's name.
        name: String,
        /// The version; the newest if absent.
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove a policy: clients no longer scan by it, and deployments of it install nothing more.
    Remove {
        /// The policy's name.
        name: String,
        /// Only this version.
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
    },
}

/// Checking needs no site, and so no configuration.
pub(super) async fn run(config: &Path, command: Command) -> anyhow::Result<()> {
    if let Command::Check { file, plugins } = command {
        return check(&file, &plugins).await;
    }
    let config = Config::load(config)?;
    let database = super::open_database(&config).await?;
    match command {
        Command::Check { .. } => Ok(()),
        Command::Import { file } => import(&config, &database, &file).await,
        Command::List { all, json } => list(&database, all, json).await,
        Command::Show { name, version, json } => show(&database, &name, version.as_deref(), json).await,
        Command::Remove { name, version } => remove(&config, &database, &name, version.as_deref()).await,
    }
}

async fn check(file: &Path, components: &[PathBuf]) -> anyhow::Result<()> {
    let mut plugins = authored::in_box().context("a plugin in the box is damaged")?;
    for path in components {
        let component = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        plugins.add(Manifest::read(&component).with_context(|| format!("{} is no plugin", path.display()))?);
    }
    let (policy, encoded, content_bytes) = authored::check(file, &plugins).await?;
    super::say(format_args!("{} is a policy: {}, {}", file.display(), policy.update_name(), policy.title))?;
    let scopes: Vec<&str> = policy.applicability.scopes.iter().map(|(scope, _)| scope.as_str()).collect();
    let rule = counted(encoded.rule.len() as u64, "byte");
    super::say(format_args!("  {} for {}, a rule of {rule}", policy.applicability.plugin, scopes.join(", ")))?;
    match &policy.installation {
        None => super::say("  It can only be observed: without [installation] it cannot be deployed."),
        Some(installation) => super::say(format_args!(
            "  {} installs it, with {} of instructions and {} of content ({})",
            installation.plugin,
            counted(encoded.instructions.len() as u64, "byte"),
            counted(policy.contents.len() as u64, "file"),
            bytes(content_bytes.cast_signed()),
        )),
    }
}

async fn import(config: &Config, database: &Database, file: &Path) -> anyhow::Result<()> {
    let store = ContentStore::open(&config.content, &config.data)?;
    let plugins = KnownPlugins::of_site(database).await?;
    let Imported { name, outcome, superseded_by, contents, content_bytes, is_deployable, waits_for } =
        authored::import(database, &store, &plugins, file, now()).await?;
    let what = match outcome {
        Outcome::Added => "is imported",
        Outcome::Changed => "is changed",
        Outcome::Unchanged => "is imported already, and unchanged",
    };
    super::say(format_args!("{name} {what}."))?;
    if contents > 0 {
        let files = counted(contents as u64, "file");
        let size = bytes(content_bytes.cast_signed());
        super::say(format_args!("The distribution point has its {files} ({size})."))?;
    }
    if let Some(newer) = superseded_by {
        super::say(format_args!("Version {newer} supersedes it: clients scan by that one."))?;
    }
    for plugin in waits_for {
        super::say(format_args!("Warning: no version of {plugin} counts yet: `farrier plugin promote {plugin}`."))?;
    }
    match is_deployable {
        true => super::say(format_args!(
            "Deploy it with `farrier deployment create NAME --update {name} --collection COLLECTION`."
        )),
        false => super::say("It can only be observed: without [installation] it cannot be deployed."),
    }
}

async fn list(database: &Database, all: bool, json: bool) -> anyhow::Result<()> {
    database.summarize().await?;
    let rows = database.authored_rows(None, all).await?;
    if json {
        return super::say(serde_json::to_string(&rows)?);
    }
    let heads = ["POLICY", "VERSION", "REQUIRED", "INSTALLED", "UNKNOWN", "STANDING"];
    let [policy, version, required, installed, unknown, standing] = heads;
    super::say(format_args!(
        "{policy:<32} {version:<12} {required:>9} {installed:>9} {unknown:>9}  {standing:<12} TITLE"
    ))?;
    for row in rows {
        super::say(format_args!(
            "{:<32} {:<12} {:>9} {:>9} {:>9}  {:<12} {}",
            row.policy,
            row.version,
            row.required,
            row.installed,
            row.unknown,
            standing_of(&row),
            row.title
        ))?;
    }
    Ok(())
}

/// How it stands with a version, in a word.
fn standing_of(row: &AuthoredRow) -> &'static str {
    match (row.removed_at, row.superseded, &row.installer) {
        (Some(_), _, _) => "removed",
        (None, true, _) => "superseded",
        (None, false, None) => "observed",
        (None, false, Some(_)) => "deployable",
    }
}

async fn show(database: &Database, name: &str, version: Option<&str>, json: bool) -> anyhow::Result<()> {
    database.summarize().await?;
    let row = find(database, name, version).await?;
    let contents = database.authored_contents(row.id).await?;
    let definition = database.authored_definition(row.id).await?.context("the policy is gone")?;
    if json {
        let mut shown = serde_json::to_value(&row)?;
        shown["contents"] = serde_json::to_value(&contents)?;
        shown["definition"] = definition.into();
        return super::say(shown);
    }
    super::say(format_args!("{}: {} ({}, {})", row.name(), row.title, row.classification, standing_of(&row)))?;
    super::say(format_args!("Id         {}", row.id))?;
    super::say(format_args!("Plugin     {}, for {}", row.plugin, row.scopes.join(", ")))?;
    super::say(format_args!("Installer  {}", row.installer.as_deref().unwrap_or("none")))?;
    super::say(format_args!(
        "Clients    {} require it, {} have it, {} could not say",
        row.required, row.installed, row.unknown
    ))?;
    for content in contents {
        super::say(format_args!("Content    {} ({}, SHA-256 {})", content.label, bytes(content.size), content.sha256))?;
    }
    super::say(format_args!("\n{}", definition.trim_end()))
}

async fn remove(config: &Config, database: &Database, name: &str, version: Option<&str>) -> anyhow::Result<()> {
    let found = find(database, name, version).await?;
    if found.removed_at.is_some() && version.is_some() {
        bail!("{} is removed already", found.name());
    }
    let store = ContentStore::open(&config.content, &config.data)?;
    let removed = authored::remove(database, &store, name, version, now()).await?;
    if removed.names.is_empty() {
        bail!("every version of {name} is removed already");
    }
    super::say(format_args!("{} removed: clients no longer scan by it.", in_list(&removed.names)))?;
    let (files, kept) = (removed.dropped.files, removed.dropped.kept);
    if files > 0 {
        super::say(format_args!("The distribution point let go of {}.", counted(files as u64, "file")))?;
    }
    if kept > 0 {
        let kept = counted(kept as u64, "file");
        super::say(format_args!("It keeps {kept} that something else names: a deployment, or another update."))?;
    }
    Ok(())
}

fn in_list(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

/// The version, or the newest one; one that was removed only where there is no other.
async fn find(database: &Database, name: &str, version: Option<&str>) -> anyhow::Result<AuthoredRow> {
    let rows = database.authored_rows(Some(name), true).await?;
    let is_it = |row: &&AuthoredRow| version.is_none_or(|version| row.version == version);
    let found = rows.iter().filter(is_it).min_by_key(|row| row.removed_at.is_some());
    match found {
        Some(row) => Ok(row.clone()),
        None => {
            let which = version.map(|version| format!(" {version}")).unwrap_or_default();
            bail!("there is no policy {name}{which}: `farrier policy list --all` shows them")
        }
    }
}
