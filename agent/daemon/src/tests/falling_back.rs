//! Versions of plugins that fail again and again through their own fault.

use super::deployment::Deployed;
use super::versions::version;
use super::{OPENSSL, World, rule, wait};
use crate::explain::explain;
use crate::run::Daemon;
use crate::status::status;
use farrier_agent_core::schedule::SCAN_AGAIN_SECONDS;
use farrier_agent_core::versions::MAX_FAILURES;
use farrier_protocol::ComplianceState;
use farrier_protocol::enforcement::EnforcementState::{Failed, Succeeded};
use farrier_protocol::state_message::FallBack;
use farrier_spool::Blob;

const UPDATE: &str = "test/a/1";
const SCOPE: &str = "hostile/test/any";

/// A client with a plugin that does what `/etc/hostilf` says, and the version before it, which is honest and does what
/// `/etc/hostile` says.
fn with_new_version(order: &str) -> World {
    let world = World::enrolled();
    world.write("etc/hostile", "nothing");
    world.write("etc/hostilf", order);
    assign(&world, "0.2.0", "/etc/hostilf");
    let before = world.site.publish_plugin(super::fake_site::dist("hostile"), &["/etc/hostile"]);
    world.site.shared().fallbacks.push(before);
    world.site.add_catalog("hostile", SCOPE, "catalogs/hostile/any", &[(UPDATE, rule("any", "1"))]);
    world.site.publish();
    world
}

/// Assigns a version that does what this file says.
fn assign(world: &World, new: &str, file: &str) {
    let plugin = world.site.publish_plugin(version("hostile", new, &[("/etc/hostile", file)]), &[file]);
    let mut shared = world.site.shared();
    shared.plugins.retain(|plugin| plugin.name != "hostile");
    shared.plugins.push(plugin);
}

fn fall_back(world: &World, plugin: &str) -> Option<FallBack> {
    world.site.shared().client.fall_backs.get(plugin).cloned()
}

/// The version of the plugin that the last scan used, as the site knows it.
fn used(world: &World) -> String {
    let shared = world.site.shared();
    let scan = shared.client.scans.last().unwrap();
    scan.plugins.iter().find(|plugin| plugin.name == "hostile").unwrap().version.to_string()
}

#[test]
fn a_plugin_that_traps_three_times_falls_back_and_says_why() {
    let world = with_new_version("evaluate:panic");
    for _ in 0..MAX_FAILURES {
        assert_eq!(fall_back(&world, "hostile"), None);
        world.round();
        assert_eq!((world.reported(UPDATE), used(&world)), (Some(ComplianceState::Unknown), "0.2.0".to_owned()));
    }
    let told = fall_back(&world, "hostile").unwrap();
    let before = env!("CARGO_PKG_VERSION");
    assert_eq!((told.failed_version.as_str(), told.version.as_str(), told.installer), ("0.2.0", before, false));
    assert!(told.reason.contains("panicking as told"), "{}", told.reason);

    world.round();
    assert_eq!((world.reported(UPDATE), used(&world)), (Some(ComplianceState::Required), before.to_owned()));
    let explained = explain(&mut world.agent.session().unwrap(), UPDATE).unwrap();
    assert_eq!(explained[0].state, ComplianceState::Required, "people are answered by the same version");
    let status = status(&world.agent).unwrap();
    assert!(status.text.contains("hostile 0.2.0, ") && status.text.contains("panicking as told"), "{}", status.text);
    assert_eq!(status.json["fall_backs"][0]["failed_version"], "0.2.0");
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required), "no other plugin notices");
}

#[test]
fn a_newly_assigned_version_is_used_at_once() {
    let world = with_new_version("evaluate:panic");
    (0..4).for_each(|_| drop(world.round()));
    world.write("etc/hostilg", "nothing");
    assign(&world, "0.3.0", "/etc/hostilg");
    world.site.publish();
    world.round();
    assert_eq!((world.reported(UPDATE), used(&world)), (Some(ComplianceState::Required), "0.3.0".to_owned()));
    assert_eq!(fall_back(&world, "hostile"), None, "the site heard that it is over");
    assert!(!status(&world.agent).unwrap().text.contains("Not used"));
}

#[test]
fn what_is_not_the_plugins_fault_is_not_held_against_it() {
    // The first refuses, in words, even to name its scopes.
    for (order, expected) in [("no order at all", None), ("nothing", Some(ComplianceState::Required))] {
        let world = with_new_version(order);
        (0..5).for_each(|_| drop(world.round()));
        assert_eq!((world.reported(UPDATE), used(&world)), (expected, "0.2.0".to_owned()), "{order}");
        assert_eq!(fall_back(&world, "hostile"), None, "{order}");
    }
}

