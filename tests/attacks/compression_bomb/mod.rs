//! Claim: nothing unpacks to more than its limit, whoever packed it.
//!
//! What keeps the thief out: a client undoes no encoding of an answer, and a chunk is unpacked into a buffer of the most that
//! a chunk may have.

use crate::scene::{Scene, assert_says, scan};
use crate::tools::Tool;
use farrier::keys::KeyRole;
use farrier_protocol::Digest;
use farrier_protocol::catalog::{Catalog, ChunkEntry};
use farrier_tests::stolen::{Reply, Request};
use std::io::Read as _;
use std::process::Command;

/// What the bomb unpacks to.
const BYTES: u64 = 1024 * 1024 * 1024;
/// What the client may have: enough for a scan, not for the bomb.
const CLIENT_BYTES: u64 = BYTES / 2;

#[test]
fn no_encoding_of_an_answer_is_undone() {
    type Asked = fn(&Request) -> bool;
    let asked: [Asked; 3] = [Request::is_poll, |request| request.metadata().is_some(), Request::is_target];
    let scene = Scene::new();
    scene.publish_news();
    let bomb = bomb();
    for is_asked in asked {
        let bomb = bomb.clone();
        scene.thief(move |request, site| match is_asked(request) {
            true => Ok(Reply::found(bomb.clone()).with("content-encoding", "zstd")),
            false => site.answer(request),
        });
        scene.keeps_its_policy_and_says(&["encoded"]);
    }
    scene.recovers();
}

/// Whoever has the policy key may give a catalog; also a catalog of this. It costs that catalog, and it is said.
#[test]
fn a_chunk_that_unpacks_to_a_gibibyte_is_not_unpacked() {
    if Tool::Prlimit.is_missing() {
        return;
    }
    let scene = Scene::new();
    let mut repository = scene.repository();
    let bomb = bomb();
    repository.add_target(&bomb);
    let chunk = ChunkEntry { digest: Digest::of(&bomb), length: u32::try_from(bomb.len()).unwrap(), rules: 1 };
    let catalog = farrier_protocol::encode(&Catalog { chunks: vec![chunk] }).unwrap();
    let described = repository.add_target(&catalog);
    let sign = |signed: &mut serde_json::Value| {
        for target in signed["targets"].as_object_mut().unwrap().values_mut() {
            target.clone_from(&described);
        }
    };
    repository.sign("catalogs", &scene.keys(KeyRole::Policy), sign).unwrap();
    scene.publishes(repository, move |_, assignment| {
        for assigned in &mut assignment.assessment.catalogs {
            assigned.digest = Digest::of(&catalog);
        }
    });
    let scanned = scan(&mut bounded(&scene.agent.command(&["scan", "--json"])));
    assert_says(&scanned.said, &["malformed"]);
    // What was signed with a stolen key was followed; it ends with that key.
    scene.stolen.is_honest().unwrap();
    scene.rotate("timestamp");
    scene.recovers();
}

fn bomb() -> Vec<u8> {
    zstd::encode_all(std::io::repeat(0).take(BYTES), 1).unwrap()
}

/// The same command with less memory than the bomb needs.
fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("prlimit");
    bounded.arg(format!("--data={CLIENT_BYTES}")).arg(command.get_program()).args(command.get_args());
    bounded
}
