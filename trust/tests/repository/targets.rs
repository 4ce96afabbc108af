//! Targets: their files, and their bytes as they come.

use crate::site::{Site, empty_targets};
use farrier_protocol::Digest;
use farrier_trust::{Hashes, Target, TargetFile, TrustError};

const CONTENT: &[u8] = b"the bytes of a plugin";

fn hashes(entries: &[(&str, &str)]) -> Hashes {
    entries.iter().map(|(algorithm, hash)| ((*algorithm).into(), (*hash).into())).collect()
}

const SHA256: &str = "d5d5bea2a0ad3a0d8f1d9e7bbc5e2ab7d33bd7d5e0f1e7fd1d40c2b9d6d0f2a0";

/// A target with this path, length and digests, as a client finds it.
fn target(path: &str, length: u64, hashes: Hashes) -> Target {
    let mut site = Site::new();
    let mut targets = empty_targets();
    targets.version = 1;
    targets.targets.insert(path.into(), TargetFile { length, hashes, other: Default::default() });
    site.roles.insert("targets".into(), targets);
    site.publish(&["targets"]);
    site.fresh_client().target(path).unwrap()
}

fn verify(target: &Target, content: &[u8]) -> Result<(), TrustError> {
    let mut verifier = target.verifier();
    verifier.update(content)?;
    verifier.finish()
}

fn sha256(content: &[u8]) -> String {
    Digest::of(content).to_string()
}

fn sha512(content: &[u8]) -> String {
    use sha2::{Digest as _, Sha512};
    Sha512::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_target_is_verified_however_its_bytes_come() {
    let target = target("plugins/dpkg/0.1.0", CONTENT.len() as u64, hashes(&[("sha256", &sha256(CONTENT))]));
    assert_eq!(target.sha256(), Some(Digest::of(CONTENT)));
    for size in [1, 2, 7, CONTENT.len(), 1000] {
        let mut verifier = target.verifier();
        CONTENT.chunks(size).try_for_each(|chunk| verifier.update(chunk)).unwrap();
        verifier.update(b"").unwrap();
        verifier.finish().unwrap();
    }
}

#[test]
fn other_bytes_are_refused_and_too_many_of_them_at_once() {
    let length = CONTENT.len() as u64;
    let target = target("plugins/dpkg/0.1.0", length, hashes(&[("sha256", &sha256(CONTENT))]));
    let name = || "plugins/dpkg/0.1.0".to_string();
    for position in 0..CONTENT.len() {
        let mut other = CONTENT.to_vec();
        other[position] ^= 1;
        let wrong = TrustError::WrongHash { role: name(), algorithm: "sha256".into() };
        assert_eq!(verify(&target, &other), Err(wrong));
        let short = TrustError::WrongLength { role: name(), offered: position as u64, expected: length };
        assert_eq!(verify(&target, &CONTENT[..position]), Err(short));
    }
    let mut verifier = target.verifier();
    verifier.update(CONTENT).unwrap();
    assert_eq!(verifier.update(b"x"), Err(TrustError::TooLong { role: name(), limit: length }));
}

#[test]
fn every_digest_must_fit() {
    let length = CONTENT.len() as u64;
    let (right256, right512) = (sha256(CONTENT), sha512(CONTENT));
    let (wrong256, wrong512) = (sha256(b"other"), sha512(b"other"));
    for (entries, is_fine) in [
        (vec![("sha256", &right256)], true),
        (vec![("sha512", &right512)], true),
        (vec![("sha256", &right256), ("sha512", &right512)], true),
        (vec![("sha256", &right256), ("sha512", &wrong512)], false),
        (vec![("sha256", &wrong256), ("sha512", &right512)], false),
        (vec![("sha512", &wrong512)], false),
        (vec![("sha256", &right512)], false),
        (vec![("sha512", &right256)], false),
        (vec![("blake2b", &right512)], false),
        (vec![("sha256", &right256), ("blake2b", &right512)], false),
        (vec![("SHA256", &right256)], false),
        (vec![("sha256", &right256.to_uppercase())], false),
        (vec![("sha256", &String::new())], false),
    ] {
        let entries: Vec<_> = entries.iter().map(|(algorithm, hash)| (*algorithm, hash.as_str())).collect();
        let target = target("a", length, hashes(&entries));
        assert_eq!(verify(&target, CONTENT).is_ok(), is_fine, "{entries:?}");
    }
}

#[test]
fn a_digest_of_an_unknown_kind_is_named() {
    let target = target("a", 4, hashes(&[("blake2b-256", SHA256)]));
    let unknown = TrustError::UnknownHash { role: "a".into(), algorithm: "blake2b-256".into() };
    assert_eq!(verify(&target, b"text"), Err(unknown));
    assert_eq!(target.sha256(), None);
}

#[test]
fn an_empty_target_is_a_target() {
    let target = target("empty", 0, hashes(&[("sha256", &sha256(b""))]));
    verify(&target, b"").unwrap();
    target.verifier().finish().unwrap();
    verify(&target, b"x").unwrap_err();
}

#[test]
fn files_have_a_digest_in_front_of_their_names() {
    for (path, file) in [
        ("a", "DIGEST.a"),
        ("a/b", "a/DIGEST.b"),
        ("plugins/dpkg/0.1.0", "plugins/dpkg/DIGEST.0.1.0"),
        ("a/", "a/DIGEST."),
        ("/a", "/DIGEST.a"),
    ] {
        assert_eq!(target(path, 0, hashes(&[("sha256", SHA256)])).file(), file.replace("DIGEST", SHA256));
        let both = hashes(&[("blake2b", "ff"), ("sha256", SHA256), ("sha512", "00")]);
        assert_eq!(target(path, 0, both).file(), file.replace("DIGEST", SHA256));
    }
    let sha512 = "0".repeat(128);
    assert_eq!(target("a", 0, hashes(&[("sha512", &sha512)])).file(), format!("{sha512}.a"));
}
