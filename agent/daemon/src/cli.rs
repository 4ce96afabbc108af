//! The command line.

use crate::agent::Agent;
use crate::assess::assess;
use crate::config::Config;
use crate::enroll::{Enrolled, enroll};
use crate::explain::explain;
use crate::fetch::poll;
use crate::identity::Identity;
use crate::output::{Reported, explanations_text, scan_json, scan_text};
use crate::progress::Progress;
use crate::renewal;
use crate::report::send;
use crate::run::run;
use crate::scan::Tally;
use crate::session::Session;
use crate::shadows;
use crate::site::{Site, is_unreachable};
use crate::status::status;
use crate::supply::fetch_for_shadows;
use crate::user::{Which, defer, install, list, parse_duration, session_or_answers};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::Level;

/// Farrier's agent: finds out which software updates this endpoint needs, installs what is deployed to it, and tells
/// its site.
///
/// Exit status: 0 if it is done, 1 if it could not be, 2 if updates could not be installed.
#[derive(Debug, Parser)]
#[command(name = "farrier-agent", version, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration [default: /etc/farrier/agent.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Assess the endpoint whose root is DIR instead of this machine.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Keep everything in DIR [default: /var/lib/farrier-agent].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Log what happens in detail.
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this endpoint a client of the site that made TOKEN (`farrier token create`).
    Enroll {
        /// The one-time token.
        #[arg(allow_hyphen_values = true)]
        token: String,
        /// Give up the present enrolment, if there is one.
        #[arg(long)]
        force: bool,
    },
    /// Poll, scan and report by the site's schedule until stopped.
    Run,
    /// Poll, scan and report now.
    Scan {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        /// Do not contact the site: scan with what is here, report later.
        #[arg(long)]
        offline: bool,
    },
    /// Show why a software update has its state on this endpoint.
    Explain {
        /// Its name (bookworm-security/openssl/3.0.17-1~deb12u2), its source package (openssl) or its id.
        update: String,
    },
    /// List the updates that are deployed to this client, with their deadlines and how far they are.
    Updates {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Install deployed updates now. Exit status 2: not everything could be installed.
    Install {
        /// Its name (bookworm-security/openssl/3.0.17-1~deb12u2), its source package (openssl) or its id.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        update: Option<String>,
        /// Everything that is deployed.
        #[arg(long)]
        all: bool,
    },
    /// Put off the installation of a required update, at most until it is due.
    Defer {
        /// Its name (bookworm-security/openssl/3.0.17-1~deb12u2), its source package (openssl) or its id.
        update: String,
        /// For how long: 4h, 90m, 2d.
        #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
        seconds: u32,
    },
    /// Show where this client stands.
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// The exit status when updates could not be installed.
const NOT_INSTALLED: u8 = 2;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(feature = "full")]
    if let Some(served) = farrier_runtime::compile::serve_if_child() {
        return finish(served.map(|()| ExitCode::SUCCESS).map_err(Into::into));
    }
    let arguments = Arguments::parse();
    let level = match arguments.command {
        _ if arguments.verbose => Level::DEBUG,
        Command::Run => Level::INFO,
        _ => Level::WARN,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    log.with_ansi(io::stderr().is_terminal()).init();
    finish(dispatch(arguments))
}

fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("farrier-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(arguments.config.as_deref())?;
    config.root = arguments.root.unwrap_or(config.root);
    config.data = arguments.data.unwrap_or(config.data);
    let agent = Agent::open(config, Progress::on_terminal())?;
    match arguments.command {
        Command::Enroll { token, force } => {
            let Enrolled { identity, waits_for_approval } = network()?.block_on(enroll(&agent, &token, force))?;
            let Identity { client, site, .. } = identity;
            print(&format!("Enrolled as client {client} of {site}\n"))?;
            if waits_for_approval {
                print(&format!("It waits for an administrator: `farrier client approve {client}` lets it in\n"))?;
            }
        }
        Command::Run => network()?.block_on(run(&agent))?,
        Command::Scan { json, offline } => scan(&agent, json, offline)?,
        Command::Explain { update } => print(&explanations_text(&explain(&mut agent.session()?, &update)?))?,
        Command::Updates { json } => {
            let listed = match session_or_answers(&agent)? {
                Ok(mut session) => list(&mut session)?.shown(),
                Err(answers) => answers.updates,
            };
            print(&listed.printed(json))?;
        }
        Command::Install { update, all: _ } => {
            let installed = network()?.block_on(install(&agent, &update.map_or(Which::All, Which::Named)))?;
            print(&installed.text)?;
            return Ok(if installed.everything { ExitCode::SUCCESS } else { ExitCode::from(NOT_INSTALLED) });
        }
        Command::Defer { update, seconds } => print(&defer(&mut agent.session()?, &update, seconds)?)?,
        Command::Status { json } => print(&status(&agent)?.printed(json))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One poll, one scan, one report. Only the scan has to succeed.
fn scan(agent: &Agent, json: bool, offline: bool) -> anyhow::Result<()> {
    let mut session = agent.session()?;
    let network = if offline { None } else { Some(network()?) };
    let mut site = Err("the site was not to be contacted".to_owned());
    if let Some(network) = &network {
        site = network.block_on(contact(&mut session));
    }
    let mut assessment = assess(&mut session, Tally::with_names()).map_err(|error| match &site {
        Err(reason) => error.context(format!("there was no poll ({reason})")),
        Ok(_) => error,
    })?;
    if let (Some(network), Ok(_), true) = (&network, &site, assessment.outcome.tally.incomplete) {
        // Something on disk was missing or damaged; the site has it.
        site = network.block_on(contact(&mut session));
        assessment = assess(&mut session, Tally::with_names())?;
    }
    let report = |session: &Session<'_>| -> Reported {
        match (&network, &site) {
            (Some(network), Ok(site)) => {
                let sent = network.block_on(send(session, site));
                sent.map(drop).map_err(|error| format!("{error:#}"))
            }
            (_, Err(reason)) => Err(reason.clone()),
            (None, Ok(_)) => Ok(()),
        }
    };
    let mut reported = report(&session);
    // After the report, which is not to wait for what does not count.
    if let (Some(network), Ok(site)) = (&network, &site)
        && let Err(error) = network.block_on(fetch_for_shadows(&mut session, site))
    {
        tracing::warn!(error = format!("{error:#}"), "Shadows may lack content");
    }
    match shadows::compare(&mut session) {
        Ok(()) => reported = reported.and_then(|()| report(&session)),
        Err(error) => tracing::warn!(error = format!("{error:#}"), "Shadows were not compared"),
    }
    match json {
        true => print(&format!("{}\n", scan_json(&assessment, &reported))),
        false => print(&scan_text(&assessment, &reported)),
    }
}

/// Polls. A site that answers can be reported to, also when what it published is refused; else the reason why not.
async fn contact(session: &mut Session<'_>) -> Result<Site, String> {
    let site = session.site().map_err(|error| format!("{error:#}"))?;
    session.agent.progress.show(format_args!("Polling {}", session.identity.site));
    let polled = poll(session, &site).await;
    session.agent.progress.clear();
    if !polled.as_ref().is_err_and(is_unreachable) {
        renewal::renew_if_due(session, &site).await;
    }
    match polled {
        Ok(_) => Ok(site),
        Err(error) if is_unreachable(&error) => Err(format!("{error:#}")),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "Poll failed: this scan uses what is stored");
            Ok(site)
        }
    }
}

/// A runtime of this one thread, made only where something waits for the network.
fn network() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the network cannot be used")
}

fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("the output cannot be written"),
    }
}
