//! Claim: a client never follows parts of one day's repository together with parts of another's.
//!
//! What keeps the thief out: the timestamp names the snapshot, the snapshot names every role's metadata, and what is
//! fetched has to be what they name.

use crate::scene::{Scene, follows};
use farrier::keys::KeyRole;
use farrier_tests::stolen::Reply;
use serde_json::json;

#[test]
fn yesterdays_catalogs_under_todays_name_are_refused() {
    let scene = Scene::new();
    let yesterday = scene.repository();
    scene.publish_news();
    scene.thief(move |request, site| match request.metadata() {
        Some(file) if file.ends_with(".catalogs.json") => Ok(Reply::found(yesterday.file("catalogs")?)),
        _ => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["catalogs"]);
    scene.recovers();
}

#[test]
fn yesterdays_snapshot_under_todays_name_is_refused() {
    let scene = Scene::new();
    let yesterday = scene.repository();
    scene.publish_news();
    scene.thief(move |request, site| match request.metadata() {
        Some(file) if file.ends_with(".snapshot.json") => Ok(Reply::found(yesterday.file("snapshot")?)),
        _ => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["snapshot"]);
    scene.recovers();
}

/// Even the keys of snapshot and timestamp do not bring back a role's older version beside newer ones.
#[test]
fn a_new_snapshot_with_an_older_role_is_refused() {
    let scene = Scene::new();
    let older = scene.repository().signed("snapshot").unwrap()["meta"]["catalogs.json"].clone();
    scene.publish_news();
    scene.agent.scan().unwrap();
    let today = follows(&scene.agent);

    let mut mixed = scene.repository();
    let keys = [KeyRole::Snapshot, KeyRole::Timestamp].map(|role| scene.keys(role));
    mixed.publish(&keys[0], &keys[1]).unwrap();
    mixed.sign("snapshot", &keys[0], |snapshot| snapshot["meta"]["catalogs.json"] = older).unwrap();
    let version = mixed.version("snapshot").unwrap();
    mixed
        .sign("timestamp", &keys[1], |timestamp| {
            timestamp["meta"]["snapshot.json"] = json!({ "version": version });
        })
        .unwrap();
    scene.stolen.shows(mixed, |_, _| {}).unwrap();
    scene.keeps_and_says(&today, &["catalogs goes back to version"]);
    scene.recovers();
}
