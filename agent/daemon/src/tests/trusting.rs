//! Whom a poll believes, and what goes on when it does not.

use super::fake_repository::EXPIRES;
use super::fake_site::response;
use super::{BASH, SCOPE, World, debian_updates, rule, wait, words};
use crate::clock::{now, set_clock};
use crate::fetch::Polled;
use crate::notes::Notes;
use crate::run::Daemon;
use farrier_protocol::ClientId;
use farrier_protocol::poll::{Statement, Tenant};
use farrier_trust::SigningKey;

const CATALOG: &str = "catalogs/bookworm/amd64";
const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;
/// Long ago.
const EXPIRED: i64 = 1_000_000_000;

/// What somebody says instead of the truth.
type Lie = fn(&mut Statement);
/// How a role comes to be of no use.
type Break = fn(&World);

/// A client that follows a policy, of a site that published another catalog since.
fn with_news() -> World {
    let world = World::enrolled();
    world.round();
    publish_news(&world, "9");
    world
}

fn publish_news(world: &World, version: &str) {
    world.site.add_catalog("dpkg", SCOPE, CATALOG, &[(BASH, rule("bash", version))]);
    world.site.publish();
}

/// The poll is refused in words that contain these, the status says so, and the scan goes on with the policy before.
fn assert_refused(world: &World, reason: &str) {
    let error = words(world.poll());
    assert!(error.contains(reason), "{error}");
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3, "the last good policy stays in force");
    let status = world.status();
    assert!(status.contains("Last refusal") && status.contains(reason), "{status}");
}

/// Nothing keeps the client from following its site.
fn assert_follows(world: &World) {
    assert_eq!(world.poll().unwrap(), Polled::Adopted);
    assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 1, "the new policy is in force");
    let status = world.status();
    assert!(!status.contains("Last refusal") || status.contains("polls succeed again"), "{status}");
}

#[test]
fn a_statement_that_is_not_the_answer_to_this_client_and_this_poll_is_refused() {
    let lies: [(&str, Lie); 6] = [
        ("answers another poll", |statement| statement.nonce = [7; 16]),
        ("for another client", |statement| statement.client = ClientId([9; 16])),
        ("of another site", |statement| statement.tenant = Tenant([9; 16])),
        ("for another platform", |statement| statement.platform = "riscv64-linux".try_into().unwrap()),
        ("expired at 2001-09-09", |statement| statement.expires = EXPIRED),
        ("goes back to version 0, but version 1", |statement| statement.version = 0),
    ];
    let world = with_news();
    for (reason, lie) in lies {
        world.site.shared().lie = Some(Box::new(lie));
        assert_refused(&world, reason);
    }
    world.site.shared().lie = None;
    assert_follows(&world);
}

#[test]
fn whoever_has_only_the_key_of_tls_can_say_nothing() {
    let world = with_news();
    world.site.shared().repository.stolen = Some(SigningKey::from_secret(&[250; 32]).unwrap());
    assert_refused(&world, "signed by 0 of the assignment keys");
    world.site.shared().repository.stolen = None;
    assert_follows(&world);
}

#[test]
fn an_assignment_key_that_was_replaced_is_not_believed_again() {
    let world = with_news();
    let old = world.site.shared().repository.key("assignment");
    world.site.shared().repository.rotate("assignment");
    world.site.publish();
    assert_follows(&world);
    world.site.shared().repository.stolen = Some(old);
    assert!(words(world.poll()).contains("signed by 0 of the assignment keys"));
    assert!(world.status().contains("root 2"), "{}", world.status());
}

