//! `cargo demo`: the whole line on one machine, with the programs an administrator uses.
//!
//! It builds `farrier` and `farrier-agent`, writes a configuration, starts a site on loopback, synchronizes real software
//! updates, enrols an agent (a process of its own), lets it scan and shows what the site knows then. Nothing here knows
//! how Farrier works inside: it types commands.

#![allow(clippy::print_stdout)]

mod programs;
mod report;
mod steps;

use anyhow::Context as _;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// See which software updates this machine needs, decided by a sandboxed plugin that a site shipped.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
struct Options {
    /// Assess the Debian root in this folder, by its own apt configuration, instead of this machine.
    #[arg(long, value_name = "DIR", conflicts_with = "sample")]
    root: Option<PathBuf>,
    /// Assess the sample root of the repository, with its sample suite. Needs no network and no Debian.
    #[arg(long)]
    sample: bool,
    /// End after the report instead of serving until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let endpoint = steps::Endpoint::choose(options.root.as_deref(), options.sample)?;
    let programs = programs::build()?;
    let interrupted = steps::Interrupted::listen()?;
    let folder = tempfile::Builder::new().prefix("farrier-demo-").tempdir().context("no temporary folder")?;

    let mut site = steps::start_site(&programs, folder.path(), &endpoint)?;
    steps::synchronize(&programs, &site)?;
    let agent = steps::enroll(&programs, &site, folder.path(), &endpoint)?;
    steps::scan(&agent)?;

    let status = steps::status(&programs, &site)?;
    if options.json {
        println!("{}", report::json(&status, &site.console)?);
    } else {
        print!("{}", report::text(&status, &site.console));
    }
    if options.once {
        return Ok(());
    }
    let _polling = agent.start()?;
    eprintln!("The agent, to try its commands (scan, explain openssl, status):\n  {}", agent.command_line());
    steps::serve_until(&interrupted, &mut site)
}
