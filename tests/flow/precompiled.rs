//! An agent that does not compile: the site learns of its engine with the first poll, compiles the plugins, and signs them.

use farrier_tests::{Agent, Site, eventually, programs, sample};

#[test]
fn a_client_without_a_compiler_says_what_any_other_says() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let root = sample().join("root");
    let full = Agent::enroll(programs!(), &site, &root).unwrap();
    let lite = Agent::enroll(programs!(), &site, &root).unwrap();
    lite.configure("[plugins]\ncompile = false\n").unwrap();
    let first = lite.scan().unwrap();
    let error = first["plugins"][0]["error"].as_str().unwrap();
    assert!(error.contains("the site has no artefact"), "{first}");

    let expected = full.scan().unwrap();
    let mut found = first;
    let is_compiled = eventually(|| {
        found = lite.scan().unwrap();
        found["plugins"][0]["error"].is_null()
    });
    assert!(is_compiled, "{found}");
    assert_eq!((&found["updates"], &found["plugins"]), (&expected["updates"], &expected["plugins"]));
    assert!(!lite.data().join("artefacts").exists(), "nothing is compiled on the client");
}
