//! Claim: news are not hidden for longer than a timestamp is valid, and without the assignment key not at all.
//!
//! What keeps the thief out: the statement, which is made anew for every poll, names the timestamp; and a timestamp expires.

use crate::clock::{Clock, DAY};
use crate::scene::Scene;
use crate::tools::Tool;
use farrier_tests::stolen::Reply;

#[test]
fn an_old_timestamp_is_not_the_one_that_the_statement_names() {
    let scene = Scene::new();
    let frozen = scene.repository();
    scene.publish_news();
    scene.thief(move |request, site| match request.metadata() {
        Some("timestamp.json") => Ok(Reply::found(frozen.file("timestamp")?)),
        _ => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["timestamp"]);
    scene.recovers();
}

/// Whoever has the assignment key signs that nothing happened; until the timestamp that he cannot renew expires.
#[test]
fn a_repository_that_stands_still_is_noticed_when_its_timestamp_expires() {
    if Tool::Faketime.is_missing() {
        return;
    }
    let scene = Scene::new();
    let frozen = scene.repository();
    scene.publish_news();
    scene
        .stolen
        .shows(frozen, |statement, _| {
            statement.issued_at += 8 * DAY;
            statement.expires += 8 * DAY;
        })
        .unwrap();
    scene.keeps_its_policy_at_and_says(&Clock::ahead(8 * DAY), &["timestamp expired"]);
    scene.recovers();
}
