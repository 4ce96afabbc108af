//! `farrier`: the site's program and the administrator's commands.
//!
//! The commands open the same database as the running site; what they write there, the site's roles find and act on.

mod client;
mod collection;
mod deployment;
mod group;
mod init;
mod keys;
mod passphrase;
mod plugin;
mod policy;
mod rule;
mod serve;
mod status;
mod sync;
mod template;
mod token;
mod window;

use crate::config::Config;
use crate::database::Database;
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Farrier keeps the software of a fleet up to date. This is the site: it knows which updates exist, and shows which
/// clients need them.
#[derive(Debug, Parser)]
#[command(name = "farrier", version)]
struct Cli {
    /// The site's configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
    /// Log more: -v for what the site does, -vv for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration for a new site.
    Init(init::Options),
    /// Run the site.
    Serve,
    /// Synchronize software updates from the upstreams.
    #[command(subcommand)]
    Sync(sync::Command),
    /// Manage the keys that sign what clients believe.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Manage enrolment tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Manage clients: who is let in.
    #[command(subcommand)]
    Client(client::Command),
    /// Manage collections.
    #[command(subcommand)]
    Collection(collection::Command),
    /// Manage maintenance windows and business hours.
    #[command(subcommand)]
    Window(window::Command),
    /// Manage update groups.
    #[command(subcommand)]
    Group(group::Command),
    /// Manage deployments.
    #[command(subcommand)]
    Deployment(deployment::Command),
    /// Write plugins, and roll them out.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Manage software updates of your own: policy files.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Manage automatic deployment rules.
    #[command(subcommand)]
    Rule(rule::Command),
    /// Manage templates of deployments.
    #[command(subcommand)]
    Template(template::Command),
    /// Show the compliance of all clients.
    Status(status::Options),
}

/// Reads the command line, does what it says and reports errors on stderr.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(served) = farrier_runtime::compile::serve_if_child() {
        return finish(served.map_err(Into::into));
    }
    let cli = Cli::parse();
    start_logging(cli.verbose, matches!(cli.command, Command::Serve));
    finish(start(cli))
}

#[tokio::main]
async fn start(cli: Cli) -> anyhow::Result<()> {
    run(cli).await
}

fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough (`farrier status | head`).
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farrier: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Init(options) => init::run(&cli.config, options),
        Command::Serve => serve::run(Config::load(&cli.config)?).await,
        Command::Sync(command) => sync::run(&Config::load(&cli.config)?, command).await,
        Command::Keys(command) => keys::run(&cli.config, command).await,
        Command::Token(command) => token::run(&Config::load(&cli.config)?, command).await,
        Command::Client(command) => client::run(&Config::load(&cli.config)?, command).await,
        Command::Collection(command) => collection::run(&Config::load(&cli.config)?, command).await,
        Command::Window(command) => window::run(&Config::load(&cli.config)?, command).await,
        Command::Group(command) => group::run(&Config::load(&cli.config)?, command).await,
        Command::Deployment(command) => deployment::run(&Config::load(&cli.config)?, command).await,
        Command::Plugin(command) => plugin::run(&cli.config, command).await,
        Command::Policy(command) => policy::run(&cli.config, command).await,
        Command::Rule(command) => rule::run(&Config::load(&cli.config)?, command).await,
        Command::Template(command) => template::run(&Config::load(&cli.config)?, command).await,
        Command::Status(options) => status::run(&Config::load(&cli.config)?, &options).await,
    }
}

/// The site logs what it does; the other commands only what went wrong, unless asked.
fn start_logging(verbose: u8, serving: bool) {
    let level = match (verbose, serving) {
        (0, false) => LevelFilter::WARN,
        (0, true) | (1, _) => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("farrier", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Writes a line on stdout, where a command speaks.
fn say(line: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn open_database(config: &Config) -> anyhow::Result<Database> {
    Ok(Database::open(&config.database_url()).await?)
}

/// The path as an absolute one, so that a configuration goes on working from another folder.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}
