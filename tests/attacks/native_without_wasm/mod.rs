//! Claim: machine code runs only in the place of a component that is itself a current target.
//!
//! The thief has the native key and every key on the site. What keeps him out: an assignment names components, each of which
//! has to be a target, and an artefact is looked for by the digest of the component. (The first at the level of the real
//! agent, of which every build checks it alike; the second of `farrier-trust` and `farrier-runtime`.)

use crate::lite::{Lite, artefact_of, target_of};
use crate::scene::{Scene, assign, dist, lying_component};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_tests::stolen::Repository;

const TARGET: &str = "plugins/dpkg/9.9.9";

#[test]
fn a_component_is_not_let_in_by_its_artefact() {
    let scene = Scene::new();
    let component = lying_component();
    let repository = attack(&scene, &component);
    scene.stolen.shows(repository, move |_, assignment| assign(assignment, TARGET, Digest::of(&component))).unwrap();
    scene.keeps_its_policy_and_says(&[TARGET]);
    scene.recovers();
}

#[test]
fn an_artefact_is_not_run_in_the_place_of_another_component() {
    let scene = Scene::new();
    let repository = attack(&scene, &lying_component());
    let mut lite = Lite::of(&repository).unwrap();
    assert!(lite.target(&target_of(&lying_component())).unwrap().is_some(), "it is signed");
    assert_eq!(lite.target(TARGET).unwrap(), None, "its component is not");
    let component = std::fs::read(dist("dpkg.wasm")).unwrap();
    let error = lite.load(&component).err().expect("it is not run").to_string();
    assert!(error.contains("has no artefact for"), "{error}");
}

/// The artefact of a component that is no target.
fn attack(scene: &Scene, component: &[u8]) -> Repository {
    let mut repository = scene.repository();
    repository.add_target(component);
    let described = repository.add_target(&artefact_of(component));
    let sign = |signed: &mut serde_json::Value| signed["targets"][target_of(component)] = described;
    repository.sign("native", &scene.keys(KeyRole::Native), sign).unwrap();
    repository.publish(&scene.keys(KeyRole::Snapshot), &scene.keys(KeyRole::Timestamp)).unwrap();
    repository
}
