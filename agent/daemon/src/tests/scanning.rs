//! What a scan finds, also when a plugin fails.

use super::versions::version;
use super::{BASH, OPENSSL, STATUS, World, ZLIB, rule, wait, words};
use crate::assess::Assessment;
use crate::explain::explain;
use crate::output::{scan_json, scan_text};
use crate::run::Daemon;
use farrier_protocol::{ComplianceState, UpdateId};
use std::fs;

const HOSTILE: [&str; 3] = ["test/a/1", "test/b/1", "test/c/1"];

/// A client with the dpkg plugin and one that does what `/etc/hostile` says.
fn with_hostile(order: &str) -> World {
    let world = World::enrolled();
    world.write("etc/hostile", order);
    world.site.add_plugin("hostile", &["/etc/hostile"]);
    let updates = HOSTILE.map(|name| (name, rule("any", "1")));
    world.site.add_catalog("hostile", "hostile/test/any", "catalogs/hostile/any", &updates);
    world.site.publish();
    world
}

fn state(assessment: &Assessment, name: &str) -> Option<ComplianceState> {
    assessment.outcome.tally.verdicts.get(&UpdateId::of_name(name)).map(|verdict| verdict.state)
}

fn reason(assessment: &Assessment, name: &str) -> String {
    let verdict = assessment.outcome.tally.verdicts.get(&UpdateId::of_name(name)).unwrap();
    verdict.findings.iter().map(|finding| finding.detail.to_string()).collect()
}

#[test]
fn the_component_decides_and_says_why() {
    let assessment = World::enrolled().round();
    assert_eq!(state(&assessment, OPENSSL), Some(ComplianceState::Required));
    assert_eq!(state(&assessment, ZLIB), Some(ComplianceState::Installed));
    assert_eq!(state(&assessment, BASH), None);
    let why = reason(&assessment, OPENSSL);
    assert!(why.contains("3.0.15-1") && why.contains("3.0.17-1"), "{why}");
    assert_eq!(assessment.outcome.tally.evaluated, 3);
    assert!(assessment.outcome.plugins.iter().all(|plugin| plugin.error.is_empty()));
}

#[test]
fn a_plugin_that_traps_makes_its_updates_unknown_and_no_other() {
    for order in ["evaluate:trap", "open:trap", "evaluate:wrong-count"] {
        let world = with_hostile(order);
        let assessment = world.round();
        for name in HOSTILE {
            assert_eq!(state(&assessment, name), Some(ComplianceState::Unknown), "{order}");
            assert!(!reason(&assessment, name).is_empty(), "{order}");
            assert_eq!(world.reported(name), Some(ComplianceState::Unknown), "{order}");
        }
        assert_eq!(state(&assessment, OPENSSL), Some(ComplianceState::Required), "{order}");
        let errors: Vec<_> = assessment.outcome.plugins.iter().map(|plugin| plugin.error.as_str()).collect();
        assert!(errors[0].is_empty() && errors[1].starts_with("2 of 2 chunks: "), "{errors:?}");
    }
}

#[test]
fn a_plugin_that_cannot_explain_keeps_its_verdict() {
    let assessment = with_hostile("explain:trap").round();
    for name in HOSTILE {
        assert_eq!(state(&assessment, name), Some(ComplianceState::Required));
        assert!(!reason(&assessment, name).is_empty());
    }
    assert!(!assessment.outcome.plugins[1].error.is_empty());
}

#[test]
fn a_plugin_that_fails_before_it_is_asked_makes_what_was_reported_unknown() {
    let world = with_hostile("nothing");
    world.round();
    assert_eq!(world.reported(HOSTILE[0]), Some(ComplianceState::Required));
    world.write("etc/hostile", "scopes:trap");
    let assessment = world.scan().unwrap();
    world.send().unwrap();
    assert_eq!(assessment.blind, 3);
    assert_eq!(world.reported(HOSTILE[0]), Some(ComplianceState::Unknown));
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    let json = scan_json(&assessment, &Ok(()));
    assert_eq!((&json["counts"]["Unknown"], &json["counts"]["Required"]), (&3.into(), &1.into()));
}

