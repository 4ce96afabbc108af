//! Certificates are renewed in time, and a client that is kept out goes on with what it has.

use super::{OPENSSL, World, ZLIB, wait};
use crate::identity::Identity;
use crate::run::Daemon;
use crate::status::status;
use farrier_protocol::ComplianceState;
use farrier_protocol::enrollment::Exclusion;
use std::fs::File;
use std::time::{Duration, SystemTime};

const RENEW: &str = "POST /v2/renew";

/// A client whose certificate is to be renewed, although it was not stored just now; the next one is not.
fn due() -> World {
    let world = World::enrolled_at(|site| site.shared().admission.half_over = true);
    world.site.shared().admission.half_over = false;
    let file = File::options().write(true).open(world.agent.layout.identity()).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 3_600)).unwrap();
    world
}

/// How often renewal was asked for since the last look.
fn renewals(world: &World) -> usize {
    world.site.take_requests().iter().filter(|request| *request == RENEW).count()
}

fn identity(world: &World) -> Identity {
    world.agent.identity().unwrap()
}

fn poll(daemon: &mut Daemon<'_>) {
    daemon.skip_to_poll();
    wait(daemon.work());
}

#[test]
fn a_certificate_is_renewed_with_a_new_key_when_half_of_its_time_is_over() {
    let world = due();
    let before = identity(&world);
    let mut daemon = Daemon::new(&world.agent);
    poll(&mut daemon);
    assert_eq!(renewals(&world), 1);
    let after = identity(&world);
    assert!(after.certificate != before.certificate && after.key != before.key);
    assert!(after.client == before.client && after.device_key == before.device_key && after.root == before.root);
    poll(&mut daemon);
    assert_eq!(world.site.take_requests(), ["POST /v4/poll"], "with the new one, and nothing more");

    before.store(&world.agent.layout.identity()).unwrap();
    assert!(
        format!("{:#}", world.poll().unwrap_err()).contains("superseded"),
        "the old one is void once that was used"
    );
}

#[test]
fn a_certificate_is_not_renewed_before_and_not_every_day() {
    let world = World::enrolled();
    poll(&mut Daemon::new(&world.agent));
    assert_eq!(renewals(&world), 0);
    // As it is for a clock that is years ahead.
    let world = World::enrolled_at(|site| site.shared().admission.half_over = true);
    let mut daemon = Daemon::new(&world.agent);
    for _ in 0..3 {
        poll(&mut daemon);
    }
    assert_eq!(renewals(&world), 0, "it was stored just now");
}

#[test]
fn a_client_that_has_nothing_to_do_renews_too() {
    let world = World::enrolled_at(|site| site.shared().admission.half_over = true);
    let mut daemon = Daemon::new(&world.agent);
    poll(&mut daemon);
    world.site.shared().admission.half_over = false;
    let file = File::options().write(true).open(world.agent.layout.identity()).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    world.site.take_requests();
    poll(&mut daemon);
    assert_eq!(renewals(&world), 1);
}

#[test]
fn a_renewal_whose_answer_is_lost_is_asked_for_again_by_later_polls() {
    let world = due();
    world.site.shared().admission.lost_answers = 2;
    let before = identity(&world);
    let mut daemon = Daemon::new(&world.agent);
    for _ in 0..2 {
        poll(&mut daemon);
        assert_eq!(renewals(&world), 1);
        assert!(identity(&world).certificate == before.certificate, "nothing is given up");
    }
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required), "the old one is good");
    poll(&mut daemon);
    assert_eq!(renewals(&world), 1);
    assert!(identity(&world).certificate != before.certificate);
    poll(&mut daemon);
    assert_eq!(world.site.take_requests(), ["POST /v4/poll"]);
}

#[test]
fn a_certificate_that_the_site_would_not_take_is_not_taken_either() {
    let world = due();
    let before = identity(&world);
    world.site.shared().certify_another_key = true;
    let mut daemon = Daemon::new(&world.agent);
    poll(&mut daemon);
    assert_eq!(renewals(&world), 1);
    assert!(identity(&world).certificate == before.certificate);
    world.site.shared().certify_another_key = false;
    poll(&mut daemon);
    assert!(identity(&world).certificate != before.certificate);
}

#[test]
fn polls_that_are_refused_do_not_keep_a_certificate_from_being_renewed() {
    let world = due();
    world.site.shared().assignment.clear();
    let before = identity(&world);
    poll(&mut Daemon::new(&world.agent));
    assert!(identity(&world).certificate != before.certificate);
}

#[test]
fn a_revoked_client_goes_on_with_its_policy_says_so_and_asks_slowly() {
    let world = World::enrolled();
    let mut daemon = Daemon::new(&world.agent);
    poll(&mut daemon);
    world.write(
        "var/lib/dpkg/status",
        "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n\n",
    );
    for exclusion in [Exclusion::Revoked, Exclusion::Superseded, Exclusion::Unknown] {
        world.site.shared().admission.exclusion = Some(exclusion);
        world.site.take_requests();
        let mut daemon = Daemon::new(&world.agent);
        for _ in 0..6 {
            poll(&mut daemon);
        }
        assert_eq!(world.site.take_requests(), ["POST /v4/poll"; 6], "it is asked, and nothing is reported");
        assert!((5_400..=21_600).contains(&daemon.seconds_to_poll()), "{}", daemon.seconds_to_poll());
        let shown = status(&world.agent).unwrap().text;
        assert!(shown.contains(&format!("This client is {}.", exclusion.as_str())), "{shown}");
    }
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Installed), "what the site knew");
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3, "it goes on");

    world.site.shared().admission.exclusion = None;
    poll(&mut Daemon::new(&world.agent));
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Required), "what it found meanwhile is reported now");
}

#[test]
fn a_client_that_waits_for_approval_asks_again_soon() {
    let world = World::enrolled();
    world.site.shared().admission.exclusion = Some(Exclusion::WaitsForApproval);
    let mut daemon = Daemon::new(&world.agent);
    for _ in 0..20 {
        poll(&mut daemon);
    }
    assert!((1..=900).contains(&daemon.seconds_to_poll()), "{}", daemon.seconds_to_poll());
    let shown = status(&world.agent).unwrap().text;
    assert!(shown.contains("This client is waiting."), "{shown}");
    world.site.shared().admission.exclusion = None;
    poll(&mut daemon);
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn the_status_says_how_long_the_certificate_is_valid() {
    let world = World::enrolled_at(|site| site.shared().admission.half_over = true);
    let shown = status(&world.agent).unwrap();
    assert!(
        shown.text.contains("until 2075-01-01 00:00:00 UTC, renewed from 2024-12-31 12:00:00 UTC on"),
        "{}",
        shown.text
    );
    assert_eq!(shown.json["certificate_expires"], 3_313_526_400_i64);
}