#[test]
fn a_stolen_assignment_key_hides_its_replacement_for_a_day_at_most() {
    let world = World::enrolled();
    world.round();
    let (root, timestamp) = {
        let repository = &mut world.site.shared().repository;
        repository.stolen = Some(repository.key("assignment"));
        repository.rotate("assignment");
        (1, repository.timestamp())
    };
    world.site.shared().lie = Some(Box::new(move |said| (said.root, said.timestamp) = (root, timestamp)));
    assert_eq!(world.poll().unwrap(), Polled::Unchanged, "the site says that nothing has changed");
    set_clock(now() + 25 * HOUR);
    assert_refused(&world, "signed by 0 of the assignment keys");
}

#[test]
fn a_thief_who_went_to_the_highest_versions_loses_them_with_the_keys() {
    let world = World::enrolled();
    world.round();
    let set =
        |version: u64| (world.site.shared().repository.snapshot, world.site.shared().version) = (version, version);
    set(u64::from(u32::MAX));
    publish_news(&world, "9");
    assert_follows(&world);
    set(20);
    publish_news(&world, "10");
    assert!(words(world.poll()).contains("goes back to version 21"));
    for role in ["timestamp", "snapshot", "assignment"] {
        world.site.shared().repository.rotate(role);
    }
    publish_news(&world, "11");
    assert_follows(&world);
    set(20);
    publish_news(&world, "12");
    assert!(words(world.poll()).contains("goes back to version 21"), "the new keys' versions count");
}

/// The first poll after the change gets the new root and nothing else. What is stored is still signed well by the timestamp's
/// key, which was not taken away, and must not bring back what the snapshot's made up.
#[test]
fn versions_begin_anew_also_when_that_was_interrupted() {
    let world = World::enrolled();
    world.site.shared().repository.snapshot = u64::from(u32::MAX);
    publish_news(&world, "9");
    assert_follows(&world);
    world.site.shared().repository.snapshot = 20;
    world.site.shared().repository.rotate("snapshot");
    publish_news(&world, "10");
    for cut in ["timestamp.json", "21.snapshot.json"] {
        let file = world.site.shared().repository.files.insert(cut.to_owned(), Vec::new()).unwrap();
        assert!(words(world.poll()).contains(cut.split('.').rev().nth(1).unwrap()), "{cut}");
        world.site.shared().repository.files.insert(cut.to_owned(), file);
    }
    assert_follows(&world);
}

#[test]
fn a_repository_that_is_held_back_is_noticed_when_it_expires() {
    let world = World::enrolled();
    world.round();
    for role in ["timestamp", "snapshot", "targets", "root"] {
        world.site.shared().repository.expires.insert(role, EXPIRED);
        if role == "root" {
            world.site.shared().repository.rotate("snapshot");
        }
        world.site.publish();
        assert_refused(&world, &format!("metadata of {role} expired at 2001-09-09T01:46:40Z"));
        world.site.shared().repository.expires.remove(role);
    }
    world.site.shared().repository.rotate("snapshot");
    publish_news(&world, "9");
    assert_follows(&world);
}

#[test]
fn a_role_that_cannot_be_verified_blocks_what_is_new_of_it_and_nothing_else() {
    let breaks: [(&str, Break); 4] = [
        ("metadata of catalogs expired", |world| {
            world.site.shared().repository.expires.insert("catalogs", EXPIRED);
            world.site.publish_again();
        }),
        ("repository has no metadata of catalogs", |world| {
            let repository = &mut world.site.shared().repository;
            let file = repository.file("catalogs");
            repository.files.remove(&file).unwrap();
        }),
        ("metadata of catalogs is signed by 0", |world| {
            world.site.shared().repository.forged = Some("catalogs");
            world.site.publish_again();
        }),
        ("catalogs is longer than", |world| {
            let repository = &mut world.site.shared().repository;
            let file = repository.file("catalogs");
            repository.files.get_mut(&file).unwrap().extend_from_slice(&[b' '; 100]);
        }),
    ];
    for (reason, break_role) in breaks {
        let world = World::enrolled();
        world.round();
        // Another version of catalogs, which the client does not have.
        world.site.shared().repository.expires.insert("catalogs", EXPIRES - 1);
        world.site.publish();
        break_role(&world);
        assert_eq!(world.poll().unwrap(), Polled::Adopted, "{reason}: nothing of it is new");
        let status = world.status();
        assert!(status.contains("Not verified") && status.contains(reason), "{status}");
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
        assert_eq!(world.poll().unwrap(), Polled::Unchanged);

        world.site.add_plugin("file-set", &["/etc/*"]);
        world.site.publish();
        break_role(&world);
        assert_eq!(world.poll().unwrap(), Polled::Adopted, "{reason}: a new plugin has another role");

        world.site.add_catalog("dpkg", SCOPE, CATALOG, &debian_updates()[..1]);
        world.site.publish();
        break_role(&world);
        let error = words(world.poll());
        assert!(error.contains(CATALOG) && error.contains(reason), "{error}");
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
    }
}

