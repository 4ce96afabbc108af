//! What a poll takes, and what it refuses.

use super::fake_site::EXPIRES;
use super::{BASH, SCOPE, World, ZLIB, debian_updates, rule, words};
use crate::fetch::Polled;
use crate::policy::StoredPolicy;
use farrier_protocol::{ClientId, ComplianceState, Digest};
use std::fs;

fn target_requests(requests: &[String]) -> usize {
    requests.iter().filter(|request| request.starts_with("GET /repository/targets/")).count()
}

#[test]
fn an_unchanged_poll_costs_two_requests() {
    let world = World::enrolled();
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    world.site.take_requests();
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);
    assert_eq!(world.site.take_requests(), ["GET /v3/assignment", "GET /repository/index"]);
}

#[test]
fn a_changed_catalog_costs_only_its_changed_chunks() {
    let world = World::enrolled();
    world.poll().unwrap();
    world.site.take_requests();
    let mut updates = debian_updates();
    updates[2].1 = rule("bash", "5.2-3");
    world.site.add_catalog("dpkg", SCOPE, "catalogs/bookworm/amd64", &updates);
    world.site.publish();
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(target_requests(&world.site.take_requests()), 2, "the catalog and the second of its two chunks");
    assert_eq!(fs::read_dir(world.agent.layout.content()).unwrap().count(), 4, "what is old is gone");
}

#[test]
fn stray_folders_in_the_caches_stop_no_poll() {
    let world = World::enrolled();
    for folder in [world.agent.layout.content(), world.agent.layout.artefacts()] {
        fs::create_dir_all(folder.join("lost+found/deeper")).unwrap();
    }
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);
}

#[test]
fn catalogs_of_other_systems_are_not_downloaded() {
    let world = World::enrolled();
    world.site.add_catalog("dpkg", "debian/trixie/amd64", "catalogs/trixie/amd64", &debian_updates()[..1]);
    world.site.publish();
    world.poll().unwrap();
    assert_eq!(target_requests(&world.site.take_requests()), 4, "plugin, catalog and two chunks");
}

#[test]
fn tampered_content_is_refused_and_the_old_policy_stays() {
    let world = World::enrolled();
    world.round();
    world.site.add_catalog("dpkg", SCOPE, "catalogs/bookworm/amd64", &[(BASH, rule("bash", "9"))]);
    world.site.publish();
    let tampered = world.site.shared().catalogs[0].digest;
    world.site.shared().content.get_mut(&tampered).unwrap()[0] ^= 1;
    let error = words(world.poll());
    assert!(error.contains("catalogs/bookworm/amd64 was not taken") && error.contains("tampered"), "{error}");
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3, "the scan goes on with what was signed");
}

#[test]
fn an_assignment_of_what_is_not_signed_is_refused_in_words() {
    let world = World::enrolled();
    world.site.tamper_assignment(|assignment| assignment.assessment.plugins[0].digest = Digest::of(b"evil"));
    let error = words(world.poll());
    assert!(error.contains("plugins/dpkg") && error.contains("signed repository index does not hold"), "{error}");
}

#[test]
fn another_clients_assignment_is_refused() {
    let world = World::enrolled();
    world.site.tamper_assignment(|assignment| assignment.assessment.client = ClientId([9; 16]));
    assert!(words(world.poll()).contains("not for this one"));
}

#[test]
fn older_versions_are_refused_also_after_the_spool_was_lost() {
    let world = World::enrolled();
    let (assignment, index) = {
        let shared = world.site.shared();
        (shared.assignment.clone(), shared.index.clone())
    };
    world.site.publish();
    world.poll().unwrap();
    fs::remove_file(world.agent.layout.spool()).unwrap();

    world.site.shared().index = index;
    let error = words(world.poll());
    assert!(error.contains("index has version 1, but version 2 was seen before"), "{error}");
    world.site.publish();
    world.site.shared().assignment = assignment;
    let error = words(world.poll());
    assert!(error.contains("assignment has version 1, but version 2 was taken before"), "{error}");
}

#[test]
fn an_expired_index_brings_nothing_new_and_the_client_goes_on() {
    let world = World::enrolled();
    world.round();
    world.site.publish_until(1_000_000_000);
    assert!(words(world.poll()).contains("expired"));
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
    world.site.publish_until(EXPIRES);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
}

#[test]
fn an_assignment_from_the_future_does_not_lock_the_client_out() {
    let world = World::enrolled();
    world.site.tamper_assignment(|assignment| assignment.assessment.issued_at = i64::MAX);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    world.site.publish_until(EXPIRES + 1);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
}

#[test]
fn content_that_rotted_is_fetched_again() {
    let world = World::enrolled();
    world.round();
    for file in fs::read_dir(world.agent.layout.content()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let assessment = world.scan().unwrap();
    assert!(assessment.outcome.tally.incomplete);
    assert_eq!(assessment.blind, 2, "what was known of is Unknown now, not NotRequired");
    world.send().unwrap();
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Unknown));

    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    world.round();
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Installed));
}

#[test]
fn the_assignment_of_the_agent_before_is_followed_until_the_next_poll() {
    let world = World::enrolled();
    world.round();
    let session = world.agent.session().unwrap();
    let mut stored = StoredPolicy::load(&session.spool).unwrap().unwrap();
    let cut = stored.assignment.bytes.len() - 3;
    assert_eq!(stored.assignment.bytes.split_off(cut), [0; 3], "no other versions of plugins");
    assert!(!stored.assignment.tag.is_empty());
    stored.store(&session.spool).unwrap();
    drop(session);
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3, "also without the site");
    assert_eq!(world.poll().unwrap(), Polled::Adopted, "although the site has the same");
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);

    let cut = world.site.shared().assignment.len() - 3;
    world.site.shared().assignment.truncate(cut);
    assert!(words(world.poll()).contains("not of this protocol version"), "a site has no such excuse");
}

#[test]
fn a_site_that_published_nothing_says_so() {
    let world = World::enrolled();
    world.site.shared().assignment.clear();
    assert!(words(world.poll()).contains("published nothing yet"));
    assert!(words(world.scan().map(drop)).contains("no assignment to scan by yet"));
}
