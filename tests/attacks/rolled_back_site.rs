//! Claim: a repository of yesterday, rightly signed, is not taken by a client that has seen today's.

use farrier_tests::{Agent, Site, copy_of, programs, sample, succeed};
use std::process::Command;

#[test]
fn an_older_publication_is_refused_and_the_newer_one_goes_on_serving() {
    let mut site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    let root = sample().join("root");
    let agent = Agent::enroll(programs!(), &site, &root).unwrap();
    site.stop();
    let yesterday = copy_of(&site.data()).unwrap();
    site.serve().unwrap();
    site.synchronize().unwrap();
    let before = agent.scan().unwrap();

    site.stop();
    std::fs::remove_dir_all(site.data()).unwrap();
    succeed(Command::new("cp").arg("-R").arg(yesterday.path()).arg(site.data())).unwrap();
    site.serve().unwrap();
    let after = agent.scan().unwrap();
    assert_eq!(after["updates"], before["updates"], "it scans with what it has");
    let said = String::from_utf8(agent.command(&["scan"]).output().unwrap().stderr).unwrap();
    assert!(said.contains("version"), "{said}");
}
