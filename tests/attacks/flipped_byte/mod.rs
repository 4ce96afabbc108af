//! Claim: what is on the disk is verified again every time it is used; what was damaged since is not believed, and fetched
//! again.
//!
//! What keeps the damage out: content is hashed when it is read, artefacts are believed under a MAC only.

use crate::scene::{Scene, Updates, offline, online};
use std::fs;
use std::path::PathBuf;

#[test]
fn content_with_a_flipped_byte_is_not_believed_and_fetched_again() {
    content_is_not_believed(&Scene::new());
}

/// Among the content of a client that does not compile is the machine code it runs.
#[test]
fn machine_code_with_a_flipped_byte_is_not_run_and_fetched_again() {
    content_is_not_believed(&Scene::lite());
}

fn content_is_not_believed(scene: &Scene) {
    for file in files(scene, "content") {
        flip(&file);
        let blind = offline(&scene.agent);
        assert!(is_no_lie(&blind.updates, &scene.before().updates), "{}: {:?}", file.display(), blind.updates);
        let healed = online(&scene.agent);
        assert_eq!(healed.updates, scene.before().updates, "{}: {}", file.display(), healed.said);
    }
    scene.recovers();
}

#[test]
fn an_artefact_with_a_flipped_byte_is_compiled_again() {
    let scene = Scene::new();
    for file in files(&scene, "artefacts") {
        flip(&file);
        scene.keeps_its_policy_and_says(&["not authentic", "compiled again"]);
    }
    scene.recovers();
}

/// Whether every state is the true one, or none.
fn is_no_lie(told: &Updates, truth: &Updates) -> bool {
    told.iter().all(|(update, state)| state == "Unknown" || truth.get(update) == Some(state))
}

fn files(scene: &Scene, folder: &str) -> Vec<PathBuf> {
    let files: Vec<_> =
        fs::read_dir(scene.agent.data().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    files
}

fn flip(file: &PathBuf) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}
