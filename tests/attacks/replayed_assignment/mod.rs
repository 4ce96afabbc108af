//! Claim: what was answered once is no answer to another poll, and an older assignment is not taken again.
//!
//! What keeps the thief out: the statement repeats the nonce of this very poll and names the assignment by its digest, and its
//! version does not sink.

use crate::scene::Scene;
use anyhow::Context as _;
use farrier_protocol::poll::PollReply;
use farrier_protocol::{decode, encode};
use farrier_tests::stolen::Reply;
use std::sync::{Arc, Mutex};

#[test]
fn a_recorded_answer_is_refused() {
    let scene = Scene::new();
    let recorded = recorded(&scene);
    scene.publish_news();
    scene.thief(move |request, site| match request.is_poll() {
        true => Ok(Reply::found(recorded.clone())),
        false => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["replayed"]);
    scene.recovers();
}

#[test]
fn yesterdays_assignment_under_todays_statement_is_refused() {
    let scene = Scene::new();
    let recorded = recorded(&scene);
    scene.publish_news();
    scene.thief(move |request, site| match request.is_poll() {
        true => site.poll_anew(request)?.map_body(|reply| {
            let today: PollReply<'_> = decode(reply)?;
            let yesterday: PollReply<'_> = decode(&recorded)?;
            yesterday.assignment.context("nothing was recorded")?;
            Ok(encode(&PollReply { assignment: yesterday.assignment, ..today })?)
        }),
        false => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["is not the one that the statement names"]);
    scene.recovers();
}

/// Whoever has the key signs an old version for the nonce of this poll.
#[test]
fn an_older_version_is_refused_under_the_right_signature() {
    let scene = Scene::new();
    let older = scene.before().assignment_version - 1;
    scene.says(move |statement, assignment| {
        statement.version = older;
        assignment.assessment.version = older;
    });
    scene.keeps_its_policy_and_says(&["the assignment goes back to version"]);
    scene.recovers();
}

/// The site's answer to a poll, with its assignment.
fn recorded(scene: &Scene) -> Vec<u8> {
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let tape = Arc::clone(&recorded);
    scene.thief(move |request, site| {
        if !request.is_poll() {
            return site.answer(request);
        }
        let reply = site.poll_anew(request)?;
        *tape.lock().unwrap() = reply.bytes()?.to_vec();
        Ok(reply)
    });
    scene.agent.scan().unwrap();
    scene.stolen.is_honest().unwrap();
    recorded.lock().unwrap().clone()
}
