//! Claim: whoever takes the site with every key that belongs on it brings no component of his own to a client.
//!
//! The thief has the keys of policies and catalogs, of snapshot, timestamp and assignments, and the authority of TLS; the
//! plugins' key is not on the site. What keeps him out: metadata of a role counts only with a threshold of that role's own
//! keys.

use crate::scene::{Scene, assign, lying_component, online, stranger};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_trust::SigningKey;

const TARGET: &str = "plugins/dpkg/9.9.9";

#[test]
fn a_component_under_the_signature_of_a_stranger_is_refused() {
    let scene = Scene::new();
    attack(&scene, &[stranger()]);
    scene.keeps_its_policy_and_says(&["plugins is signed by 0 of its keys"]);
    scene.recovers();
}

#[test]
fn a_component_under_every_key_that_belongs_on_the_site_is_refused() {
    let scene = Scene::new();
    let online = [KeyRole::Policy, KeyRole::Snapshot, KeyRole::Timestamp, KeyRole::Assignment];
    let online: Vec<_> = online.into_iter().flat_map(|role| scene.keys(role)).collect();
    attack(&scene, &online);
    scene.keeps_its_policy_and_says(&["plugins is signed by 0 of its keys"]);
    scene.recovers();
}

/// The same under the right key is taken: nothing else was wrong with it.
#[test]
fn whoever_has_the_plugins_key_too_is_let_in() {
    let scene = Scene::new();
    attack(&scene, &scene.keys(KeyRole::Plugins));
    assert_ne!(online(&scene.agent).updates, scene.before().updates);
}

fn attack(scene: &Scene, keys: &[SigningKey]) {
    let mut repository = scene.repository();
    let component = lying_component();
    let described = repository.add_target(&component);
    repository.sign("plugins", keys, |plugins| plugins["targets"][TARGET] = described).unwrap();
    scene.publishes(repository, move |_, assignment| assign(assignment, TARGET, Digest::of(&component)));
}
