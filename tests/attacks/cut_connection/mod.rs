//! Claim: a connection that ends is no answer. Above all it is not "there is no newer root".
//!
//! What keeps the thief out: only the site's own word that there is no next root ends the search for one, and the statement
//! says how far it has to go.

use crate::scene::Scene;
use farrier_tests::stolen::{Body, Reply};

#[test]
fn a_connection_that_is_cut_at_the_next_root_ends_the_poll() {
    let scene = Scene::new();
    scene.publish_news();
    let cuts = [Body::HungUp, Body::Cut(b"{\"signed\":{\"_type\":\"root\"".to_vec())];
    for cut in cuts {
        scene.thief(move |request, site| match request.metadata() {
            Some(file) if file.ends_with(".root.json") => Ok(Reply::of(200, cut.clone())),
            _ => site.answer(request),
        });
        scene.keeps_its_policy_and_says(&["cannot be reached"]);
    }
    scene.recovers();
}

#[test]
fn a_root_that_the_statement_names_and_the_thief_denies_is_missed() {
    let scene = Scene::new();
    scene.rotate("root");
    scene.publish_news();
    scene.thief(|request, site| match request.metadata() {
        Some(file) if file.ends_with(".root.json") => Ok(Reply::missing()),
        _ => site.answer(request),
    });
    scene.keeps_its_policy_and_says(&["root"]);
    scene.recovers();
}
