//! Claim: a client asks its site and nobody else, wherever that site sends it.
//!
//! What keeps the thief out: no redirect is followed.

use crate::scene::Scene;
use farrier_tests::stolen::{Reply, Request};

#[test]
fn nobody_is_sent_elsewhere() {
    type Asked = fn(&Request) -> bool;
    let asked: [Asked; 3] = [Request::is_poll, |request| request.metadata().is_some(), Request::is_target];
    let scene = Scene::new();
    scene.publish_news();
    for is_asked in asked {
        let elsewhere = format!("https://localhost:{}/elsewhere", scene.stolen.port());
        scene.thief(move |request, site| match request.path.strip_prefix("/elsewhere") {
            // Whoever comes is given the right answer.
            Some(path) => site.answer(&Request { path: path.to_owned(), ..request.clone() }),
            None if is_asked(request) => Ok(Reply::redirect(&format!("{elsewhere}{}", request.path))),
            None => site.answer(request),
        });
        scene.keeps_its_policy_and_says(&["307", "elsewhere"]);
    }
    let requests = scene.stolen.take_requests();
    assert!(!requests.iter().any(|path| path.starts_with("/elsewhere")), "{requests:?}");
    scene.recovers();
}
