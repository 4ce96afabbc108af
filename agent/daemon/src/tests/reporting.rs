//! What reaches the site, whatever happens on the way.

use super::{BASH, OPENSSL, World, ZLIB, words};
use crate::status::status;
use farrier_protocol::ComplianceState;
use farrier_spool::MAX_OUTBOX_MESSAGES;
use std::fs;

#[test]
fn the_first_report_says_everything_and_the_next_only_what_changed() {
    let world = World::enrolled();
    world.round();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Installed));
    assert_eq!(world.reported(BASH), None);
    let serial = {
        let shared = world.site.shared();
        assert_eq!(shared.client.inventory.as_ref().unwrap().hostname, "web-1");
        assert_eq!(shared.client.scans[0].evaluated, 3);
        assert!(shared.client.findings.iter().any(|(_, subject, _)| subject == "libssl3"));
        shared.client.last_serial
    };
    world.round();
    assert_eq!(world.site.shared().client.last_serial, serial + 1, "only that there was a scan");

    world.write("var/lib/dpkg/status", &super::STATUS.replace("3.0.15-1", "3.0.17-1"));
    world.round();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Installed));
    assert_eq!(world.site.shared().client.last_serial, serial + 3);
    assert!(world.site.shared().client.findings.is_empty());
}

#[test]
fn what_was_found_offline_is_reported_later() {
    let world = World::enrolled();
    world.poll().unwrap();
    world.site.shared().down = true;
    assert!(words(world.poll()).contains("cannot be reached"));
    world.scan().unwrap();
    assert!(words(world.send()).contains("cannot be reached"));
    world.site.shared().down = false;
    world.send().unwrap();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn a_site_that_lost_the_stream_gets_everything_again() {
    let world = World::enrolled();
    world.round();
    world.site.shared().client = Default::default();
    world.scan().unwrap();
    world.send().unwrap();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert_eq!(world.site.shared().client.inventory.as_ref().unwrap().hostname, "web-1");
}

#[test]
fn a_site_that_never_has_enough_is_given_up_on_and_nothing_is_lost() {
    let world = World::enrolled();
    world.poll().unwrap();
    world.scan().unwrap();
    world.site.shared().resends = 50;
    assert!(words(world.send()).contains("again and again"));
    world.site.shared().resends = 0;
    world.send().unwrap();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn a_spool_out_of_a_backup_does_not_pass_old_states_off_as_new() {
    let world = World::enrolled();
    world.round();
    let backup = fs::read(world.agent.layout.spool()).unwrap();
    world.write("var/lib/dpkg/status", &super::STATUS.replace("1.2.13-1", "1.2.11-1"));
    world.round();
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Required));
    fs::write(world.agent.layout.spool(), backup).unwrap();
    world.write("var/lib/dpkg/status", super::STATUS);
    world.round();
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Installed));
}

#[test]
fn a_damaged_spool_is_set_aside_and_the_site_told_everything_again() {
    let world = World::enrolled();
    world.round();
    let stream = world.site.shared().client.stream;
    let file = world.agent.layout.spool();
    let length = fs::metadata(&file).unwrap().len();
    fs::write(&file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    world.round();
    assert_ne!(world.site.shared().client.stream, stream);
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert!(world.folder.path().join("data/spool.redb.damaged").exists());
}

#[test]
fn a_long_time_offline_is_collapsed_into_the_present_state() {
    let world = World::enrolled();
    world.round();
    let session = world.agent.session().unwrap();
    let filler = vec![vec![0_u8]; usize::try_from(MAX_OUTBOX_MESSAGES).unwrap()];
    session.spool.record(&farrier_spool::Recording::default(), filler.iter().map(Vec::as_slice)).unwrap();
    drop(session);
    world.scan().unwrap();
    assert!(world.agent.session().unwrap().spool.stream().unwrap().unsent() < 20);
    world.send().unwrap();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn the_status_says_where_the_client_stands() {
    let world = World::new();
    assert!(status(&world.agent).unwrap().text.contains("farrier-agent enroll TOKEN"));
    let world = World::enrolled();
    world.round();
    let status = status(&world.agent).unwrap();
    let text = status.text;
    for part in [world.site.address.as_str(), "version 1", "dpkg", "Unsent messages  0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = status.json;
    assert_eq!((&json["enrolled"], &json["assignment_version"]), (&true.into(), &1.into()));
    assert_eq!((&json["unsent_messages"], &json["last_scan"]["evaluated"]), (&0.into(), &3.into()));
}
