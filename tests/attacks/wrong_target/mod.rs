//! Claim: a role's key is good for that role's paths, and a target is the bytes that its metadata describes.
//!
//! What keeps the thief out: the search follows a delegation only for the paths it was given, an entry of an assignment has
//! to be where the repository has those, and what arrives is hashed while it is written.

use crate::scene::{Scene, assign, dist, lying_component};
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_tests::stolen::Reply;

#[test]
fn a_component_that_the_key_of_catalogs_signed_is_no_target() {
    let scene = Scene::new();
    for (role, target) in [("catalogs", "plugins/dpkg/9.9.9"), ("policies", "plugins/dpkg/9.9.9")] {
        let mut repository = scene.repository();
        let component = lying_component();
        let described = repository.add_target(&component);
        let sign = |signed: &mut serde_json::Value| signed["targets"][target] = described;
        repository.sign(role, &scene.keys(KeyRole::Policy), sign).unwrap();
        scene.publishes(repository, move |_, assignment| assign(assignment, target, Digest::of(&component)));
        scene.keeps_its_policy_and_says(&[target]);
    }
    scene.recovers();
}

/// A key that is good for catalogs brings a component under the name of a catalog.
#[test]
fn a_component_that_is_signed_as_a_catalog_is_no_plugin() {
    let scene = Scene::new();
    let target = "catalogs/dpkg/9.9.9";
    let mut repository = scene.repository();
    let component = lying_component();
    let described = repository.add_target(&component);
    let sign = |signed: &mut serde_json::Value| signed["targets"][target] = described;
    repository.sign("catalogs", &scene.keys(KeyRole::Policy), sign).unwrap();
    scene.publishes(repository, move |_, assignment| assign(assignment, target, Digest::of(&component)));
    scene.keeps_its_policy_and_says(&[target, "as a plugin"]);
    scene.recovers();
}

/// The digest of the right target in its address, and another component behind it: one that is itself signed.
#[test]
fn another_target_in_the_place_of_the_one_that_was_asked_for_is_refused() {
    let scene = Scene::new();
    scene.publish_news();
    let other = std::fs::read(dist("file-set.wasm")).unwrap();
    scene.thief(move |request, site| match request.is_target() {
        true => Ok(Reply::found(other.clone())),
        false => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["was not taken"]);
    scene.recovers();
}