#[test]
fn failures_count_only_in_a_row() {
    let world = with_new_version("evaluate:trap");
    for _ in 0..3 {
        world.write("etc/hostilf", "explain:trap");
        world.round();
        world.write("etc/hostilf", "scopes:trap");
        world.round();
        world.write("etc/hostilf", "nothing");
        world.round();
    }
    assert_eq!((fall_back(&world, "hostile"), used(&world)), (None, "0.2.0".to_owned()));
}

#[test]
fn without_a_version_to_fall_back_to_it_is_not_run_and_its_updates_are_unknown() {
    let world = with_new_version("evaluate:panic");
    world.site.shared().fallbacks.clear();
    world.site.publish();
    (0..5).for_each(|_| drop(world.round()));
    let told = fall_back(&world, "hostile").unwrap();
    assert_eq!((told.failed_version.as_str(), told.version.as_str()), ("0.2.0", ""));
    assert_eq!(world.reported(UPDATE), Some(ComplianceState::Unknown));
    let assessment = world.scan().unwrap();
    let error = &assessment.outcome.plugins[1].error;
    assert!(error.contains("failed 3 times in a row") && error.contains("panicking as told"), "{error}");
    assert_eq!(assessment.blind, 1, "it was not asked");
}

#[test]
fn a_new_stream_says_again_which_version_is_not_used() {
    let world = with_new_version("evaluate:panic");
    (0..4).for_each(|_| drop(world.round()));
    let before = fall_back(&world, "hostile");
    assert!(before.is_some());
    world.site.shared().client = Default::default();
    world.scan().unwrap();
    world.send().unwrap();
    assert_eq!(fall_back(&world, "hostile"), before);
}

#[test]
fn a_memory_of_failures_that_cannot_be_understood_is_begun_anew() {
    let world = with_new_version("evaluate:panic");
    (0..4).for_each(|_| drop(world.round()));
    let session = world.agent.session().unwrap();
    session.spool.store(&[(Blob::Health, &[99, 1, 2])]).unwrap();
    drop(session);
    world.round();
    assert_eq!((fall_back(&world, "hostile"), used(&world)), (None, "0.2.0".to_owned()));
    (0..2).for_each(|_| drop(world.round()));
    assert!(fall_back(&world, "hostile").is_some());
}

/// A custom section of nothing: its id, its length and its name.
fn padding() -> Vec<u8> {
    [&[0, 0x84, 0x80, 0x40, 3][..], b"pad", &vec![0; 1 << 20]].concat()
}

#[test]
fn a_component_that_is_too_large_for_the_client_stops_nothing_and_falls_back() {
    let mut world = with_new_version("nothing");
    let large = [version("hostile", "0.4.0", &[]), padding()].concat();
    let length = large.len();
    let plugin = world.site.publish_plugin(large, &["/etc/hostile"]);
    let small = super::fake_site::dist("dpkg").len() + super::fake_site::dist("hostile").len();
    world.agent.config.limits.component_bytes = Some(small);
    let mut shared = world.site.shared();
    shared.plugins.retain(|plugin| plugin.name != "hostile");
    shared.plugins.push(plugin);
    drop(shared);
    world.site.publish();
    for _ in 0..MAX_FAILURES {
        world.round();
        assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    }
    let told = fall_back(&world, "hostile").unwrap();
    assert!(
        told.reason.contains(&length.to_string()) && told.reason.contains("limits.component_bytes"),
        "{}",
        told.reason
    );
    world.round();
    assert_eq!(world.reported(UPDATE), Some(ComplianceState::Required));
}

#[test]
fn a_daemon_scans_again_soon_until_a_plugin_that_fails_falls_back() {
    let world = with_new_version("evaluate:panic");
    let mut daemon = Daemon::new(&world.agent);
    for failures in 1..u32::from(MAX_FAILURES) {
        daemon.skip_to_scan();
        wait(daemon.work());
        let seconds = daemon.seconds_to_scan();
        assert!(seconds <= SCAN_AGAIN_SECONDS * failures, "{seconds} after {failures}");
    }
    daemon.skip_to_scan();
    wait(daemon.work());
    assert!(fall_back(&world, "hostile").is_some());
    assert!(daemon.seconds_to_scan() > 3_000, "{}", daemon.seconds_to_scan());
    daemon.skip_to_poll();
    wait(daemon.work());
    assert_eq!(world.reported(UPDATE), Some(ComplianceState::Required), "also without waiting for the scan");
}

