//! Claim: a repository of yesterday, rightly signed, is not taken by a client that has seen today's, whatever it lost since.
//!
//! What keeps the thief out: no version of metadata or assignment goes below the one that was accepted, neither what the
//! stored metadata says nor the floors, which outlive it.

use crate::scene::{Followed, Scene, assert_says, follows};
use farrier_tests::{Agent, Site, copy_of, fail, programs, sample, succeed};
use std::process::Command;

#[test]
fn yesterdays_repository_from_a_thief_with_the_assignment_key_is_refused() {
    let (scene, today) = scene_of_two_days();
    scene.keeps_and_says(&today, &["timestamp goes back to version"]);
    scene.recovers();
}

#[test]
fn yesterdays_repository_is_refused_by_a_client_that_lost_its_state() {
    let (scene, _) = scene_of_two_days();
    std::fs::remove_file(scene.agent.data().join("spool.redb")).unwrap();
    let said = fail(&mut scene.agent.command(&["scan"])).unwrap();
    assert_says(&said, &["lost", "timestamp goes back to version"]);
    scene.recovers();
}

#[test]
fn a_site_that_was_set_back_whole_is_refused_and_the_newer_policy_goes_on_serving() {
    let mut site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let agent = Agent::enroll(programs!(), &site, &sample().join("root")).unwrap();
    site.stop();
    let yesterday = copy_of(site.folder()).unwrap();

    // Today the site has one suite less.
    let config_file = site.folder().join("site.toml");
    let config = std::fs::read_to_string(&config_file).unwrap();
    let (today, _) = config.rsplit_once("[[software_update_point.suite]]").unwrap();
    std::fs::write(&config_file, today).unwrap();
    site.serve().unwrap();
    site.synchronize().unwrap();
    let before = agent.scan().unwrap();

    site.stop();
    std::fs::remove_dir_all(site.data()).unwrap();
    succeed(Command::new("cp").arg("-R").arg(yesterday.path().join(".")).arg(site.folder())).unwrap();
    site.serve().unwrap();
    let after = agent.scan().unwrap();
    assert_eq!(after["updates"], before["updates"], "it scans with what it has");
    let said = String::from_utf8(agent.command(&["scan"]).output().unwrap().stderr).unwrap();
    assert!(said.contains("version"), "{said}");
}

/// A client that has seen today's news, and a thief who shows what was published before them.
fn scene_of_two_days() -> (Scene, Followed) {
    let scene = Scene::new();
    let yesterday = scene.repository();
    scene.publish_news();
    scene.agent.scan().unwrap();
    let today = follows(&scene.agent);
    assert_ne!(today, *scene.before());
    scene.stolen.shows(yesterday, |_, _| {}).unwrap();
    (scene, today)
}
