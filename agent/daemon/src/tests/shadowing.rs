//! Versions of plugins that scan and do not count.

use super::versions::version;
use super::{BASH, OPENSSL, SCOPE, STATUS, World, ZLIB, debian_updates};
use crate::run::Daemon;
use crate::status::status;
use farrier_agent_core::versions::MAX_FAILURES;
use farrier_protocol::state_message::{Difference, ShadowResult};
use farrier_protocol::{ComplianceState, Digest, UpdateId};
use std::fs;

const READ: [&str; 2] = ["/etc/os-release", "/var/lib/dpkg/*"];
/// What the shadow takes for dpkg's status: openssl is new, and zlib is old.
const SHADOW_STATUS: &str = "var/lib/dpkg/statuz";

/// A client with a version of the dpkg plugin as a shadow that looks at another status file.
fn shadowed() -> World {
    let world = World::enrolled();
    let status = STATUS.replace("3.0.15-1", "3.0.17-1").replace("1.2.13-1", "1.2.11-1");
    world.write(SHADOW_STATUS, &status);
    add_shadow(&world, "0.2.0", &[("/var/lib/dpkg/status", "/var/lib/dpkg/statuz")]);
    world
}

fn add_shadow(world: &World, new: &str, replaced: &[(&str, &str)]) {
    let shadow = world.site.publish_plugin(version("dpkg", new, replaced), &READ);
    world.site.shared().shadows = vec![shadow];
    world.site.publish();
}

fn told(world: &World) -> Option<(ShadowResult, Vec<Difference>)> {
    world.site.shared().client.shadows.get("dpkg").cloned()
}

fn last_serial(world: &World) -> u64 {
    world.site.shared().client.last_serial
}

#[test]
fn a_shadow_that_flips_verdicts_is_reported_and_nothing_of_it_counts() {
    let world = shadowed();
    world.round_with_shadows();
    let (result, differences) = told(&world).unwrap();
    assert_eq!((result.version.as_str(), result.shadow_version.as_str()), (env!("CARGO_PKG_VERSION"), "0.2.0"));
    assert_eq!((result.compared, result.differing, result.error.as_str()), (3, 2, ""));
    let difference = |name: &str| differences.iter().find(|it| it.update == UpdateId::of_name(name)).unwrap();
    let openssl = difference(OPENSSL);
    assert_eq!((openssl.state, openssl.shadow_state), (ComplianceState::Required, ComplianceState::Installed));
    assert!(openssl.detail.contains("libssl3: ") && openssl.detail.contains("3.0.15-1"), "{}", openssl.detail);
    let zlib = difference(ZLIB);
    assert_eq!((zlib.state, zlib.shadow_state), (ComplianceState::Installed, ComplianceState::Required));
    assert!(
        zlib.shadow_detail.contains("zlib1g: ") && zlib.shadow_detail.contains("1.2.11-1"),
        "{}",
        zlib.shadow_detail
    );
    assert_eq!(differences.len(), 2, "{BASH} is not required for both");

    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert_eq!(world.reported(ZLIB), Some(ComplianceState::Installed));
    let text = status(&world.agent).unwrap().text;
    assert!(text.contains("dpkg 0.2.0 beside") && text.contains("differs on 2 of 3 updates"), "{text}");
}

#[test]
fn the_ordinary_report_waits_for_no_shadow_and_holds_nothing_of_it() {
    let world = shadowed();
    world.round();
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    assert_eq!(told(&world), None);
    let shadow = world.site.shared().shadows[0].digest;
    assert!(!world.agent.session().unwrap().content.has(&shadow), "nor does a poll");
    let plain = World::enrolled();
    plain.round();
    assert_eq!(last_serial(&world), last_serial(&plain));
}

#[test]
fn what_is_known_of_a_shadow_is_not_reported_again() {
    let world = shadowed();
    world.round_with_shadows();
    let serial = last_serial(&world);
    world.round_with_shadows();
    assert_eq!(last_serial(&world), serial + 1, "only that there was a scan");
    world.write(SHADOW_STATUS, STATUS);
    world.round_with_shadows();
    assert_eq!(last_serial(&world), serial + 3);
    let (result, differences) = told(&world).unwrap();
    assert_eq!((result.compared, result.differing, differences.len()), (3, 0, 0));
}

