//! An agent that does not compile: the site learns of its engine with the first poll, compiles the plugins, and signs them.

use farrier_tests::{Agent, Site, programs, sample};
use std::time::{Duration, Instant};

/// How long a site may take to compile its plugins on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let started = Instant::now();
    let found = loop {
        let found = lite.scan().unwrap();
        if found["plugins"][0]["error"].is_null() || started.elapsed() > PATIENCE {
            break found;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&found["updates"], &found["plugins"]), (&expected["updates"], &expected["plugins"]));
    assert!(!lite.data().join("artefacts").exists(), "nothing is compiled on the client");
}
