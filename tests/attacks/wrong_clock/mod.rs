//! Claim: a wrong clock costs a client nothing that it has, and once it is right again nothing at all.
//!
//! What makes it so: the time is the latest of the clock, the agent's build and the last accepted statement; and the clock
//! is never stored.

use crate::clock::{Clock, YEAR};
use crate::scene::{Scene, scan};
use crate::tools::Tool;

#[test]
fn a_clock_without_a_battery_is_not_believed() {
    if Tool::Faketime.is_missing() {
        return;
    }
    let scene = Scene::new();
    scene.publish_news();
    let told = scan(&mut Clock::of_1970().shown_to(&scene.agent.command(&["scan", "--json"])));
    assert!(told.reported, "{}", told.said);
    assert_ne!(told.updates, scene.before().updates, "the news are taken");
    scene.recovers();
}

#[test]
fn a_clock_five_years_ahead_locks_nobody_out() {
    if Tool::Faketime.is_missing() {
        return;
    }
    let scene = Scene::new();
    scene.publish_news();
    let ahead = Clock::ahead(5 * YEAR);
    scene.keeps_its_policy_at_and_says(&ahead, &["expired"]);
    scene.keeps_its_policy_at_and_says(&ahead, &["expired"]);
    scene.recovers();
}

#[test]
fn a_clock_ten_seconds_behind_is_no_reason_to_complain() {
    if Tool::Faketime.is_missing() {
        return;
    }
    let scene = Scene::new();
    scene.publish_news();
    let told = scan(&mut Clock::ahead(-10).shown_to(&scene.agent.command(&["scan", "--json"])));
    assert_eq!((told.reported, told.said.as_str()), (true, ""));
    assert_ne!(told.updates, scene.before().updates, "the news are taken");
    scene.recovers();
}
