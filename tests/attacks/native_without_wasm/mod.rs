//! Claim: machine code runs only in the place of a component that is itself a current target.
//!
//! The thief has the native key and every key that belongs on the site. What keeps him out: an assignment names components,
//! each of which has to be a target, and an artefact is looked for by the digest of the component.

use crate::lite::{artefact_target, compiled};
use crate::scene::{Scene, assign, lying_component};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_protocol::assignment::Assignment;
use serde_json::Value;

const TARGET: &str = "plugins/dpkg/9.9.9";

#[test]
fn a_component_is_not_let_in_by_its_artefact() {
    let scene = Scene::lite();
    attack(&scene, |assignment, component, _| assign(assignment, TARGET, component));
    scene.keeps_its_policy_and_says(&[TARGET]);
    scene.recovers();
}

#[test]
fn an_artefact_is_not_let_in_as_a_component() {
    let scene = Scene::lite();
    attack(&scene, |assignment, component, artefact| {
        assign(assignment, TARGET, artefact);
        assignment.assessment.plugins[0].target = artefact_target(component).as_str().try_into().unwrap();
    });
    scene.keeps_its_policy_and_says(&["native/"]);
    scene.recovers();
}

/// Of the thief's component only the artefact is signed. The client is to scan with it, by these digests of the two.
fn attack(scene: &Scene, assign: fn(&mut Assignment, Digest, Digest)) {
    let component = lying_component();
    let artefact = compiled(&component);
    let (component_digest, artefact_digest) = (Digest::of(&component), Digest::of(&artefact));
    let mut repository = scene.repository();
    repository.add_target(&component);
    let described = repository.add_target(&artefact);
    let sign = |native: &mut Value| native["targets"][artefact_target(component_digest)] = described;
    repository.sign("native", &scene.keys(KeyRole::Native), sign).unwrap();
    scene.publishes(repository, move |_, assignment| assign(assignment, component_digest, artefact_digest));
}
