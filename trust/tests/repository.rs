//! What an agent takes, and what it refuses.
#![cfg(feature = "sign")]
#![allow(clippy::unwrap_used)]

use farrier_protocol::Digest;
use farrier_trust::{Index, Repository, RepositoryKey, Target, TrustError};

const NOW: i64 = 1_000_000;

fn key(seed: u8) -> RepositoryKey {
    RepositoryKey::from_secret(&[seed; 32]).unwrap()
}

fn index(version: u64) -> Index {
    let content = b"component";
    let target = Target { name: "plugins/dpkg".into(), digest: Digest::of(content), length: content.len() as u64 };
    Index { version, expires: NOW + 60, targets: vec![target] }
}

#[test]
fn a_signed_index_selects_targets_by_name_and_digest() {
    let mut repository = Repository::new(key(1).root(), 0);
    repository.accept(&key(1).sign(&index(3)).unwrap(), NOW).unwrap();
    assert_eq!(repository.floor(), 3);
    assert!(repository.target("plugins/dpkg", &Digest::of(b"component")).is_some());
    assert!(repository.target("plugins/dpkg", &Digest::of(b"other")).is_none());
    assert!(repository.target("plugins/rpm", &Digest::of(b"component")).is_none());
}

#[test]
fn an_index_of_another_key_is_refused() {
    let mut repository = Repository::new(key(1).root(), 0);
    assert_eq!(repository.accept(&key(2).sign(&index(1)).unwrap(), NOW), Err(TrustError::WrongKey));
}

#[test]
fn every_flipped_bit_is_refused() {
    let signed = key(1).sign(&index(1)).unwrap();
    for position in 0..signed.len() * 8 {
        let mut tampered = signed.clone();
        tampered[position / 8] ^= 1 << (position % 8);
        let mut repository = Repository::new(key(1).root(), 0);
        assert!(repository.accept(&tampered, NOW).is_err(), "bit {position}");
        assert_eq!(repository.floor(), 0);
    }
}

#[test]
fn a_truncated_or_extended_index_is_refused() {
    let signed = key(1).sign(&index(1)).unwrap();
    let mut repository = Repository::new(key(1).root(), 0);
    for end in 0..signed.len() {
        assert!(repository.accept(&signed[..end], NOW).is_err(), "{end} bytes");
    }
    let extended = [signed.as_slice(), &[0]].concat();
    assert_eq!(repository.accept(&extended, NOW), Err(TrustError::Malformed));
}

#[test]
fn an_older_index_is_a_rollback_and_the_same_one_is_fine() {
    let mut repository = Repository::new(key(1).root(), 5);
    assert_eq!(
        repository.accept(&key(1).sign(&index(4)).unwrap(), NOW),
        Err(TrustError::Rollback { offered: 4, floor: 5 })
    );
    repository.accept(&key(1).sign(&index(5)).unwrap(), NOW).unwrap();
}

#[test]
fn an_expired_index_brings_nothing_new_but_a_stored_one_goes_on_serving() {
    let signed = key(1).sign(&index(1)).unwrap();
    let mut repository = Repository::new(key(1).root(), 0);
    assert_eq!(repository.accept(&signed, NOW + 60), Err(TrustError::Expired { at: NOW + 60 }));
    repository.restore(&signed).unwrap();
    assert!(repository.target("plugins/dpkg", &Digest::of(b"component")).is_some());
}
