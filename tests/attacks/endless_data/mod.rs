//! Claim: whatever is asked for, a client takes no more than what it may have, and goes on.
//!
//! What keeps the thief out: every answer has its limit, which metadata gives where it can and a constant where it cannot.

use crate::scene::Scene;
use farrier_tests::stolen::{Body, Reply, Request};

/// What the two ends of a connection hold on top of what the client takes.
const IN_FLIGHT_BYTES: u64 = 16 * 1024 * 1024;

#[test]
fn no_answer_is_taken_beyond_its_limit() {
    type Asked = fn(&Request) -> bool;
    let asked: [(&str, Asked); 6] = [
        ("poll", Request::is_poll),
        ("root", |request| is_metadata(request, ".root.json")),
        ("timestamp", |request| is_metadata(request, "timestamp.json")),
        ("snapshot", |request| is_metadata(request, ".snapshot.json")),
        ("catalogs", |request| is_metadata(request, ".catalogs.json")),
        ("longer than its signed length", Request::is_target),
    ];
    let scene = Scene::new();
    scene.publish_news();
    for (word, is_asked) in asked {
        let sent = scene.stolen.sent_bytes();
        scene.thief(move |request, site| match is_asked(request) {
            true => Ok(Reply::of(200, Body::Endless(Vec::new()))),
            false => site.answer(request),
        });
        scene.keeps_its_policy_and_says(&[word]);
        let taken = scene.stolen.sent_bytes() - sent;
        assert!(0 < taken && taken < IN_FLIGHT_BYTES, "{word}: {taken} bytes");
    }
    scene.recovers();
}

/// What is wanted comes first, so that whoever reads on only to see the end reads forever.
#[test]
fn what_follows_the_last_byte_of_a_target_is_not_waited_for() {
    let scene = Scene::new();
    scene.publish_news();
    scene.thief(|request, site| match (request.is_target(), site.answer(request)?) {
        (true, reply) => Ok(Reply::of(200, Body::Endless(reply.bytes()?.to_vec()))),
        (false, reply) => Ok(reply),
    });
    scene.keeps_its_policy_and_says(&["longer than its signed length"]);
    assert!(scene.stolen.sent_bytes() < IN_FLIGHT_BYTES);
    scene.recovers();
}

fn is_metadata(request: &Request, file: &str) -> bool {
    request.metadata().is_some_and(|name| name.ends_with(file))
}
