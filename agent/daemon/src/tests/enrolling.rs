//! Who becomes a client, and of whom.

use super::fake_site::{CLIENT, FakeSite};
use super::{World, wait, words};
use crate::enroll::enroll;
use farrier_protocol::Digest;

#[test]
fn a_token_makes_an_endpoint_a_client() {
    let world = World::new();
    let identity = wait(enroll(&world.agent, &world.site.token(), false)).unwrap();
    assert_eq!(identity.client, CLIENT);
    assert_eq!(world.agent.identity().unwrap().site, world.site.address);
    assert_eq!(world.site.take_requests(), ["POST /v1/enroll"]);
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
fn a_second_enrolment_needs_force() {
    let world = World::new();
    let token = world.site.token();
    wait(enroll(&world.agent, &token, false)).unwrap();
    let error = words(wait(enroll(&world.agent, &token, false)));
    assert!(error.contains("--force") && error.contains(&CLIENT.to_string()), "{error}");
    let device_key = world.agent.identity().unwrap().device_key;
    wait(enroll(&world.agent, &token, true)).unwrap();
    assert_eq!(world.agent.identity().unwrap().device_key, device_key);
    std::fs::write(world.agent.layout.identity(), b"damaged").unwrap();
    wait(enroll(&world.agent, &token, true)).unwrap();
}

#[test]
fn a_site_that_is_down_is_named() {
    let world = World::new();
    world.site.shared().down = true;
    let error = words(wait(enroll(&world.agent, &world.site.token(), false)));
    assert!(error.contains(&world.site.address) && error.contains("cannot be reached"), "{error}");
}
