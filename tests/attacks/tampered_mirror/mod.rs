//! Claim: a mirror cannot change what the site knows; it can only fail.

use farrier_tests::{Site, copy_of, fail, programs, sample};
use std::path::Path;

#[test]
fn a_tampered_index_changes_nothing_and_is_named() {
    let suites = copy_of(&sample()).unwrap();
    let site = Site::start(programs!(), &suites.path().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let before = site.status().unwrap();

    tamper(&suites.path().join("mirror/dists/sample-security/InRelease"), "Components: main", "Components: evil");
    tamper_bytes(&suites.path().join("mirror/dists/sample/main/binary-amd64/Packages.xz"));
    // Both suites look changed to the site.
    tamper(&suites.path().join("mirror/dists/sample/InRelease"), "Origin: Farrier", "Origin: Another");
    let said = fail(&mut site.command(&["sync", "run", "--wait"])).unwrap();
    assert!(said.contains("2 of 2 suites failed"), "{said}");
    assert_eq!(site.status().unwrap(), before);
}

fn tamper(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from));
    std::fs::write(file, text.replace(from, to)).unwrap();
}

fn tamper_bytes(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}