#[test]
fn a_role_that_is_mended_is_used_again() {
    let world = World::enrolled();
    world.round();
    world.site.shared().repository.expires.insert("catalogs", EXPIRED);
    world.site.publish();
    world.poll().unwrap();
    assert!(world.status().contains("Not verified"));
    world.site.shared().repository.expires.clear();
    publish_news(&world, "9");
    assert_follows(&world);
    assert!(!world.status().contains("Not verified"), "{}", world.status());
}

#[test]
fn what_a_role_no_longer_holds_is_not_followed_any_longer_than_it_is_assigned() {
    let world = World::enrolled();
    world.round();
    world.site.shared().targets.retain(|(name, ..)| name != CATALOG);
    world.site.publish();
    assert_refused(&world, "catalogs/bookworm/amd64 with a digest that the signed repository does not hold");
}

#[test]
fn metadata_that_do_not_come_as_they_should_are_refused() {
    let head = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n").into_bytes();
    let long = [head("200 OK", "content-length: 1000000"), vec![b' '; 20_000]].concat();
    let answers = [
        ("302", head("302 Found", "location: https://127.0.0.1:1/\r\ncontent-length: 0"), "no redirect is followed"),
        ("gzip", head("200 OK", "content-encoding: gzip\r\ncontent-length: 0"), "which nobody asked for"),
        ("endless", long, "timestamp is longer than 16384 bytes"),
        ("nonsense", response("200 OK", b"{"), "timestamp is malformed"),
        ("busy", response("503 Service Unavailable", b"Later."), "503 Service Unavailable: Later."),
        ("missing", response("404 Not Found", b""), "the repository has no metadata of timestamp"),
    ];
    let world = with_news();
    for (name, answer, reason) in answers {
        println!("{name}");
        world.site.shared().instead = Some(("GET /repository/metadata/timestamp.json", answer));
        assert_refused(&world, reason);
    }
    world.site.shared().instead = None;
    assert_follows(&world);
}

#[test]
fn a_connection_that_breaks_while_a_root_comes_is_a_site_that_cannot_be_reached() {
    let world = with_news();
    world.site.shared().repository.rotate("root");
    let root = world.site.shared().repository.files["2.root.json"].clone();
    let whole = response("200 OK", &root);
    for length in [0, whole.len() / 2, whole.len() - 1] {
        world.site.shared().instead = Some(("GET /repository/metadata/2.root.json", whole[..length].to_vec()));
        assert!(words(world.poll()).contains("cannot be reached"));
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
        assert!(world.status().contains("root 1"), "{}", world.status());
    }
    world.site.shared().instead = None;
    assert_follows(&world);
}

#[test]
fn a_newer_root_counts_at_once_whatever_becomes_of_the_rest() {
    let world = with_news();
    world.site.shared().repository.rotate("timestamp");
    assert_refused(&world, "metadata of timestamp is signed by 0");
    assert!(world.status().contains("root 2"), "{}", world.status());
    let root = world.site.shared().repository.files.remove("2.root.json");
    world.site.publish_again();
    assert_follows(&world);
    assert!(root.is_some());
}