#[test]
fn a_plugin_that_neither_disk_nor_site_has_makes_its_updates_unknown_and_the_site_hears_of_it() {
    let world = with_hostile("nothing");
    world.round();
    let lost = world.site.shared().plugins[1].digest;
    let component = world.site.shared().content.remove(&lost).unwrap();
    fs::remove_file(world.agent.layout.content().join(lost.to_string())).unwrap();
    let mut daemon = Daemon::new(&world.agent);
    let mut turns = |count| {
        for _ in 0..count {
            daemon.skip_to_poll();
            daemon.skip_to_scan();
            wait(daemon.work());
        }
        daemon.seconds_to_wait()
    };
    turns(1);
    assert_eq!(world.reported(HOSTILE[0]), Some(ComplianceState::Unknown));
    world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    let seconds = turns(9);
    assert_eq!(world.reported(HOSTILE[0]), Some(ComplianceState::Unknown));
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Installed), "a poll that fails silences nobody");
    let last = world.site.shared().client.scans.last().unwrap().plugins[1].clone();
    assert!(last.error.contains("is missing or damaged"), "{}", last.error);
    assert!(world.site.shared().client.fall_backs.is_empty(), "the plugin is not to blame");
    assert!(seconds > 400, "{seconds}");

    world.site.shared().content.insert(lost, component);
    turns(1);
    assert_eq!(world.reported(HOSTILE[0]), Some(ComplianceState::Required));
}

#[test]
fn a_new_version_that_the_site_does_not_have_is_not_followed() {
    let world = with_hostile("nothing");
    world.round();
    let new = world.site.publish_plugin(version("hostile", "0.2.0", &[]), &["/etc/hostile"]);
    let lost = new.digest;
    world.site.shared().plugins[1] = new;
    world.site.shared().content.remove(&lost).unwrap();
    world.site.publish();
    let error = words(world.poll());
    assert!(error.contains("was not taken") && error.contains("404"), "{error}");
    let assessment = world.scan().unwrap();
    assert_eq!(assessment.outcome.plugins[1].version, env!("CARGO_PKG_VERSION"));
    assert_eq!(state(&assessment, HOSTILE[0]), Some(ComplianceState::Required));
}

#[test]
fn an_update_with_rules_in_two_catalogs_is_counted_once_and_has_one_state() {
    let world = World::enrolled();
    world.write("var/lib/dpkg/arch", "amd64\ni386\n");
    let foreign = farrier_dpkg_rules::Binary { name: b"libssl3", version: b"3.0.17-1", all: false, above: None };
    let foreign = farrier_dpkg_rules::encode("3.0.17-1", "i386", [foreign]).unwrap();
    world.site.add_catalog("dpkg", "debian/bookworm/i386", "catalogs/bookworm/i386", &[(OPENSSL, foreign)]);
    world.site.publish();
    let assessment = world.round();
    assert_eq!(state(&assessment, OPENSSL), Some(ComplianceState::Required));
    assert_eq!(assessment.outcome.tally.evaluated, 3);
}

#[test]
fn a_site_without_a_catalog_for_this_system_is_said_so() {
    let world = World::enrolled();
    world.write("etc/os-release", "ID=debian\nVERSION_CODENAME=forky\n");
    let assessment = world.round();
    assert_eq!(assessment.outcome.plugins[0].error, "the site has no catalog for debian/forky/amd64");
}

#[test]
fn a_file_that_this_client_does_not_allow_is_named_with_the_setting() {
    let mut world = World::enrolled();
    world.agent.config.plugins.read = vec!["/etc/os-release".into()];
    let assessment = world.round();
    let error = &assessment.outcome.plugins[0].error;
    assert!(error.contains("/var/lib/dpkg/") && error.contains("agent.toml"), "{error}");
}

#[test]
fn the_output_names_what_is_required_and_why() {
    let assessment = World::enrolled().round();
    let text = scan_text(&assessment, &Err("the site is down".into()));
    for part in ["3 software updates evaluated", OPENSSL, "libssl3: ", "Not reported yet", "the site is down"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = scan_json(&assessment, &Ok(()));
    assert_eq!(json["counts"], serde_json::json!({"NotRequired": 1, "Installed": 1, "Required": 1, "Unknown": 0}));
    assert_eq!((&json["reported"], &json["reason"]), (&true.into(), &serde_json::Value::Null));
    let updates = json["updates"].as_array().unwrap();
    let openssl = updates.iter().find(|update| update["name"] == OPENSSL).unwrap();
    assert_eq!((&openssl["state"], &openssl["findings"][0]["subject"]), (&"Required".into(), &"libssl3".into()));
}

#[test]
fn an_explanation_is_found_by_name_by_source_and_by_id() {
    let world = World::enrolled();
    world.poll().unwrap();
    for text in [OPENSSL, "openssl", &UpdateId::of_name(OPENSSL).to_string()] {
        let explanations = explain(&mut world.agent.session().unwrap(), text).unwrap();
        assert_eq!(explanations.len(), 1);
        assert_eq!((explanations[0].name.as_str(), explanations[0].state), (OPENSSL, ComplianceState::Required));
        assert_eq!(&*explanations[0].findings[0].subject, "libssl3");
    }
    let error = words(explain(&mut world.agent.session().unwrap(), "opensll"));
    assert!(error.contains("there is openssl"), "{error}");
}
