//! Who becomes a client, and of whom.

use super::fake_repository::Repository;
use super::fake_site::{CLIENT, FakeSite};
use super::{OPENSSL, World, publish_updates, wait, words};
use crate::enroll::enroll;
use crate::fetch::Polled;
use farrier_protocol::{ComplianceState, Digest};
use std::fs;

#[test]
fn a_token_makes_an_endpoint_a_client() {
    let world = World::new();
    let identity = wait(enroll(&world.agent, &world.site.token(), false)).unwrap().identity;
    assert_eq!(identity.client, CLIENT);
    assert_eq!(world.agent.identity().unwrap().site, world.site.address);
    assert_eq!(world.site.take_requests(), ["POST /v2/enroll"]);
}

#[test]
fn a_site_without_the_authority_of_the_token_is_refused_before_anything_is_sent() {
    let world = World::new();
    let token = world.site.token_for(Digest::of(b"another authority"));
    let error = words(wait(enroll(&world.agent, &token, false)));
    assert!(error.contains("does not show the certificate authority that the token names"), "{error}");
    assert!(world.site.take_requests().is_empty());
}

#[test]
fn a_site_with_a_certificate_for_another_host_is_refused() {
    let (world, other) = (World::new(), FakeSite::start("other.example.org"));
    let error = words(wait(enroll(&world.agent, &other.token(), false)));
    assert!(error.contains("not valid for name"), "{error}");
    assert!(other.take_requests().is_empty());
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let world = World::new();
    world.site.shared().certify_another_key = true;
    let error = words(wait(enroll(&world.agent, &world.site.token(), false)));
    assert!(error.contains("not for this endpoint's key"), "{error}");
    assert!(words(world.agent.identity()).contains("farrier-agent enroll TOKEN"));
}

#[test]
fn a_root_of_trust_that_the_token_does_not_name_is_refused() {
    let world = World::new();
    let token = world.site.token();
    world.site.shared().repository = Repository::new(100);
    let error = words(wait(enroll(&world.agent, &token, false)));
    assert!(error.contains("another root of trust than the token names"), "{error}");
    assert!(words(world.agent.identity()).contains("farrier-agent enroll TOKEN"));
}

#[test]
fn a_second_enrolment_needs_force() {
    let world = World::new();
    let token = world.site.token();
    wait(enroll(&world.agent, &token, false)).unwrap();
    let error = words(wait(enroll(&world.agent, &token, false)));
    assert!(error.contains("--force") && error.contains(&CLIENT.to_string()), "{error}");
    let device_key = world.agent.identity().unwrap().device_key;
    wait(enroll(&world.agent, &token, true)).unwrap();
    assert_eq!(world.agent.identity().unwrap().device_key, device_key);
    fs::write(world.agent.layout.identity(), b"damaged").unwrap();
    wait(enroll(&world.agent, &token, true)).unwrap();
}

#[test]
fn damaged_floors_without_an_identity_are_given_up_only_by_force_and_cost_no_token() {
    let world = World::new();
    world.agent.layout.create().unwrap();
    fs::write(world.agent.layout.floors(), b"damaged").unwrap();
    let error = words(wait(enroll(&world.agent, &world.site.token(), false)));
    assert!(error.contains("enroll --force"), "{error}");
    assert!(world.site.take_requests().is_empty());
    wait(enroll(&world.agent, &world.site.token(), true)).unwrap();
}

#[test]
fn enrolling_anew_at_the_same_repository_does_not_open_the_way_back() {
    let world = World::enrolled();
    let old = world.site.shared().repository.files.clone();
    world.site.publish();
    world.poll().unwrap();
    wait(enroll(&world.agent, &world.site.token(), true)).unwrap();
    fs::remove_file(world.agent.layout.spool()).unwrap();
    world.site.shared().repository.files = old;
    let error = words(world.poll());
    assert!(error.contains("timestamp goes back to version 1, but version 2 was taken before"), "{error}");
}

#[test]
fn a_client_that_moves_to_another_site_takes_its_first_versions() {
    let mut world = World::enrolled();
    world.site.publish();
    world.round();
    let other = FakeSite::start_with("127.0.0.1", Repository::new(100));
    publish_updates(&other);
    world.site = other;

    wait(enroll(&world.agent, &world.site.token(), true)).unwrap();
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    world.round();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn a_site_that_is_down_is_named() {
    let world = World::new();
    world.site.shared().down = true;
    let error = words(wait(enroll(&world.agent, &world.site.token(), false)));
    assert!(error.contains(&world.site.address) && error.contains("cannot be reached"), "{error}");
}
