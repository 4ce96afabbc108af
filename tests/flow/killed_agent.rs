//! An agent that is killed at any moment loses no state message.

use farrier::database::views::{ClientFilter, Compliance};
use farrier::database::{Database, now};
use farrier_tests::{Agent, Site, copy_of, programs, sample};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const KILLS: u32 = 40;

#[test]
fn the_site_ends_up_with_the_truth_however_often_the_agent_is_killed() {
    let root = copy_of(&sample().join("root")).unwrap();
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, root.path()).unwrap();
    agent.scan().unwrap();

    for round in 0..KILLS {
        change(root.path(), round);
        let mut scan = agent.command(&["scan"]);
        let mut process = scan.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Each round lives a little longer than the one before, so that every step is cut somewhere.
        std::thread::sleep(Duration::from_millis(u64::from(2 * round)));
        process.kill().unwrap();
        process.wait().unwrap();
    }

    // A fresh client that was never killed tells the truth about the same endpoint.
    let told = agent.scan().unwrap();
    let truth = Agent::enroll(programs!(), &site, root.path()).unwrap();
    let expected = truth.scan().unwrap();
    assert_eq!(states(&told), states(&expected));
    let known = clients(&site);
    let [killed, unharmed] = &known[..] else { panic!("two clients") };
    assert_eq!(killed, unharmed);
}

/// Alternates what is installed, so that every scan has something to report.
fn change(root: &Path, round: u32) {
    let file = root.join("var/lib/dpkg/status");
    let status = std::fs::read_to_string(&file).unwrap();
    let (from, to) =
        [("3.0.15-1~deb12u1", "3.0.17-1~deb12u2"), ("3.0.17-1~deb12u2", "3.0.15-1~deb12u1")][round as usize % 2];
    std::fs::write(&file, status.replace(from, to)).unwrap();
}

fn states(scan: &Value) -> &Value {
    &scan["updates"]
}

/// What the site knows of each client: the counts of its states, and the packages it requires updates of.
fn clients(site: &Site) -> Vec<(Compliance, Vec<String>)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = Database::open_file(&site.data().join("site.db")).await.unwrap();
        let mut known = Vec::new();
        for client in database.client_rows(&ClientFilter::default(), now()).await.unwrap().items {
            let compliance = database.compliance(Some(client.id)).await.unwrap();
            known.push((compliance, database.required_packages(Some(client.id)).await.unwrap()));
        }
        known
    })
}
