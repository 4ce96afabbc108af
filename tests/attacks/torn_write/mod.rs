//! Claim: however a write ends, a client follows what it followed before it or what it was to follow after it, and says so
//! where it lost more than that.
//!
//! What makes it so: state is one transaction, files are replaced whole, and everything on the disk is verified when it is
//! read.

use crate::disk::killed_at_write;
use crate::scene::{Scene, follows, online};
use crate::tools::Tool;
use farrier_tests::{fail, succeed};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// More writes than taking news needs.
const MAX_WRITES: u32 = 1_000;

#[test]
fn a_client_that_dies_at_any_write_is_in_one_state_or_the_other() {
    if Tool::Strace.is_missing() {
        return;
    }
    let scene = Scene::new();
    scene.publish_news();
    let state = scene.copy_of_data();
    scene.agent.scan().unwrap();
    let (before, after) = (scene.before().clone(), follows(&scene.agent));
    assert_ne!(before, after);
    let writes = (1..MAX_WRITES).find(|nth| {
        put_back(&state, &scene.agent.data());
        let is_dead = killed_at_write(&scene.agent.command(&["scan"]), *nth);
        let now = follows(&scene.agent);
        assert!(now == before || now == after, "write {nth}: {now:?}");
        let healed = online(&scene.agent);
        assert_eq!((healed.said.as_str(), healed.updates), ("", after.updates.clone()), "write {nth}");
        !is_dead
    });
    assert!(writes.is_some_and(|writes| writes > 10), "{writes:?}");
    scene.recovers();
}

/// What a power cut leaves of a file whose writes were not yet durable: any length of it, or nonsense of the right length.
#[test]
fn a_file_that_is_torn_is_noticed() {
    let scene = Scene::new();
    let state = scene.copy_of_data();
    for name in ["spool.redb", "floors"] {
        for torn in torn(&fs::read(state.path().join(name)).unwrap()) {
            put_back(&state, &scene.agent.data());
            fs::write(scene.agent.data().join(name), &torn).unwrap();
            let healed = online(&scene.agent);
            assert!(healed.said.contains("lost"), "{name} of {} bytes: {}", torn.len(), healed.said);
            assert_eq!(healed.updates, scene.before().updates, "{name} of {} bytes: {}", torn.len(), healed.said);
            let next = online(&scene.agent);
            assert_eq!(next.said, "", "{name} of {} bytes", torn.len());
        }
    }
    put_back(&state, &scene.agent.data());
    // The site has heard the streams that began since, and asks for everything in this one again.
    online(&scene.agent);
    scene.recovers();
}

/// Without its identity a client has no site to turn to: it says what an administrator has to do.
#[test]
fn an_identity_that_is_torn_is_noticed() {
    let scene = Scene::new();
    let file = scene.agent.data().join("identity");
    let whole = fs::read(&file).unwrap();
    for torn in torn(&whole) {
        fs::write(&file, &torn).unwrap();
        let said = fail(&mut scene.agent.command(&["scan"])).unwrap();
        assert!(said.contains("farrier-agent enroll"), "{} bytes: {said}", torn.len());
    }
    fs::write(&file, whole).unwrap();
    scene.recovers();
}

fn torn(whole: &[u8]) -> Vec<Vec<u8>> {
    let lengths = [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1];
    let mut torn: Vec<_> = lengths.iter().map(|length| whole[..*length].to_vec()).collect();
    torn.push(vec![0; whole.len()]);
    torn.push(whole.iter().enumerate().map(|(place, byte)| if place < whole.len() / 2 { *byte } else { 0 }).collect());
    torn
}

fn put_back(state: &TempDir, data: &Path) {
    fs::remove_dir_all(data).unwrap();
    succeed(Command::new("cp").arg("-R").arg(state.path()).arg(data)).unwrap();
}