/// The hostile plugin in a version of which the manifest asks for more memory than anything has.
fn greedy() -> Vec<u8> {
    let description = r#""description":"Misbehaves in the way /etc/hostile says.""#;
    let limits = format!("{:1$}", r#""description":"?","limits":{"memory_mebibytes":999}"#, description.len());
    version("hostile", "0.3.0", &[(description, &limits), (r#""limits":{}"#, r#""limitz":{}"#)])
}

/// A component, how often it is fetched, and why it cannot be run.
type Case<'a> = (&'a dyn Fn() -> Vec<u8>, usize, &'a str);

#[test]
fn a_version_that_cannot_be_run_here_and_has_no_other_beside_it_makes_its_updates_unknown() {
    let newer = || version("hostile", "0.3.0", &[(r#""wit":"1.0.0""#, r#""wit":"9.0.0""#)]);
    let large = || [version("hostile", "0.3.0", &[]), padding()].concat();
    let cases: [Case<'_>; 3] = [
        (&large, 0, "see limits.component_bytes"),
        (&greedy, 1, "asks for 1047527424 bytes of memory"),
        (&newer, 1, "it was built for farrier:policy 9.0.0"),
    ];
    for (component, downloads, reason) in cases {
        let mut world = with_new_version("nothing");
        world.agent.config.limits.component_bytes =
            Some(super::fake_site::dist("dpkg").len() + super::fake_site::dist("hostile").len());
        world.site.shared().fallbacks.clear();
        world.site.publish();
        world.round();
        assert_eq!(world.reported(UPDATE), Some(ComplianceState::Required));
        let plugin = world.site.publish_plugin(component(), &["/etc/hostile"]);
        let target = format!("GET /repository/targets/{}", plugin.digest);
        let mut shared = world.site.shared();
        shared.plugins.retain(|plugin| plugin.name != "hostile");
        shared.plugins.push(plugin);
        drop(shared);
        world.site.publish();

        let mut daemon = Daemon::new(&world.agent);
        for _ in 0..2 * MAX_FAILURES {
            daemon.skip_to_poll();
            daemon.skip_to_scan();
            wait(daemon.work());
            assert_eq!(world.reported(UPDATE), Some(ComplianceState::Unknown), "{reason}");
            assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required), "{reason}");
            let scan = world.site.shared().client.scans.last().unwrap().clone();
            let error = &scan.plugins.iter().find(|plugin| plugin.name == "hostile").unwrap().error;
            assert!(error.contains(reason), "{error}");
        }
        let told = fall_back(&world, "hostile").unwrap();
        assert_eq!((told.failed_version.as_str(), told.version.as_str()), ("0.3.0", ""), "{reason}");
        assert!(told.reason.contains(reason), "{}", told.reason);
        let fetched = world.site.take_requests().iter().filter(|request| **request == target).count();
        assert_eq!(fetched, downloads, "{reason}");
        assert!(daemon.seconds_to_scan() > 3_000, "{}: {reason}", daemon.seconds_to_scan());
        daemon.skip_to_poll();
        wait(daemon.work());
        assert_eq!(world.site.take_requests(), ["POST /v4/poll"], "{reason}");
    }
}

#[test]
fn an_installer_falls_back_after_three_installations_and_the_next_try_succeeds() {
    let deployed = Deployed::with(|it| {
        it.policy.attempts = 1;
        it.world.write("etc/hostilf", "trap");
        let new = version("hostile-installer", "0.2.0", &[("/etc/hostile", "/etc/hostilf")]);
        let new = it.site().publish_installer(new);
        let mut shared = it.site().shared();
        let before = std::mem::replace(&mut shared.installers[0], new);
        shared.installer_fallbacks.push(before);
    });
    for attempt in 1..=u16::from(MAX_FAILURES) {
        deployed.round();
        assert_eq!(
            (deployed.last().state, deployed.last().installations),
            (Failed, attempt),
            "{}",
            deployed.last().reason
        );
        deployed.site().assign(super::deployment::DEPLOYMENT, |assigned| assigned.retries = attempt);
        deployed.site().publish();
    }
    let told = fall_back(&deployed.world, "hostile-installer").unwrap();
    let before = env!("CARGO_PKG_VERSION");
    assert_eq!((told.failed_version.as_str(), told.version.as_str(), told.installer), ("0.2.0", before, true));
    assert!(told.reason.contains("unreachable"), "{}", told.reason);
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded, "{}", deployed.last().reason);
    assert!(deployed.status().contains("3.0.17-1"));
}

#[test]
fn an_installer_that_refuses_is_not_given_up() {
    let deployed = Deployed::with(|it| it.world.write("etc/hostile", "plan:refuse"));
    for attempt in 1..=5 {
        deployed.round();
        assert_eq!(deployed.last().state, Failed);
        deployed.site().assign(super::deployment::DEPLOYMENT, |assigned| assigned.retries = attempt);
        deployed.site().publish();
    }
    assert!(deployed.site().shared().client.fall_backs.is_empty());
    deployed.world.write("etc/hostile", "replace-status");
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded);
}
