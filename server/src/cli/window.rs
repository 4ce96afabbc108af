//! `farrier window`: maintenance windows and business hours of collections.

use crate::config::{Config, parse_period};
use crate::database::{Database, MaintenanceWindow, WindowDefinition, now};
use crate::windows::{self, Occurrence};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use farrier_protocol::assignment::WindowKind;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the windows.
    List {
        /// Only those of this collection, by name or number.
        collection: Option<String>,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Give a collection a window.
    Add(New),
    /// Let a window count again.
    Enable {
        /// Its number, as `farrier window list` shows it.
        window: i64,
    },
    /// Let a window not count for now.
    Disable {
        /// Its number, as `farrier window list` shows it.
        window: i64,
    },
    /// Remove a window.
    Remove {
        /// Its number, as `farrier window list` shows it.
        window: i64,
    },
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// The collection, by name or number.
    collection: String,
    /// What the window is called.
    name: String,
    /// The first start, by the wall clock: 2026-11-24T22:00.
    #[arg(long, value_name = "DATETIME")]
    starts: DateTime,
    /// How long it lasts.
    #[arg(long = "for", value_name = "PERIOD", value_parser = parse_period)]
    lasts: SignedDuration,
    /// How it recurs, as an RFC 5545 rule: 'FREQ=WEEKLY;BYDAY=TU,TH'. Once, if it is left out.
    #[arg(long, value_name = "RULE")]
    every: Option<String>,
    /// The time zone of its clock: Europe/Berlin, UTC. Each client's own, if it is left out.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// People work: nothing is installed or restarted by itself. Otherwise it is a maintenance window, and its clients
    /// install within their maintenance windows only.
    #[arg(long)]
    business_hours: bool,
}

/// A window as `--json` shows it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    window: MaintenanceWindow,
    next: Option<Occurrence>,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    match command {
        Command::List { collection, json } => list(&database, collection.as_deref(), json).await,
        Command::Add(new) => add(&database, new).await,
        Command::Enable { window } => enable(&database, window, true).await,
        Command::Disable { window } => enable(&database, window, false).await,
        Command::Remove { window } => {
            windows::remove(&database, window, now()).await?;
            super::say(format_args!("Window {window} is removed."))
        }
    }
}

async fn add(database: &Database, new: New) -> anyhow::Result<()> {
    let collection = super::collection::find(database, &new.collection).await?;
    let window = WindowDefinition {
        name: new.name,
        kind: if new.business_hours { WindowKind::BusinessHours } else { WindowKind::Maintenance },
        starts: new.starts,
        recurrence: new.every,
        duration_seconds: u32::try_from(new.lasts.as_secs()).context("--for is too long: write 7 days or less")?,
        time_zone: new.zone,
        enabled: true,
    };
    let id = windows::add(database, collection, &window, now()).await?;
    let next = windows::next_occurrences(&window, now(), 1)?;
    super::say(format_args!("Window {id} is made. Next: {}.", when(next.first())))
}

async fn enable(database: &Database, id: i64, enabled: bool) -> anyhow::Result<()> {
    let window = database.window(id).await?.context("there is no such window: `farrier window list` shows them")?;
    windows::change(database, id, &WindowDefinition { enabled, ..window.definition }, now()).await?;
    super::say(format_args!("Window {id} {}.", if enabled { "counts again" } else { "does not count for now" }))
}

async fn list(database: &Database, collection: Option<&str>, json: bool) -> anyhow::Result<()> {
    let windows = match collection {
        Some(collection) => database.collection_windows(super::collection::find(database, collection).await?).await?,
        None => database.windows().await?,
    };
    let shown = |window: MaintenanceWindow| {
        let next = windows::next_occurrences(&window.definition, now(), 1)?.into_iter().next();
        Ok(Shown { window, next })
    };
    let windows: Vec<Shown> = windows.into_iter().map(shown).collect::<anyhow::Result<_>>()?;
    if json {
        return super::say(serde_json::to_string(&windows)?);
    }
    super::say(format_args!("{:>6}  {:<24} {:<24} {:<15} NEXT", "NUMBER", "COLLECTION", "NAME", "KIND"))?;
    for Shown { window, next } in windows {
        let kind = match window.definition.kind {
            WindowKind::Maintenance => "maintenance",
            WindowKind::BusinessHours => "business hours",
        };
        let zone = window.definition.time_zone.as_deref().unwrap_or("the client's time zone");
        let next = match window.definition.enabled {
            true => format!("{} ({zone})", when(next.as_ref())),
            false => "disabled".to_owned(),
        };
        super::say(format_args!(
            "{:>6}  {:<24} {:<24} {kind:<15} {next}",
            window.id, window.collection_name, window.definition.name
        ))?;
    }
    Ok(())
}

/// When a window occurs, for people.
fn when(occurrence: Option<&Occurrence>) -> String {
    match occurrence {
        None => "never again".to_owned(),
        Some(Occurrence { starts, seconds, .. }) => {
            format!("{} for {:#}", starts.strftime("%a %Y-%m-%d %H:%M"), SignedDuration::from_secs(i64::from(*seconds)))
        }
    }
}
