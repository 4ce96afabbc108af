//! Claim: whoever jumps versions ahead keeps clients from news, but not beyond the next root with new online keys.
//!
//! The thief has the keys of snapshot, timestamp and assignments. What heals it: the floors of what those keys sign count only
//! as long as the root names the same keys.

use crate::scene::{Scene, assert_says, follows, online};
use farrier::keys::KeyRole;
use serde_json::json;

/// Far beyond every version that a site will ever publish.
const FAR: u64 = 1 << 50;

#[test]
fn a_root_with_new_online_keys_undoes_the_jump() {
    let scene = Scene::new();
    let mut far = scene.repository();
    let (snapshot, timestamp) = (scene.keys(KeyRole::Snapshot), scene.keys(KeyRole::Timestamp));
    far.sign("snapshot", &snapshot, |snapshot| snapshot["version"] = json!(FAR)).unwrap();
    far.sign("timestamp", &timestamp, |timestamp| {
        timestamp["version"] = json!(FAR);
        timestamp["meta"]["snapshot.json"] = json!({ "version": FAR });
    })
    .unwrap();
    scene.stolen.shows(far, |_, _| {}).unwrap();
    // Nothing is wrong with it but its number.
    let taken = online(&scene.agent);
    assert_eq!((taken.said.as_str(), &taken.updates), ("", &scene.before().updates));

    scene.stolen.is_honest().unwrap();
    scene.publish_news();
    let locked_out = online(&scene.agent);
    assert_says(&locked_out.said, &["goes back to version"]);
    assert_eq!(follows(&scene.agent).updates, scene.before().updates);

    scene.rotate("snapshot");
    scene.rotate("timestamp");
    scene.recovers();
}

#[test]
fn a_root_with_a_new_assignment_key_undoes_the_jump_of_a_statement() {
    let scene = Scene::new();
    scene.says(|statement, assignment| {
        statement.version = FAR;
        assignment.assessment.version = FAR;
    });
    let taken = online(&scene.agent);
    assert_eq!((taken.said.as_str(), &taken.updates), ("", &scene.before().updates));

    scene.stolen.is_honest().unwrap();
    scene.publish_news();
    let locked_out = online(&scene.agent);
    assert_says(&locked_out.said, &["the assignment goes back to version"]);
    assert_eq!(follows(&scene.agent).updates, scene.before().updates);

    scene.rotate("assignment");
    scene.recovers();
}
