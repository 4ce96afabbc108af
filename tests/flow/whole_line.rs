//! From the sample suite to the site's status.

use farrier_tests::{Agent, Site, programs, sample, succeed};
use serde_json::{Value, json};

/// What apt would upgrade in the sample endpoint: held and half-installed packages too, removed ones and newer ones not.
const REQUIRED: [&str; 7] = ["bash", "curl", "libc6", "libcurl4", "libssl3", "sudo", "vim-tiny"];

#[test]
fn the_site_knows_what_the_sample_endpoint_needs() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    let scan = agent.scan().unwrap();
    assert_eq!(scan["reported"], json!(true), "{scan}");

    let status = site.status().unwrap();
    assert_eq!(status["clients"], json!(1));
    assert_eq!(status["required_packages"], json!(REQUIRED));
    assert_eq!(count(&status, "Unknown"), 0, "{status}");
    let sum: i64 = ["Required", "Installed", "NotRequired", "Unknown"].map(|state| count(&status, state)).iter().sum();
    assert_eq!(count(&status, "total"), sum, "{status}");
    assert_eq!(status["most_urgent"][0]["classification"], json!("Security Updates"));
}

#[test]
fn the_agent_explains_why() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    agent.scan().unwrap();
    let why = succeed(&mut agent.command(&["explain", "sample-security/openssl/3.0.17-1~deb12u2"])).unwrap();
    assert!(why.contains("3.0.15-1~deb12u1 is older than 3.0.17-1~deb12u2"), "{why}");
    assert!(why.contains("Required"), "{why}");
}

fn count(status: &Value, what: &str) -> i64 {
    status["updates"][what].as_i64().unwrap()
}
