//! Claim: whoever can write the repository's folder, but does not hold the repository's key, cannot change what a client
//! believes or runs.

use farrier_tests::{Agent, Site, fail, programs, sample};
use serde_json::json;

#[test]
fn content_with_a_flipped_byte_is_refused() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    for entry in std::fs::read_dir(site.data().join("repository/targets")).unwrap() {
        let path = entry.unwrap().path();
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(&path, content).unwrap();
    }
    let refusal = fail(&mut agent.command(&["scan"])).unwrap();
    assert!(refusal.contains("digest"), "{refusal}");
    assert_eq!(site.status().unwrap()["updates"]["Required"], json!(0), "nothing was believed");
}
