//! Claim: an assignment is taken by the one client that it is for, on what that client runs on.
//!
//! What keeps the thief out: the statement names client and platform, and the client knows both of itself.

use crate::scene::Scene;
use farrier_tests::{programs, sample};

/// The thief asks the site as another client, with the nonce of this one: the answer is fresh and rightly signed.
#[test]
fn what_another_client_is_to_do_is_refused() {
    let scene = Scene::new();
    let other = scene.stolen.enroll(programs!(), &sample().join("root")).unwrap();
    let other = other.data();
    scene.publish_news();
    scene.thief(move |request, site| match request.is_poll() {
        true => site.answer_to(&other, request),
        false => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["for another client"]);
    scene.recovers();
}

#[test]
fn what_another_platform_is_to_do_is_refused() {
    let scene = Scene::new();
    scene.says(|statement, _| statement.platform = "pdp11-unix".try_into().unwrap());
    scene.keeps_its_policy_and_says(&["for another platform, pdp11-unix"]);
    scene.recovers();
}
