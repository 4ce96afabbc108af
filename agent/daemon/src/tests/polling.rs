//! What a poll takes, and what it refuses.

use super::fake_site::Traffic;
use super::{BASH, SCOPE, World, ZLIB, debian_updates, rule, words};
use crate::fetch::Polled;
use farrier_protocol::{ClientId, ComplianceState, Digest};
use std::fs;

fn target_requests(requests: &[String]) -> usize {
    requests.iter().filter(|request| request.starts_with("GET /repository/targets/")).count()
}

#[test]
fn an_unchanged_poll_costs_one_request_and_few_bytes() {
    let world = World::enrolled();
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    world.site.take_requests();
    world.site.shared().traffic = Traffic::default();
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);
    assert_eq!(world.site.take_requests(), ["POST /v4/poll"]);
    let Traffic { requests, body_bytes } = std::mem::take(&mut world.site.shared().traffic);
    println!("an unchanged poll: {requests} request, {body_bytes} bytes of bodies");
    assert!(requests == 1 && body_bytes < 512, "{requests} requests, {body_bytes} bytes");
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
    assert!(error.contains("plugins/dpkg") && error.contains("signed repository does not hold"), "{error}");
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
    let (assignment, files) = {
        let shared = world.site.shared();
        (shared.assignment.clone(), shared.repository.files.clone())
    };
    world.site.publish();
    world.poll().unwrap();
    fs::remove_file(world.agent.layout.spool()).unwrap();

    world.site.shared().repository.files = files;
    let error = words(world.poll());
    assert!(error.contains("timestamp goes back to version 1, but version 2 was taken before"), "{error}");
    world.site.publish();
    (world.site.shared().assignment, world.site.shared().version) = (assignment, 1);
    let error = words(world.poll());
    assert!(error.contains("assignment goes back to version 1, but version 2 was taken before"), "{error}");
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
fn a_site_that_published_nothing_says_so() {
    let world = World::enrolled();
    world.site.shared().assignment.clear();
    assert!(words(world.poll()).contains("published nothing yet"));
    assert!(words(world.scan().map(drop)).contains("no assignment to scan by yet"));
}
