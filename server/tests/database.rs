//! The site database: every scenario of `scenarios/` on both engines.
//!
//! A scenario is an `async fn(Database) -> anyhow::Result<()>` with a fresh, migrated database. To add some, write a
//! file in `scenarios/` that ends in `scenarios![...]` and name it in `scenarios/mod.rs`.

mod repository;
mod scenarios;

use anyhow::Context as _;
use farrier::database::Database;
use farrier_test_harness::engines::{Durability, Postgres};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use scenarios::Scenario;
use std::sync::OnceLock;

fn main() {
    let arguments = Arguments::from_args();
    let trials = scenarios::all().into_iter().flat_map(|scenario| {
        let name = scenario.name.trim_start_matches("database::scenarios::");
        [
            Trial::ignorable_test(format!("{name}::sqlite"), move || on_sqlite(scenario)),
            Trial::ignorable_test(format!("{name}::postgres"), move || on_postgres(scenario)),
        ]
    });
    // Exiting also ends the server of `postgres()`: its keeper waits for that.
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn on_sqlite(scenario: Scenario) -> Result<Completion, Failed> {
    let folder = tempfile::tempdir()?;
    run(scenario, &format!("sqlite://{}", folder.path().join("site.db").display()))
}

fn on_postgres(scenario: Scenario) -> Result<Completion, Failed> {
    match postgres() {
        Ok(server) => run(scenario, &server.create_database().map_err(in_words)?),
        Err(_) => Ok(Completion::ignored_with("no PostgreSQL here")),
    }
}

/// One server for the whole run, started by the first who needs it.
fn postgres() -> Result<&'static Postgres, &'static anyhow::Error> {
    static SERVER: OnceLock<anyhow::Result<Postgres>> = OnceLock::new();
    let start = || {
        Postgres::start(Durability::None).inspect_err(|error| {
            eprintln!("\nNOTHING IS TESTED ON POSTGRESQL, which cannot be had here:\n{error:#}\n");
        })
    };
    SERVER.get_or_init(start).as_ref()
}

fn run(scenario: Scenario, url: &str) -> Result<Completion, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let finished: anyhow::Result<()> = runtime.block_on(async {
        let database = Database::open(url).await.context("opening a fresh database")?;
        (scenario.run)(database.clone()).await?;
        database.close().await;
        Ok(())
    });
    finished.map(|()| Completion::Completed).map_err(in_words)
}

fn in_words(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
