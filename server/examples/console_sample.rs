//! Serves the console with a made-up fleet, over plain HTTP on loopback: `cargo run -p farrier --example console_sample`.
//!
//! `--port N`, `--clients N`, `--updates N`, `--states N` (of each client), `--empty`; the database is gone when it stops.
//! A fleet of more than [`MOST_DEPLOYED`] clients has no deployments: simulating days of them would take minutes.

#![allow(clippy::print_stdout)]

#[path = "../tests/fleet/mod.rs"]
mod fleet;

use anyhow::{Context as _, bail};
use farrier::console::Console;
use farrier::database::{Database, SuitePhase, SuiteSync, now};
use farrier::keys::SiteKeys;
use farrier::signals::Signals;
use fleet::Size;
use jiff::SignedDuration;
use std::time::{Duration, Instant};

/// Clients of a fleet with deployments, at most.
const MOST_DEPLOYED: i64 = 2_000;

struct Options {
    port: u16,
    size: Option<Size>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = options()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("site.db");
    let database = Database::open_file(&file).await?;
    if let Some(size) = options.size {
        let started = Instant::now();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", file.display())).await?;
        sqlx::query("PRAGMA synchronous = OFF").execute(&pool).await?;
        fleet::fill(&pool, size, now()).await?;
        pool.close().await;
        if size.clients <= MOST_DEPLOYED {
            fleet::deployments::deploy(&database, now()).await?;
        }
        fleet::plugins::plant(&database, "Canaries", now()).await?;
        println!("Made a fleet in {:.1} s.", started.elapsed().as_secs_f64());
    }
    let signals = Signals::default();
    let (stop, stopping) = tokio::sync::watch::channel(());
    tokio::spawn(pretend_to_synchronize(database.clone(), signals.clone()));
    tokio::spawn(farrier::deployment::role::run(database.clone(), signals.clone()));
    let site_keys = SiteKeys::open(database.clone(), folder.path())?;
    site_keys.ensure(now()).await?;
    let console = Console {
        database,
        keys: site_keys.keys,
        site_name: "Sample site".to_owned(),
        signals,
        synchronize_every: Some(SignedDuration::from_hours(4)),
        stopping,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.context("--port is taken")?;
    println!("http://{}", listener.local_addr()?);
    let stopped = async {
        _ = tokio::signal::ctrl_c().await;
        drop(stop);
    };
    axum::serve(listener, console.router()).with_graceful_shutdown(stopped).await?;
    Ok(())
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options { port: 0, size: Some(Size::SAMPLE) };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--empty" {
            options.size = None;
            continue;
        }
        let value = arguments.next().with_context(|| format!("{argument}: write a number behind it"))?;
        let number: i64 = value.parse().with_context(|| format!("{argument} {value}: write a number"))?;
        let size = options.size.get_or_insert(Size::SAMPLE);
        match argument.as_str() {
            "--port" => options.port = u16::try_from(number)?,
            "--clients" => size.clients = number,
            "--updates" => size.filler_updates = number,
            "--states" => size.filler_states = number,
            other => bail!("{other} is no option; there are --port, --clients, --updates, --states, --empty"),
        }
    }
    Ok(options)
}

/// Something to watch for the page that shows progress.
async fn pretend_to_synchronize(database: Database, signals: Signals) -> anyhow::Result<()> {
    const SUITES: [&str; 4] = ["bookworm", "bookworm-backports", "bookworm-security", "bookworm-updates"];
    loop {
        signals.sync_requested.notified().await;
        while let Some(run) = database.take_sync_run(&SUITES).await? {
            for (suite, total) in SUITES.into_iter().zip([8_700_000, 290_000, 260_000, 20_000]) {
                for step in 0..=10 {
                    let phase = if step == 10 { SuitePhase::Unchanged } else { SuitePhase::Downloading };
                    let part = SuiteSync { phase, done: total * step / 10, total, ..SuiteSync::waiting(suite) };
                    database.record_suite_sync(run, &part).await?;
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
            }
            database.finish_sync_run(run).await?;
        }
    }
}
