//! Claim: a client of one site follows no other, however well that one is signed.
//!
//! What keeps the thief out: the token names the root, the root names its tenant and the key of assignments, and every next
//! root is signed by the one before.

use crate::scene::{Scene, assert_says};
use farrier::keys::KeyRole;
use farrier_protocol::enrollment::EnrollmentReply;
use farrier_protocol::paths;
use farrier_protocol::poll::Tenant;
use farrier_tests::stolen::Reply;
use farrier_tests::{Agent, fail, programs, sample};

/// Everything comes from the other site: statement, metadata, targets.
#[test]
fn another_sites_answers_are_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    let (data, elsewhere) = (other.agent.data(), other.stolen);
    scene.thief(move |request, _| match request.is_poll() {
        true => elsewhere.upstream().answer_to(&data, request),
        false => elsewhere.upstream().get(&request.path),
    });
    scene.keeps_its_policy_and_says(&["signed by 0 of its keys"]);
    scene.recovers();
}

#[test]
fn another_tenants_statement_is_refused_under_the_right_signature() {
    let scene = Scene::new();
    scene.says(|statement, _| statement.tenant = Tenant([7; 16]));
    scene.keeps_its_policy_and_says(&["of another site"]);
    scene.recovers();
}

#[test]
fn another_sites_root_is_no_next_root() {
    let (scene, other) = (Scene::new(), Scene::new());
    let mut foreign = other.repository();
    foreign.sign("root", &other.keys(KeyRole::Root), |_| {}).unwrap();
    scene.stolen.shows(foreign, |_, _| {}).unwrap();
    scene.keeps_its_policy_and_says(&["root is signed by 0 of its keys"]);
    scene.recovers();
}

/// The very first root is the token's.
#[test]
fn another_sites_root_is_not_enrolled_with() {
    let (scene, other) = (Scene::new(), Scene::new());
    let root = other.repository().file("root").unwrap().to_vec();
    scene.thief(move |request, site| {
        let reply = site.answer(request)?;
        if request.path != paths::ENROLL {
            return Ok(reply);
        }
        let enrolled: EnrollmentReply = farrier_protocol::decode(reply.bytes()?)?;
        Ok(Reply::found(farrier_protocol::encode(&EnrollmentReply { root: root.clone(), ..enrolled })?))
    });
    let newcomer = Agent::new(programs!(), &sample().join("root")).unwrap();
    let said = fail(&mut newcomer.command(&["enroll", &scene.stolen.site().token().unwrap()])).unwrap();
    assert_says(&said, &["root"]);
    scene.recovers();
}
