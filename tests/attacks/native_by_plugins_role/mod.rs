//! Claim: the plugins' key makes no machine code: what agents without a compiler run is signed by the native role.
//!
//! The thief has the plugins' key and every key on the site. What keeps him out: `native/*/*` is delegated first and
//! terminating, so nobody after that role is asked.

use crate::lite::{artefact_target, compiled};
use crate::scene::{Scene, assign, dist, lying_component, online};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use serde_json::Value;

const TARGET: &str = "plugins/dpkg/9.9.9";

#[test]
fn machine_code_that_the_plugins_key_signed_is_not_run() {
    let scene = Scene::lite();
    in_the_place_of_the_true_one(&scene, KeyRole::Plugins, "plugins");
    // The client takes this publication: what is wrong in it is not looked at.
    assert_eq!(online(&scene.agent).updates, scene.before().updates);
}

/// The same by the native role is run: nothing else was wrong with it.
#[test]
fn whoever_has_the_native_key_is_let_in() {
    let scene = Scene::lite();
    in_the_place_of_the_true_one(&scene, KeyRole::Native, "native");
    assert_ne!(online(&scene.agent).updates, scene.before().updates);
}

/// A component of the thief's own, which the plugins' key does bring to a client: without an artefact it runs nowhere, and
/// the client, whose policy this is now, says that it knows nothing.
#[test]
fn a_component_does_not_bring_its_own_machine_code() {
    let scene = Scene::lite();
    let component = lying_component();
    let mut repository = scene.repository();
    let (described, artefact) = (repository.add_target(&component), repository.add_target(&compiled(&component)));
    let digest = Digest::of(&component);
    let sign = |plugins: &mut Value| {
        plugins["targets"][TARGET] = described;
        plugins["targets"][artefact_target(digest)] = artefact;
    };
    repository.sign("plugins", &scene.keys(KeyRole::Plugins), sign).unwrap();
    scene.publishes(repository, move |_, assignment| assign(assignment, TARGET, digest));
    let scan = online(&scene.agent);
    assert!(scan.updates.values().all(|state| state == "Unknown"), "{scan:?}");
    assert!(scan.said.contains("the site has no artefact for"), "{scan:?}");
}

/// The artefact of a lying component, as if it were that of the component which clients scan with.
fn in_the_place_of_the_true_one(scene: &Scene, key: KeyRole, role: &str) {
    let component = Digest::of(&std::fs::read(dist("dpkg.wasm")).unwrap());
    let mut repository = scene.repository();
    let described = repository.add_target(&compiled(&lying_component()));
    let sign = |signed: &mut Value| signed["targets"][artefact_target(component)] = described;
    repository.sign(role, &scene.keys(key), sign).unwrap();
    scene.publishes(repository, |_, _| ());
}