#[test]
fn everything_is_verified_anew_once_a_day_by_whichever_clock() {
    let world = World::enrolled();
    set_clock(now());
    world.poll().unwrap();
    let full = ["POST /v4/poll", "GET /repository/metadata/2.root.json", "GET /repository/metadata/timestamp.json"];
    let polled = |expected: &[&str]| {
        world.site.take_requests();
        assert_eq!(world.poll().unwrap(), Polled::Unchanged);
        assert_eq!(world.site.take_requests(), expected);
    };
    polled(&full[..1]);
    world.site.shared().issued_at += 25 * HOUR;
    polled(&full);
    polled(&full[..1]);
    for clock in [now() + 25 * HOUR, 0, now()] {
        set_clock(clock);
        polled(&full);
        set_clock(clock + 900);
        polled(&full[..1]);
    }
}

#[test]
fn no_wrong_clock_of_the_client_locks_it_out() {
    let world = World::enrolled();
    let real = now();
    {
        let mut shared = world.site.shared();
        shared.issued_at = real;
        shared.repository.expires.insert("timestamp", real + 7 * 24 * HOUR);
        shared.lie = Some(Box::new(move |statement| statement.expires = real + HOUR));
    }
    world.site.publish();
    for clock in [0, real - 10, real] {
        set_clock(clock);
        assert!(world.poll().is_ok(), "clock {clock}");
    }
    set_clock(real + 5 * YEAR);
    assert_refused(&world, "or this clock is wrong");
    set_clock(real);
    publish_news(&world, "9");
    assert_follows(&world);
}

#[test]
fn no_wrong_clock_of_the_site_locks_its_clients_out() {
    let world = World::enrolled();
    let real = now();
    for (ahead, version) in [(0, "8"), (5 * YEAR, "9"), (0, "10"), (-10, "11")] {
        {
            let mut shared = world.site.shared();
            let said = real + ahead;
            shared.issued_at = said;
            shared.repository.expires.insert("timestamp", said + 7 * 24 * HOUR);
            shared.lie = Some(Box::new(move |statement| statement.expires = said + HOUR));
        }
        publish_news(&world, version);
        assert_follows(&world);
    }
}

#[test]
fn a_clock_without_a_battery_is_helped_by_what_the_site_said_last() {
    let world = World::enrolled();
    let real = now();
    set_clock(0);
    world.site.shared().issued_at = real;
    world.round();
    world.site.shared().repository.expires.insert("timestamp", real - HOUR);
    world.site.publish();
    assert_refused(&world, "metadata of timestamp expired");
}

#[test]
fn a_daemon_with_nothing_to_do_notes_what_it_refuses() {
    let world = World::enrolled();
    let mut daemon = Daemon::new(&world.agent);
    let mut poll = || {
        daemon.skip_to_poll();
        wait(daemon.work());
        world.status()
    };
    poll();
    world.site.take_requests();
    assert!(!poll().contains("Last refusal"));
    assert_eq!(world.site.take_requests(), ["POST /v4/poll"], "it has nothing to do");
    world.site.shared().lie = Some(Box::new(|statement| statement.nonce = [7; 16]));
    assert!(poll().contains("it was replayed"));
    world.site.shared().lie = None;
    assert!(poll().contains("polls succeed again"));
}

#[test]
fn a_refusal_that_repeats_is_one_refusal() {
    let world = with_news();
    let refusal = || Notes::load(&world.agent.session().unwrap().spool).unwrap().refusal;
    set_clock(now());
    world.site.shared().lie = Some(Box::new(|statement| statement.nonce = [7; 16]));
    words(world.poll());
    let first = refusal().unwrap();
    set_clock(now() + 900);
    words(world.poll());
    assert_eq!(refusal().unwrap(), first);
    world.site.shared().lie = None;
    world.poll().unwrap();
    assert!(!refusal().unwrap().stands);
}
