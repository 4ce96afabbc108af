//! An agent that compiles nothing: it runs what the site has compiled and signed.

use super::fake_site::dist;
use super::{BASH, SCOPE, World, rule};
use crate::fetch::Polled;
use farrier_protocol::Digest;
use farrier_runtime::{Compiler, EngineId, Limits, Profile};
use std::fs;

const CATALOG: &str = "catalogs/bookworm/amd64";
/// Long ago.
const EXPIRED: i64 = 1_000_000_000;

/// A client without a compiler, of a site that has compiled nothing yet.
fn lite() -> World {
    let mut world = World::enrolled();
    world.agent.compiler = None;
    world
}

fn engine() -> EngineId {
    Profile::fastest().engine().unwrap()
}

/// Publishes the compiled plugin, and returns what it is addressed by.
fn publish_artefact(world: &World) -> Digest {
    let component = dist("dpkg");
    let artefact = Compiler::InProcess.precompile(engine(), &component, &Limits::default()).unwrap();
    let digest = world.site.add_artefact(engine(), &component, artefact);
    world.site.publish_again();
    digest
}

fn publish_news(world: &World) {
    world.site.add_catalog("dpkg", SCOPE, CATALOG, &[(BASH, rule("bash", "9"))]);
    world.site.publish();
}

/// What keeps the only plugin from its work.
fn error_of_scan(world: &World) -> String {
    world.scan().unwrap().outcome.plugins[0].error.to_string()
}

fn evaluated(world: &World) -> u32 {
    assert_eq!(error_of_scan(world), "");
    world.scan().unwrap().outcome.tally.evaluated
}

#[test]
fn what_the_site_has_compiled_is_run_and_nothing_is_compiled_here() {
    let world = lite();
    publish_artefact(&world);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(evaluated(&world), 3);
    assert!(!world.agent.layout.artefacts().exists(), "nothing is compiled");
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);
}

#[test]
fn an_artefact_that_comes_later_is_fetched_although_the_assignment_stays() {
    let world = lite();
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    let error = error_of_scan(&world);
    assert!(error.contains("the site has no artefact for wasmtime-"), "{error}");
    publish_artefact(&world);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(evaluated(&world), 3);
}

#[test]
fn an_agent_whose_compiler_was_taken_away_finds_what_was_published_before() {
    let mut world = World::enrolled();
    publish_artefact(&world);
    world.round();
    world.agent.compiler = None;
    assert_eq!(world.poll().unwrap(), Polled::Adopted, "nothing of the repository changed, but of the agent");
    assert_eq!(evaluated(&world), 3);
}

#[test]
fn an_artefact_that_changed_on_the_disk_is_not_run_and_fetched_again() {
    let world = lite();
    let artefact = publish_artefact(&world);
    world.poll().unwrap();
    let file = world.agent.layout.content().join(artefact.to_string());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = error_of_scan(&world);
    assert!(error.contains("the artefact for wasmtime-"), "{error}");
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(evaluated(&world), 3);
}

#[test]
fn whoever_cannot_sign_for_native_code_gives_no_artefact() {
    let world = lite();
    world.site.shared().repository.forged = Some("native");
    publish_artefact(&world);
    assert_eq!(world.poll().unwrap(), Polled::Adopted, "only that role is of no use");
    let error = error_of_scan(&world);
    assert!(error.contains("the site has no artefact"), "{error}");
    let status = world.status();
    assert!(status.contains("native"), "{status}");
}

#[test]
fn an_artefact_that_is_followed_stays_when_its_role_expires() {
    let world = lite();
    publish_artefact(&world);
    world.round();
    world.site.shared().repository.expires.insert("native", EXPIRED);
    publish_news(&world);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(evaluated(&world), 1);
    let status = world.status();
    assert!(status.contains("native") && status.contains("expired"), "{status}");
}

#[test]
fn an_artefact_of_another_component_does_not_count() {
    let world = lite();
    let artefact = Compiler::InProcess.precompile(engine(), &dist("dpkg"), &Limits::default()).unwrap();
    world.site.add_artefact(engine(), b"another component", artefact);
    world.site.publish_again();
    world.poll().unwrap();
    let error = error_of_scan(&world);
    assert!(error.contains("the site has no artefact"), "{error}");
}