#[test]
fn a_new_stream_says_again_what_was_said_of_a_shadow() {
    let world = shadowed();
    world.round_with_shadows();
    let before = told(&world);
    world.site.shared().client = Default::default();
    world.scan().unwrap();
    world.send().unwrap();
    assert!(before.is_some());
    assert_eq!(told(&world), before);
    assert!(world.site.shared().client.abilities.is_some());
}

#[test]
fn a_shadow_that_is_gone_leaves_nothing_behind() {
    let world = shadowed();
    world.round_with_shadows();
    world.site.shared().shadows.clear();
    world.site.publish();
    world.round_with_shadows();
    assert_eq!(told(&world), None);
    let serial = last_serial(&world);
    world.round_with_shadows();
    assert_eq!(last_serial(&world), serial + 1, "it is said once");
    world.site.shared().client = Default::default();
    world.scan().unwrap();
    world.send().unwrap();
    assert_eq!(told(&world), None);
}

/// What goes wrong with a shadow.
type Change<'a> = &'a dyn Fn(&World);

#[test]
fn a_shadow_that_fails_is_its_error_and_nothing_else() {
    let cases: [(Change<'_>, &str); 4] = [
        // It cannot look.
        (&|world| fs::remove_file(world.agent.config.root.join(SHADOW_STATUS)).unwrap(), "/var/lib/dpkg/statuz"),
        // It is not what it is said to be.
        (&|world| world.site.shared().shadows[0].version = "0.3.0".try_into().unwrap(), "its manifest says dpkg 0.2.0"),
        // The site lost it.
        (
            &|world| {
                let mut shared = world.site.shared();
                let digest = shared.shadows[0].digest;
                shared.content.remove(&digest).unwrap();
            },
            "is missing or damaged",
        ),
        // It is no component.
        (
            &|world| {
                let mut shadow = world.site.shared().shadows[0].clone();
                shadow.digest = world.site.add_garbage(&shadow.target);
                world.site.shared().shadows = vec![shadow];
            },
            "this is no WASM component",
        ),
    ];
    for (change, reason) in cases {
        let world = shadowed();
        change(&world);
        world.site.publish();
        world.round_with_shadows();
        let (result, differences) = told(&world).unwrap();
        assert!(result.error.contains(reason), "{}", result.error);
        assert_eq!((result.compared, result.differing, differences.len()), (0, 0, 0), "{reason}");
        assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
        assert!(world.site.shared().client.fall_backs.is_empty());
        assert_eq!(world.scan().unwrap().outcome.tally.evaluated, 3);
    }
}

/// A client with a plugin that does what this order says, and a shadow of it that does what the other says.
fn hostile(order: &str, shadow_order: &str, replaced: &[(&str, &str)]) -> World {
    let world = World::enrolled();
    world.write("etc/hostile", order);
    world.write("etc/hostilf", shadow_order);
    world.site.add_plugin("hostile", &["/etc/hostile"]);
    let updates = [("test/a/1", vec![1]), ("test/b/1", vec![1]), ("test/c/1", vec![1])];
    world.site.add_catalog("hostile", "hostile/test/any", "catalogs/hostile/any", &updates);
    let replaced = [&[("/etc/hostile", "/etc/hostilf")], replaced].concat();
    let shadow = world.site.publish_plugin(version("hostile", "0.2.0", &replaced), &["/etc/hostilf"]);
    world.site.shared().shadows.push(shadow);
    world.site.publish();
    world
}

fn told_of_hostile(world: &World) -> Option<(ShadowResult, Vec<Difference>)> {
    world.site.shared().client.shadows.get("hostile").cloned()
}

#[test]
fn a_shadow_that_traps_is_its_error_also_for_ever() {
    let world = hostile("nothing", "evaluate:panic", &[]);
    for _ in 0..5 {
        world.round_with_shadows();
    }
    let (result, differences) = told_of_hostile(&world).unwrap();
    assert!(result.error.contains("panicking as told"), "{}", result.error);
    assert_eq!((result.compared, result.differing, differences.len()), (0, 0, 0));
    assert_eq!(world.reported("test/a/1"), Some(ComplianceState::Required));
    assert!(world.site.shared().client.fall_backs.is_empty(), "a shadow never falls back");

    world.write("etc/hostilf", "explain:panic");
    world.write("etc/hostile", "evaluate:panic");
    world.round_with_shadows();
    let (result, _) = told_of_hostile(&world).unwrap();
    assert_eq!(
        (result.compared, result.differing),
        (0, 0),
        "where the version that counts fails there is nothing to compare"
    );
}

#[test]
fn differences_that_a_shadow_cannot_explain_count_and_so_does_its_failure() {
    // More than it is asked about before it is given up.
    const COUNT: u32 = 20;
    let world = hostile("nothing", "explain:panic", &[("hostile/test/any", "hostile/test/new")]);
    let names: Vec<_> = (0..COUNT).map(|number| format!("test/new/{number}")).collect();
    let updates: Vec<_> = names.iter().map(|name| (name.as_str(), vec![1])).collect();
    world.site.add_catalog("hostile", "hostile/test/new", "catalogs/hostile/new", &updates);
    world.site.publish();
    world.round_with_shadows();
    let (result, differences) = told_of_hostile(&world).unwrap();
    assert_eq!((result.compared, result.differing), (COUNT + 3, COUNT + 3));
    assert!(result.error.contains("panicking as told"), "{}", result.error);
    assert_eq!(differences.len(), result.differing as usize);
    let unexplained: Vec<_> = differences.iter().filter(|it| it.shadow_detail.contains("gave no answer")).collect();
    assert!(!unexplained.is_empty());
    for it in unexplained {
        assert_eq!((it.state, it.shadow_state), (ComplianceState::NotRequired, ComplianceState::Required));
        assert!(it.shadow_detail.contains("panicking as told"), "{}", it.shadow_detail);
    }
}

#[test]
fn a_version_that_counts_and_fails_is_no_failure_of_its_shadow() {
    for order in ["scopes:trap", "open:trap", "evaluate:panic"] {
        let world = hostile(order, "nothing", &[]);
        world.round_with_shadows();
        assert_eq!(told_of_hostile(&world), None, "{order}");
        world.write("etc/hostile", "nothing");
        world.round_with_shadows();
        let (result, _) = told_of_hostile(&world).unwrap();
        assert_eq!((result.compared, result.differing, result.error.as_str()), (3, 0, ""), "{order}");

        world.write("etc/hostile", order);
        (0..=MAX_FAILURES).for_each(|_| drop(world.round_with_shadows()));
        assert!(world.site.shared().client.fall_backs.contains_key("hostile"), "{order}");
        assert_eq!(told_of_hostile(&world).unwrap().0, result, "what it said before stands: {order}");
    }
}

#[test]
fn a_site_without_a_catalog_is_nobodys_failure() {
    let world = shadowed();
    world.write("etc/os-release", "ID=debian\nVERSION_CODENAME=forky\n");
    (0..=MAX_FAILURES).for_each(|_| drop(world.round_with_shadows()));
    let (result, _) = told(&world).unwrap();
    assert_eq!((result.compared, result.differing, result.error.as_str()), (0, 0, ""));
    assert!(world.site.shared().client.fall_backs.is_empty());
}

#[test]
fn a_shadow_that_names_other_scopes_differs_on_what_they_hold() {
    let world = World::enrolled();
    // Its release is another one.
    world.write("etc/os-releasf", "ID=debian\nVERSION_CODENAME=trixie\n");
    let read = ["/etc/os-releasf", "/var/lib/dpkg/*"];
    let shadow = version("dpkg", "0.2.0", &[("/etc/os-release", "/etc/os-releasf")]);
    let shadow = world.site.publish_plugin(shadow, &read);
    world.site.shared().shadows = vec![shadow];
    let trixie: Vec<_> =
        debian_updates().into_iter().take(1).map(|(_, rule)| ("trixie/openssl/3.0.17-1", rule)).collect();
    world.site.add_catalog("dpkg", "debian/trixie/amd64", "catalogs/trixie/amd64", &trixie);
    world.site.publish();
    world.round_with_shadows();
    let (result, differences) = told(&world).unwrap();
    assert_eq!((result.compared, result.differing, result.error.as_str()), (4, 3, ""));
    let details = |name: &str| {
        let update = UpdateId::of_name(name);
        let it = differences.iter().find(|it| it.update == update).unwrap();
        (it.state, it.shadow_state, it.detail.to_string(), it.shadow_detail.to_string())
    };
    let (state, shadow_state, _, why) = details(OPENSSL);
    assert_eq!((state, shadow_state), (ComplianceState::Required, ComplianceState::NotRequired));
    assert_eq!(why, format!("it does not name the scope {SCOPE}"));
    let (state, shadow_state, why, _) = details("trixie/openssl/3.0.17-1");
    assert_eq!((state, shadow_state), (ComplianceState::NotRequired, ComplianceState::Required));
    assert_eq!(why, "it does not name the scope debian/trixie/amd64");
    assert_eq!(world.reported("trixie/openssl/3.0.17-1"), None, "nothing of it counts");
}

#[test]
fn an_update_with_rules_in_two_catalogs_differs_by_the_greatest_of_their_states() {
    let world = shadowed();
    world.write("var/lib/dpkg/arch", "amd64\ni386\n");
    let foreign = farrier_dpkg_rules::Binary { name: b"libssl3", version: b"3.0.17-1", all: false, above: None };
    let foreign = farrier_dpkg_rules::encode("3.0.17-1", "i386", [foreign]).unwrap();
    world.site.add_catalog("dpkg", "debian/bookworm/i386", "catalogs/bookworm/i386", &[(OPENSSL, foreign)]);
    world.site.publish();
    world.round_with_shadows();
    let (result, differences) = told(&world).unwrap();
    assert_eq!((result.compared, result.differing, differences.len()), (3, 2, 2));
}

#[test]
fn a_change_of_the_endpoint_between_the_scans_is_no_difference() {
    let world = World::enrolled();
    add_shadow(&world, "0.2.0", &[]);
    world.round();
    world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    world.compare();
    world.send().unwrap();
    let (result, _) = told(&world).unwrap();
    assert_eq!((result.compared, result.differing), (3, 0));
}

#[test]
fn a_shadow_of_another_assignment_than_the_scans_waits_for_the_next_scan() {
    let world = World::enrolled();
    world.round();
    add_shadow(&world, "0.2.0", &[]);
    world.poll().unwrap();
    world.compare();
    world.send().unwrap();
    assert_eq!(told(&world), None);
}

#[test]
fn a_report_of_another_version_of_the_agent_is_replaced() {
    let world = shadowed();
    world.round_with_shadows();
    let session = world.agent.session().unwrap();
    let shadows = [("dpkg".to_owned(), Some(vec![99])), ("rpm".to_owned(), Some(vec![]))];
    let recording = farrier_spool::Recording { shadows: &shadows, ..Default::default() };
    session.spool.record(&recording, []).unwrap();
    drop(session);
    world.site.shared().client.shadows.clear();
    world.round_with_shadows();
    assert_eq!(told(&world).unwrap().0.differing, 2);
    let session = world.agent.session().unwrap();
    assert_eq!(
        session.spool.shadows().unwrap().len(),
        1,
        "and what was said of a plugin without a shadow is taken back"
    );
}

#[test]
fn a_shadow_of_no_plugin_is_refused_with_the_assignment() {
    let world = shadowed();
    world.site.shared().shadows[0].name = "rpm".try_into().unwrap();
    world.site.publish();
    let error = super::words(world.poll());
    assert!(error.contains("a shadow of the plugin rpm, but not that plugin"), "{error}");
    let world = shadowed();
    world.site.tamper_assignment(|assignment| assignment.shadows[0].digest = Digest::of(b"evil"));
    let error = super::words(world.poll());
    assert!(error.contains("signed repository does not hold"), "{error}");
}

#[test]
fn the_daemon_has_shadows_scan_after_it_reported() {
    let world = shadowed();
    super::wait(Daemon::new(&world.agent).work());
    assert_eq!(told(&world).unwrap().0.differing, 2);
    let reports = |requests: Vec<String>| requests.iter().filter(|it| it.ends_with("/v1/state-messages")).count();
    assert_eq!(reports(world.site.take_requests()), 2);
}
