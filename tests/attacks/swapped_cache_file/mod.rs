//! Claim: a file under the cache counts as what it is, not as what it is called, also where it is genuine.
//!
//! What keeps the thief out: content is its digest, and an artefact's MAC is of this device, this component and this engine.

use crate::scene::{Scene, online};
use std::fs;
use std::path::{Path, PathBuf};

/// Genuine content of the same client, in the place of other content.
#[test]
fn genuine_content_under_another_name_is_not_believed() {
    let scene = Scene::new();
    let files = files(&scene.agent.data().join("content"));
    let (first, last) = (&files[0], &files[files.len() - 1]);
    let (first_bytes, last_bytes) = (fs::read(first).unwrap(), fs::read(last).unwrap());
    fs::write(first, last_bytes).unwrap();
    fs::write(last, first_bytes).unwrap();
    let healed = online(&scene.agent);
    assert_eq!(healed.updates, scene.before().updates, "{}", healed.said);
    scene.recovers();
}

/// The artefact that another client made of the same component.
#[test]
fn an_artefact_of_another_device_is_compiled_again() {
    let (scene, other) = (Scene::new(), Scene::new());
    let artefact = |scene: &Scene| files(&scene.agent.data().join("artefacts")).remove(0);
    fs::copy(artefact(&other), artefact(&scene)).unwrap();
    scene.keeps_its_policy_and_says(&["not authentic", "compiled again"]);
    scene.recovers();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
