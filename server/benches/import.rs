//! What a synchronization costs, on both engines.
//!
//! `cargo bench -p farrier --bench import` synchronizes a signed archive of its own from a folder: first into an empty
//! database, then unchanged, then with one update changed. `-- --root /` takes the suites of that Debian root's apt
//! instead, from their mirrors, into SQLite, and prints the peak resident memory of the whole program.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use farrier::config::{SoftwareUpdatePointConfig, SuiteConfig};
use farrier::database::{Database, Requester, SuitePhase};
use farrier::signals::Signals;
use farrier::sync::SoftwareUpdatePoint;
use farrier::sync::debian::apt_sources::suites_of_apt;
use farrier_test_harness::engines::{Durability, Postgres};
use farrier_test_harness::mirror::{ArchiveKey, Deb, Mirror};
use std::path::Path;
use std::time::Instant;

const PACKAGES: usize = 20_000;
const PACKAGES_PER_SOURCE: usize = 2;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("site.db").display());
    println!("{:<12} {:<16} {:>10} {:>10} {:>14}", "engine", "what", "packages", "seconds", "packages/s");
    if let Some(at) = arguments.iter().position(|argument| argument == "--root") {
        let mut apt = suites_of_apt(Path::new(&arguments[at + 1])).unwrap();
        apt.write_keyrings(folder.path()).unwrap();
        let point = point(&sqlite, apt.suites).await;
        synchronize("SQLite", "first", &point).await;
        synchronize("SQLite", "unchanged", &point).await;
        return println!("peak resident memory: {} MiB", peak_memory_kib() / 1024);
    }
    measure("SQLite", &sqlite).await;
    match Postgres::start(Durability::Full) {
        Ok(server) => measure("PostgreSQL", &server.create_database().unwrap()).await,
        Err(error) => println!("PostgreSQL cannot be had: {error:#}"),
    }
}

async fn measure(engine: &str, url: &str) {
    let mirror = Mirror::new().unwrap();
    let key = ArchiveKey::generate().unwrap();
    let mut suite = mirror.suite("bookworm", &key);
    for number in 0..PACKAGES {
        let source = format!("source{}", number / PACKAGES_PER_SOURCE);
        suite.add(Deb::new(&format!("{source}-package{number}"), "1.2.3-4+deb12u1").with("Source", &source));
    }
    suite.publish().unwrap();
    let config = SuiteConfig {
        name: "bookworm".to_owned(),
        distribution: "debian".to_owned(),
        release: "bookworm".to_owned(),
        mirror: mirror.address(),
        suite: "bookworm".to_owned(),
        components: vec!["main".to_owned()],
        architectures: vec!["amd64".to_owned()],
        keyrings: vec![mirror.keyring("archive.asc", key.armored().unwrap()).unwrap()],
        classification: None,
        check_valid_until: true,
    };
    let point = point(url, vec![config]).await;
    synchronize(engine, "first", &point).await;
    synchronize(engine, "unchanged", &point).await;
    suite.remove("source7-package14").add(Deb::new("source7-package14", "1.2.3-4+deb12u2")).publish().unwrap();
    synchronize(engine, "one changed", &point).await;
}

async fn point(url: &str, suites: Vec<SuiteConfig>) -> SoftwareUpdatePoint {
    let database = Database::open(url).await.unwrap();
    let config = SoftwareUpdatePointConfig { suites, ..Default::default() };
    let point = SoftwareUpdatePoint { database, config, signals: Signals::default() };
    point.prepare().await.unwrap();
    point
}

async fn synchronize(engine: &str, what: &str, point: &SoftwareUpdatePoint) {
    let run = point.database.request_sync(Requester::Administrator).await.unwrap();
    let start = Instant::now();
    point.synchronize_once().await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let run = point.database.sync_run(run).await.unwrap().unwrap();
    assert!(run.succeeded(), "{run:?}");
    let imported = run.suites.iter().filter(|suite| suite.phase == SuitePhase::Imported);
    let packages: i64 = imported.map(|suite| suite.done).sum();
    let rate = packages as f64 / seconds;
    println!("{engine:<12} {what:<16} {packages:>10} {seconds:>10.2} {rate:>14.0}");
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
