//! `farrier plugin` for administrators: push, approve, assign, shadow, promote, rollback, status, publisher.
//!
//! Each is a variant of [`AdministerCommand`], which `farrier plugin` shows in one list with the author's commands, and
//! an arm of [`run`].

mod show;

use crate::cli::{collection, open_database, say};
use crate::config::Config;
use crate::database::{ALL_CLIENTS, Trial, now};
use crate::plugins::{Decision, GrantLines, Plugins, Promotion, Push, RolledBack, Tried};
use crate::signals::Signals;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use farrier_workbench::sign::Signature;
use serde_json::json;
use std::path::PathBuf;

/// What an administrator does with the plugins of a site.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AdministerCommand {
    /// Give the site a version of a plugin. No client gets it by that.
    Push(PushOptions),
    /// Show what a version asks for, and decide of it.
    Approve(ApproveOptions),
    /// Have a version count for the members of a collection (canary).
    Assign(AssignOptions),
    /// Have a version scan beside the one that counts: what it answers differently is reported, nothing of it counts.
    Shadow(ShadowOptions),
    /// Make a version count everywhere.
    Promote(PromoteOptions),
    /// Take the last step back, at once: end a canary; without one, the version before the current one counts again.
    Rollback {
        /// The plugin.
        name: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show the plugins, or one of them: its versions, who runs which, and how what is tried fares.
    Status {
        /// The plugin; all of them if absent.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Manage whose signatures are accepted.
    #[command(subcommand)]
    Publisher(PublisherCommand),
}

/// What is pushed.
#[derive(Debug, Args)]
pub(in crate::cli) struct PushOptions {
    /// The component.
    file: PathBuf,
    /// Its signature; FILE.sig if that is there.
    #[arg(long, value_name = "FILE")]
    sig: Option<PathBuf>,
    /// Take it without a signature.
    #[arg(long)]
    allow_unsigned: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is approved.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApproveOptions {
    /// The plugin.
    name: String,
    /// The version whose wishes are decided; the newest if absent.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Approve everything that it asks for; with --version where more than one version waits for it.
    #[arg(long)]
    all: bool,
    /// Let it read this: a line as it asks for it, or a path below one; may be repeated.
    #[arg(long, value_name = "GRANT")]
    read: Vec<String>,
    /// Let it write this.
    #[arg(long, value_name = "GRANT")]
    write: Vec<String>,
    /// Let it run this.
    #[arg(long, value_name = "GRANT")]
    run: Vec<String>,
    /// Refuse it instead: the plugin runs without, also where it runs already.
    #[arg(long)]
    revoke: bool,
    /// Refuse what else it asks for: the plugin runs with less than that.
    #[arg(long, conflicts_with = "revoke")]
    partial: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A canary.
#[derive(Debug, Args)]
pub(in crate::cli) struct AssignOptions {
    /// The plugin.
    name: String,
    /// The version.
    #[arg(required_unless_present = "end")]
    version: Option<String>,
    /// For the members of this collection, by name or number.
    #[arg(long, value_name = "COLLECTION", required_unless_present = "end")]
    collection: Option<String>,
    /// End it: the current version counts for everybody again.
    #[arg(long, conflicts_with_all = ["version", "collection"])]
    end: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A shadow.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShadowOptions {
    /// The plugin.
    name: String,
    /// The version.
    #[arg(required_unless_present = "end")]
    version: Option<String>,
    /// For the members of this collection, by name or number; for all clients if absent.
    #[arg(long, value_name = "COLLECTION")]
    collection: Option<String>,
    /// End it: it is compared no more.
    #[arg(long, conflicts_with_all = ["version", "collection"])]
    end: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is promoted.
#[derive(Debug, Args)]
pub(in crate::cli) struct PromoteOptions {
    /// The plugin.
    name: String,
    /// The version; what is tried if absent.
    version: Option<String>,
    /// Although its answers differ, or it failed as a shadow.
    #[arg(long)]
    accept_differences: bool,
    /// Although it failed on clients where it counted.
    #[arg(long)]
    accept_failures: bool,
    /// Although nobody has tried it.
    #[arg(long)]
    untried: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Whose signatures are accepted.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PublisherCommand {
    /// Accept a publisher's signatures.
    Add {
        /// A name for it.
        name: String,
        /// Its public key: 64 hexadecimal digits, as `farrier plugin key` shows it.
        public_key: String,
    },
    /// List the publishers.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Accept a publisher's signatures no longer. What was pushed stays.
    Remove {
        /// Its name.
        name: String,
    },
}

/// Does it.
pub(super) async fn run(config: &Config, command: AdministerCommand) -> anyhow::Result<()> {
    let plugins = Plugins::new(open_database(config).await?, Signals::default());
    // Also where no site has run yet: the plugins in the box are there.
    crate::plugins::register(&plugins.database, now()).await?;
    match command {
        AdministerCommand::Push(options) => push(&plugins, options).await,
        AdministerCommand::Approve(options) => approve(&plugins, options).await,
        AdministerCommand::Assign(options) => {
            let of = (options.version, options.collection, options.json);
            try_version(&plugins, &options.name, Trial::Canary, of).await
        }
        AdministerCommand::Shadow(options) => {
            let of = (options.version, options.collection, options.json);
            try_version(&plugins, &options.name, Trial::Shadow, of).await
        }
        AdministerCommand::Promote(options) => promote(&plugins, options).await,
        AdministerCommand::Rollback { name, json } => {
            let rolled_back = plugins.roll_back(&name, &by(), now()).await?;
            if json { say(serde_json::to_string(&rolled_back)?) } else { say(back_in_words(&rolled_back)) }
        }
        AdministerCommand::Status { name: None, json } => show::all(&plugins.database, json).await,
        AdministerCommand::Status { name: Some(name), json } => show::one(&plugins.database, &name, json).await,
        AdministerCommand::Publisher(command) => publisher(&plugins, command).await,
    }
}

async fn push(plugins: &Plugins, options: PushOptions) -> anyhow::Result<()> {
    let PushOptions { file, sig, allow_unsigned, json } = options;
    let component = std::fs::read(&file).with_context(|| format!("the component {} cannot be read", file.display()))?;
    let signature = match sig {
        Some(sig) => {
            let text = std::fs::read_to_string(&sig);
            Some(text.with_context(|| format!("the signature {} cannot be read", sig.display()))?)
        }
        None => Signature::beside(&file)?.map(|signature| signature.to_text()),
    };
    let by = by();
    let push = Push { component: &component, signature: signature.as_deref(), allow_unsigned, by: &by };
    let pushed = plugins.push(&push, now()).await?;
    if json { say(serde_json::to_string(&pushed)?) } else { show::pushed(&pushed) }
}

async fn approve(plugins: &Plugins, options: ApproveOptions) -> anyhow::Result<()> {
    let ApproveOptions { name, version, all, read, write, run, revoke, partial, json } = options;
    let lines = GrantLines { read, write, run };
    let decides = all || partial || !lines.is_empty();
    if revoke && !decides {
        bail!("write what is refused: --all, or --read, --write or --run with the grant");
    }
    let approval = if decides {
        let decision = Decision { version, all, lines, revoke, partial, by: by() };
        plugins.decide(&name, &decision, now()).await?
    } else {
        plugins.approval(&name, version.as_deref()).await?
    };
    if json { say(serde_json::to_string(&approval)?) } else { show::approval(&approval) }
}

/// Begins a trial, or ends it where no version is written.
async fn try_version(
    plugins: &Plugins,
    name: &str,
    trial: Trial,
    (version, collection, json): (Option<String>, Option<String>, bool),
) -> anyhow::Result<()> {
    let Some(version) = version else {
        plugins.end_trial(name, trial, &by(), now()).await?;
        let word = trial.as_str();
        return if json {
            say(json!({ "name": name, "ended": word }))
        } else {
            say(format_args!("{name} has no {word} any more."))
        };
    };
    let collection = match collection {
        Some(collection) => collection::find(&plugins.database, &collection).await?,
        None => ALL_CLIENTS,
    };
    let tried = plugins.try_version((name, &version), trial, collection, &by(), now()).await?;
    if json { say(serde_json::to_string(&tried)?) } else { tried_in_words(&tried) }
}

fn tried_in_words(tried: &Tried) -> anyhow::Result<()> {
    let Tried { name, version, trial, clients, cannot_run } = tried;
    let clients = crate::deployment::words::counted(*clients, "client");
    say(format_args!("{name} {version} is a {trial} for {clients} now; each gets it with its next contact."))?;
    cannot_run.iter().try_for_each(|(reason, clients)| {
        let clients = crate::deployment::words::counted(*clients, "client");
        say(format_args!("  {clients} cannot run it, and keep the version they have: {reason}."))
    })?;
    say(format_args!("`farrier plugin status {name}` shows how it fares."))
}

async fn promote(plugins: &Plugins, options: PromoteOptions) -> anyhow::Result<()> {
    let PromoteOptions { name, version, accept_differences, accept_failures, untried, json } = options;
    let promotion = Promotion { version, accept_differences, accept_failures, untried, by: by() };
    let promoted = plugins.promote(&name, &promotion, now()).await?;
    if json {
        return say(serde_json::to_string(&promoted)?);
    }
    let version = promoted.current;
    if let Some(canary) = promoted.canary {
        return say(format_args!(
            "{name} {version} counts now, except where the canary {canary} does: `farrier plugin assign {name} --end` \
             ends that. Each client gets it with its next contact."
        ));
    }
    let back = promoted
        .previous
        .map_or_else(String::new, |previous| format!(" `farrier plugin rollback {name}` goes back to {previous}."));
    say(format_args!("{name} {version} counts everywhere now; each client gets it with its next contact.{back}"))
}

fn back_in_words(rolled_back: &RolledBack) -> String {
    let RolledBack { name, from, to, ended_canary } = rolled_back;
    match (ended_canary, to.as_str()) {
        (true, "") => format!("The canary {name} {from} has ended; no version counts now."),
        (true, _) => format!(
            "The canary {name} {from} has ended: {to} counts for everybody. Once more takes {to} back to the version \
             before it."
        ),
        (false, _) => format!("{name} {to} counts again in place of {from}, for each client with its next contact."),
    }
}

async fn publisher(plugins: &Plugins, command: PublisherCommand) -> anyhow::Result<()> {
    match command {
        PublisherCommand::Add { name, public_key } => {
            plugins.add_publisher(&name, &public_key, now()).await?;
            say(format_args!("What {name} signs can be pushed now."))
        }
        PublisherCommand::List { json } => {
            let publishers = plugins.publishers().await?;
            if json {
                return say(serde_json::to_string(&publishers)?);
            }
            if publishers.is_empty() {
                return say("No publisher is known: `farrier plugin publisher add NAME PUBLIC-KEY` adds one.");
            }
            publishers
                .iter()
                .try_for_each(|publisher| say(format_args!("{}  {}", publisher.public_key, publisher.name)))
        }
        PublisherCommand::Remove { name } => {
            plugins.remove_publisher(&name).await?;
            say(format_args!("What {name} signs is not taken any more. What was pushed stays."))
        }
    }
}

/// Who types: what is noted with everything that is done.
fn by() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| {
        std::env::var(name).ok().filter(|user| !user.is_empty() && !user.chars().any(char::is_control))
    });
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}
