//! What is lost is made good where it can be, and said; and no disk makes a client follow what it did not accept.

use super::{BASH, OPENSSL, SCOPE, World, rule, words};
use crate::fetch::Polled;
use crate::floors::Floors;
use farrier_protocol::ComplianceState;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs;
use std::process::Command;

/// Set in the child: work until the disk is full.
const CHILD: &str = "FARRIER_FULL_DISK_TEST_CHILD";

fn floors(world: &World) -> Floors {
    Floors::read(&world.agent.layout.floors()).unwrap().unwrap()
}

/// The status and the program for programs say that state was lost, and why.
fn assert_said(world: &World, reason: &str) {
    let status = world.status();
    assert!(status.contains("State lost") && status.contains(reason), "{status}");
}

/// An older repository than the one that was accepted is refused.
fn assert_floors_hold(world: &World, old: &std::collections::BTreeMap<String, Vec<u8>>) {
    let now = std::mem::replace(&mut world.site.shared().repository.files, old.clone());
    let error = words(world.poll());
    assert!(error.contains("goes back to version"), "{error}");
    world.site.shared().repository.files = now;
}

#[test]
fn lost_floors_are_made_again_from_what_is_followed() {
    for damage in [None, Some(&b"damaged"[..]), Some(&b""[..])] {
        let world = World::enrolled();
        let old = world.site.shared().repository.files.clone();
        world.site.publish();
        world.round();
        let before = floors(&world);
        match damage {
            Some(bytes) => fs::write(world.agent.layout.floors(), bytes).unwrap(),
            None => fs::remove_file(world.agent.layout.floors()).unwrap(),
        }
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
        assert_eq!(floors(&world), before);
        assert_said(&world, "record of the versions");
        assert_eq!(world.folder.path().join("data/floors.damaged").exists(), damage.is_some());
        world.site.shared().issued_at += 25 * 3_600;
        assert_floors_hold(&world, &old);
    }
}

#[test]
fn a_client_that_lost_everything_but_its_identity_begins_with_the_root_of_its_enrolment() {
    let world = World::enrolled();
    world.round();
    for role in ["root", "timestamp"] {
        world.site.shared().repository.rotate(role);
    }
    world.site.publish();
    fs::remove_file(world.agent.layout.floors()).unwrap();
    fs::write(world.agent.layout.spool(), b"damaged".repeat(1_000)).unwrap();
    assert!(words(world.scan().map(drop)).contains("no assignment to scan by yet"));
    assert_said(&world, "spool.redb.damaged");
    world.round();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert!(world.status().contains("root 3") && world.status().contains("made good since"), "{}", world.status());
}

#[test]
fn a_spool_that_is_gone_costs_no_floor() {
    let world = World::enrolled();
    let old = world.site.shared().repository.files.clone();
    world.site.publish();
    world.round();
    fs::remove_file(world.agent.layout.spool()).unwrap();
    assert!(words(world.scan().map(drop)).contains("no assignment to scan by yet"));
    assert_said(&world, "the policy that was followed is gone");
    assert_floors_hold(&world, &old);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
}

#[test]
fn a_spool_out_of_a_backup_does_not_bring_old_policies_back() {
    let world = World::enrolled();
    world.round();
    let backup = fs::read(world.agent.layout.spool()).unwrap();
    for rotates in [false, true] {
        if rotates {
            for role in ["timestamp", "snapshot", "assignment"] {
                world.site.shared().repository.rotate(role);
            }
        }
        world.site.publish();
        world.round();
        let before = floors(&world);
        fs::write(world.agent.layout.spool(), &backup).unwrap();
        assert!(words(world.scan().map(drop)).contains("no assignment to scan by yet"));
        assert_said(&world, "the stored policy is not used");
        assert_eq!(floors(&world), before);
        assert_eq!(world.poll().unwrap(), Polled::Adopted);
    }
}

#[test]
fn a_power_cut_between_policy_and_floors_is_made_good() {
    let world = World::enrolled();
    world.round();
    let before = fs::read(world.agent.layout.floors()).unwrap();
    world.site.publish();
    world.round();
    let after = floors(&world);
    fs::write(world.agent.layout.floors(), before).unwrap();
    assert_eq!(world.poll().unwrap(), Polled::Unchanged);
    assert_eq!(floors(&world), after);
    assert!(!world.status().contains("State lost"));
}

#[test]
fn floors_that_cannot_be_written_keep_nobody_from_scanning() {
    let world = World::enrolled();
    world.round();
    world.site.publish();
    let obstacle = world.folder.path().join("data/floors.new");
    fs::create_dir(&obstacle).unwrap();
    let before = floors(&world);
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
    assert_eq!(floors(&world), before);
    fs::remove_dir(obstacle).unwrap();
    world.poll().unwrap();
    assert_ne!(floors(&world), before, "the next session writes them");
}

/// The child: a disk that takes files up to some size only, ever larger ones. Not a test of its own.
#[test]
fn child_whose_disk_is_full() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let world = World::enrolled();
    world.round();
    let before = floors(&world);
    world.site.add_catalog("dpkg", SCOPE, "catalogs/bookworm/amd64", &[(BASH, rule("bash", "9"))]);
    world.site.publish();
    let limit = |bytes| setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    let mut refused = 0;
    for bytes in [0, 30, 60, 100, 4 * 1024].into_iter().chain((1..).map(|number| number * 64 * 1024)) {
        limit(Some(bytes));
        let polled = world.poll();
        limit(None);
        if polled.is_ok() {
            break;
        }
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3, "the last good policy, with {bytes} bytes");
        assert_eq!(floors(&world), before, "with {bytes} bytes");
        refused += 1;
    }
    assert!(refused > 5, "{refused} full disks");
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 1);
    assert_ne!(floors(&world), before);
}

#[test]
fn a_full_disk_leaves_the_last_policy_in_force_whatever_could_not_be_written() {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("/bin/sh");
    child.args(["-c", "trap '' XFSZ && exec \"$@\"", "sh"]).arg(program);
    child.args(["--exact", "tests::state_lost::child_whose_disk_is_full", "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
