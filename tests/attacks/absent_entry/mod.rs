//! Claim: an assignment selects from the repository; it never brings anything in.
//!
//! The thief has the assignment key. What keeps him out: every entry has to be a current target with the same digest.

use crate::scene::{Scene, assign, lying_component};
use farrier_protocol::Digest;

#[test]
fn a_target_that_the_repository_does_not_have_is_refused() {
    let scene = Scene::new();
    let mut repository = scene.repository();
    let component = lying_component();
    repository.add_target(&component);
    scene.publishes(repository, move |_, assignment| assign(assignment, "plugins/dpkg/9.9.9", Digest::of(&component)));
    scene.keeps_its_policy_and_says(&["plugins/dpkg/9.9.9"]);
    scene.recovers();
}

#[test]
fn a_target_that_the_repository_has_with_another_digest_is_refused() {
    let scene = Scene::new();
    let mut repository = scene.repository();
    let component = lying_component();
    repository.add_target(&component);
    scene.publishes(repository, move |_, assignment| {
        let target = assignment.assessment.plugins[0].target.clone();
        assign(assignment, &target, Digest::of(&component));
    });
    scene.keeps_its_policy_and_says(&["plugins/dpkg"]);
    scene.recovers();
}
