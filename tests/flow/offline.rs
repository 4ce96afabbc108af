//! Being offline is normal: an agent scans with what it has and reports later.

use farrier_tests::{Agent, Site, copy_of, programs, sample};
use serde_json::json;

#[test]
fn what_changes_while_the_site_is_away_is_reported_when_it_is_back() {
    let root = copy_of(&sample().join("root")).unwrap();
    let mut site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, root.path()).unwrap();
    agent.scan().unwrap();

    site.stop();
    let status_file = root.path().join("var/lib/dpkg/status");
    let status = std::fs::read_to_string(&status_file).unwrap();
    std::fs::write(&status_file, status.replace("3.0.15-1~deb12u1", "3.0.17-1~deb12u2")).unwrap();
    let scan = agent.scan().unwrap();
    assert_eq!(scan["reported"], json!(false), "{scan}");

    site.serve().unwrap();
    let scan = agent.scan().unwrap();
    assert_eq!(scan["reported"], json!(true), "{scan}");
    let required = ["bash", "curl", "libc6", "libcurl4", "sudo", "vim-tiny"];
    assert_eq!(site.status().unwrap()["required_packages"], json!(required));
}
