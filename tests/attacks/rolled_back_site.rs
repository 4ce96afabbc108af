//! Claim: a repository of yesterday, rightly signed, is not taken by a client that has seen today's.

use farrier_tests::{Agent, Site, copy_of, programs, sample, succeed};
use std::process::Command;

#[test]
fn an_older_publication_is_refused_and_the_newer_one_goes_on_serving() {
    let mut site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    site.stop();
    let yesterday = copy_of(site.folder()).unwrap();

    // Today the site has one suite less.
    let config_file = site.folder().join("site.toml");
    let config = std::fs::read_to_string(&config_file).unwrap();
    let (today, _) = config.rsplit_once("[[software_update_point.suite]]").unwrap();
    std::fs::write(&config_file, today).unwrap();
    site.serve().unwrap();
    site.synchronize().unwrap();
    let before = agent.scan().unwrap();

    site.stop();
    std::fs::remove_dir_all(site.data()).unwrap();
    succeed(Command::new("cp").arg("-R").arg(yesterday.path().join(".")).arg(site.folder())).unwrap();
    site.serve().unwrap();
    let after = agent.scan().unwrap();
    assert_eq!(after["updates"], before["updates"], "it scans with what it has");
    let said = String::from_utf8(agent.command(&["scan"]).output().unwrap().stderr).unwrap();
    assert!(said.contains("version"), "{said}");
}
