//! One token, one client; what does not fit is refused with a remedy, and who was let in can be kept out again.

use farrier_tests::{Agent, Site, fail, programs, sample, succeed};
use serde_json::{Value, json};

#[test]
fn a_token_enrols_once() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    let token = site.token().unwrap();
    let (first, second) = (agent(), agent());
    succeed(&mut first.command(&["enroll", &token])).unwrap();
    let refusal = fail(&mut second.command(&["enroll", &token])).unwrap();
    assert!(refusal.contains("farrier token create"), "{refusal}");
}

#[test]
fn a_token_that_is_none_is_refused_with_a_remedy() {
    let refusal = fail(&mut agent().command(&["enroll", "bm9uc2Vuc2U"])).unwrap();
    assert!(refusal.contains("farrier token create"), "{refusal}");
}

#[test]
fn an_agent_that_is_not_enrolled_says_how_to_enrol() {
    let refusal = fail(&mut agent().command(&["scan"])).unwrap();
    assert!(refusal.contains("enroll"), "{refusal}");
}

#[test]
fn a_revoked_client_is_told_why_goes_on_scanning_and_comes_back() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    let counts = agent.scan().unwrap()["counts"].clone();
    let client = agent.client_id().unwrap();
    succeed(&mut site.command(&["client", "revoke", &client, "--reason", "lost on a train"])).unwrap();
    let scan = agent.scan().unwrap();
    assert_eq!((&scan["reported"], &scan["counts"]), (&json!(false), &counts), "{scan}");
    let status = succeed(&mut agent.command(&["status"])).unwrap();
    assert!(status.contains("lost on a train") && status.contains("farrier client restore"), "{status}");
    assert_eq!(clients(&site)[0]["admission"], "revoked");
    succeed(&mut site.command(&["client", "restore", &client])).unwrap();
    assert_eq!(agent.scan().unwrap()["reported"], json!(true));
}

#[test]
fn a_wiped_device_goes_on_as_the_client_that_it_was() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let before = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    before.scan().unwrap();
    let client = before.client_id().unwrap();
    let token = succeed(&mut site.command(&["token", "create", "--client", &client])).unwrap();
    let after = agent();
    succeed(&mut after.command(&["enroll", token.trim()])).unwrap();
    assert_eq!(after.client_id().unwrap(), client);
    assert_eq!(after.scan().unwrap()["reported"], json!(true));
    assert_eq!(before.scan().unwrap()["reported"], json!(false), "somebody else is this client now");
    let status = succeed(&mut before.command(&["status"])).unwrap();
    assert!(status.contains("enrol this one again"), "{status}");
    assert_eq!(clients(&site).len(), 1);
    let refusal = fail(&mut site.command(&["client", "revoke", "nobody", "--reason", "x"])).unwrap();
    assert!(refusal.contains("farrier client list"), "{refusal}");
}

fn clients(site: &Site) -> Vec<Value> {
    serde_json::from_str(&succeed(&mut site.command(&["client", "list", "--json"])).unwrap()).unwrap()
}

fn agent() -> Agent {
    Agent::new(programs!(), &sample().join("root")).unwrap()
}
