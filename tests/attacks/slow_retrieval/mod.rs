//! Claim: a server that gives a byte now and then keeps a client from nothing but the news, for a bounded time.
//!
//! What keeps the thief out: every exchange has a time by which it is over, whether something moves or not. The client's
//! clock runs fast, so that nobody waits for it.

use crate::clock::Clock;
use crate::scene::Scene;
use crate::tools::Tool;
use farrier_tests::stolen::{Body, Reply, Request};

#[test]
fn an_answer_that_trickles_is_given_up() {
    if Tool::Faketime.is_missing() {
        return;
    }
    type Asked = fn(&Request) -> bool;
    let asked: [Asked; 3] =
        [Request::is_poll, |request| request.metadata() == Some("timestamp.json"), Request::is_target];
    let scene = Scene::new();
    scene.publish_news();
    for is_asked in asked {
        scene.thief(move |request, site| match is_asked(request) {
            true => Ok(Reply::of(200, Body::Trickle(vec![0; 4096]))),
            false => site.answer(request),
        });
        scene.keeps_its_policy_at_and_says(&Clock::fast(), &["timed out"]);
    }
    scene.recovers();
}
