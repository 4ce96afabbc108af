//! One token, one client; what does not fit is refused with a remedy.

use farrier_tests::{Agent, Site, fail, programs, sample, succeed};

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

fn agent() -> Agent {
    Agent::new(programs!(), &sample().join("root")).unwrap()
}
