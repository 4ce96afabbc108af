//! Claim: a client speaks to no site but the one whose authority its token named, whatever answers at the address.

use farrier_tests::{Agent, Site, fail, programs, sample};
use serde_json::json;

#[test]
fn an_impostor_at_the_address_is_not_enrolled_with() {
    let suites = sample().join("suites.toml");
    let mut site = Site::start(programs!(), &suites).unwrap();
    let token = site.token().unwrap();
    site.stop();
    let _impostor = Site::start_on(programs!(), &suites, site.port()).unwrap();
    let agent = Agent::new(programs!(), &sample().join("root")).unwrap();
    let refusal = fail(&mut agent.command(&["enroll", &token])).unwrap();
    assert!(refusal.contains("authority"), "{refusal}");
}

#[test]
fn an_impostor_at_the_address_is_told_nothing() {
    let suites = sample().join("suites.toml");
    let mut site = Site::start(programs!(), &suites).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    agent.scan().unwrap();
    site.stop();
    let impostor = Site::start_on(programs!(), &suites, site.port()).unwrap();
    let scan = agent.scan().unwrap();
    assert_eq!(scan["reported"], json!(false), "{scan}");
    assert_eq!(impostor.status().unwrap()["clients"], json!(0));
}
