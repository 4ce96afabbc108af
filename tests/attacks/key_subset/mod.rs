//! Claim: fewer keys than a role's threshold sign nothing, however often they sign.
//!
//! What keeps the thief out: valid signatures are counted by distinct keys of the role, whatever ids they go by.

use crate::scene::{Scene, assign, lying_component};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_tests::stolen::Repository;
use farrier_trust::{Draft, SigningKey};
use serde_json::Value;

const TARGET: &str = "plugins/dpkg/9.9.9";

#[test]
fn one_of_two_plugins_keys_is_not_enough() {
    let (scene, [one, _]) = scene_of_two("plugins", KeyRole::Plugins);
    attack(&scene, |repository, change| repository.sign("plugins", &[one], change));
    scene.keeps_its_policy_and_says(&["plugins is signed by 1 of its keys, but 2 must sign it"]);
    scene.recovers();
}

#[test]
fn one_key_under_both_ids_is_not_enough() {
    let (scene, [one, other]) = scene_of_two("plugins", KeyRole::Plugins);
    attack(&scene, |repository, change| {
        let twice = |draft: &mut Draft| {
            let signature = one.sign(&draft.signed_bytes());
            draft.add_signature(&one.key_id(), &signature);
            draft.add_signature(&other.key_id(), &signature);
        };
        repository.sign_by("plugins", twice, change)
    });
    scene.keeps_its_policy_and_says(&["plugins is signed by 1 of its keys, but 2 must sign it"]);
    scene.recovers();
}

/// Two keys sign, and nobody else.
#[test]
fn whoever_has_both_plugins_keys_is_let_in() {
    let (scene, both) = scene_of_two("plugins", KeyRole::Plugins);
    attack(&scene, |repository, change| repository.sign("plugins", &both, change));
    assert_ne!(crate::scene::online(&scene.agent).updates, scene.before().updates);
}

#[test]
fn one_of_two_root_keys_makes_no_root() {
    let (scene, [one, _]) = scene_of_two("root", KeyRole::Root);
    let mut repository = scene.repository();
    repository.sign("root", &[one], |_| {}).unwrap();
    scene.publishes(repository, |_, _| {});
    scene.keeps_its_policy_and_says(&["root is signed by 1 of its keys, but 2 must sign it"]);
    scene.recovers();
}

/// A client that knows of two keys of a role, both of which must sign.
fn scene_of_two(role: &str, key_role: KeyRole) -> (Scene, [SigningKey; 2]) {
    let scene = Scene::new();
    scene.rotate_with(role, &["--keep-old", "--threshold", "2"]);
    scene.agent.scan().unwrap();
    let keys = scene.keys(key_role).try_into().expect("two keys");
    (scene, keys)
}

/// A component of the thief's, in metadata that this signs.
fn attack(scene: &Scene, sign: impl FnOnce(&mut Repository, Box<dyn FnOnce(&mut Value)>) -> anyhow::Result<()>) {
    let mut repository = scene.repository();
    let component = lying_component();
    let described = repository.add_target(&component);
    sign(&mut repository, Box::new(move |plugins| plugins["targets"][TARGET] = described)).unwrap();
    scene.publishes(repository, move |_, assignment| assign(assignment, TARGET, Digest::of(&component)));
}
