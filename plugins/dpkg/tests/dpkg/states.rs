//! Which updates are required: the packages that `apt list --upgradable` would show.

use crate::support::{binary, bookworm, evaluate, installed, open, rule, stanza, state};
use farrier_dpkg_rules::Binary;
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{self, Installed, NotRequired, Required, Unknown},
    Error,
};

/// The state of version 2.0 of package `foo` for amd64 where these stanzas are in the status file.
fn foo(stanzas: &[String]) -> ComplianceState {
    state(&bookworm(stanzas), "amd64", &[binary("foo", "2.0")])
}

#[test]
fn an_older_package_requires_the_update() {
    assert_eq!(foo(&[installed("foo", "amd64", "1.0")]), Required);
    assert_eq!(foo(&[installed("foo", "amd64", "2.0~rc1")]), Required);
}

#[test]
fn the_same_or_a_newer_version_counts_as_installed() {
    for version in ["2.0", "2.0-0", "2.0+b1", "1:0.1"] {
        assert_eq!(foo(&[installed("foo", "amd64", version)]), Installed, "{version}");
    }
}

#[test]
fn what_is_not_installed_requires_nothing() {
    assert_eq!(foo(&[]), NotRequired);
    assert_eq!(foo(&[installed("foobar", "amd64", "1.0"), installed("fo", "amd64", "1.0")]), NotRequired);
}

#[test]
fn only_what_apt_counts_as_installed_is() {
    let state_if = |status: &str| foo(&[stanza("foo", "amd64", "1.0", status)]);
    for word in ["half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed"] {
        assert_eq!(state_if(&format!("install ok {word}")), Required, "{word}");
    }
    for status in ["deinstall ok config-files", "purge ok not-installed", "hold ok config-files"] {
        assert_eq!(state_if(status), NotRequired, "{status}");
    }
    assert_eq!(state_if("install reinstreq half-installed"), Required);
    assert_eq!(state_if("hold ok installed"), Required, "a held package still lacks the update");
}

#[test]
fn what_dpkg_did_not_finish_does_not_count_as_installed() {
    let state_if = |version: &str, status: &str| foo(&[stanza("foo", "amd64", version, status)]);
    for status in ["ok half-installed", "ok unpacked", "ok half-configured", "reinstreq installed"] {
        assert_eq!(state_if("2.0", &format!("install {status}")), Required, "{status}");
    }
    for word in ["triggers-awaited", "triggers-pending"] {
        assert_eq!(state_if("2.0", &format!("install ok {word}")), Installed, "{word}: work for another package");
    }
    assert_eq!(state_if("3.0", "install ok half-configured"), Installed, "the newer update is what is not finished");
}

#[test]
fn a_stanza_without_version_or_status_is_not_installed() {
    assert_eq!(foo(&["Package: foo\nStatus: install ok installed\nArchitecture: amd64\n\n".to_owned()]), NotRequired);
    assert_eq!(foo(&["Package: foo\nArchitecture: amd64\nVersion: 1.0\n\n".to_owned()]), NotRequired);
}

#[test]
fn architectures_do_not_mix() {
    let i386 = bookworm(&[installed("foo", "i386", "1.0")]);
    assert_eq!(state(&i386, "amd64", &[binary("foo", "2.0")]), NotRequired);
    assert_eq!(state(&i386, "i386", &[binary("foo", "2.0")]), Required);
    assert_eq!(state(&i386, "armhf", &[binary("foo", "2.0")]), NotRequired);

    let both = bookworm(&[installed("foo", "amd64", "2.0"), installed("foo", "i386", "1.0")]);
    assert_eq!(state(&both, "amd64", &[binary("foo", "2.0")]), Installed);
    assert_eq!(state(&both, "i386", &[binary("foo", "2.0")]), Required);
}

#[test]
fn architecture_all_is_the_native_one() {
    let all = Binary { all: true, ..binary("foo", "2.0") };
    for installed_as in ["all", "amd64"] {
        let root = bookworm(&[installed("foo", installed_as, "1.0")]);
        assert_eq!(state(&root, "amd64", &[all]), Required, "{installed_as}");
        assert_eq!(state(&root, "i386", &[all]), Required, "{installed_as}, in the catalog of i386");
        assert_eq!(state(&root, "amd64", &[binary("foo", "2.0")]), Required, "{installed_as}, to amd64");
        assert_eq!(state(&root, "i386", &[binary("foo", "2.0")]), NotRequired, "{installed_as}, to i386");
    }
    assert_eq!(state(&bookworm(&[installed("foo", "i386", "1.0")]), "amd64", &[all]), NotRequired);
}

#[test]
fn what_is_above_the_ordinary_suites_is_said_by_the_native_architectures_rule() {
    let all = Binary { all: true, above: Some(b"0.9"), ..binary("foo", "2.0") };
    let root = bookworm(&[installed("foo", "all", "1.0")]);
    assert_eq!(state(&root, "amd64", &[all]), Required);
    assert_eq!(state(&root, "i386", &[all]), NotRequired, "0.9 is what i386 is offered");
}

#[test]
fn a_package_without_architecture_has_no_update() {
    let root = bookworm(&["Package: foo\nStatus: install ok installed\nVersion: 1.0\n\n".to_owned()]);
    assert_eq!(state(&root, "amd64", &[binary("foo", "2.0")]), NotRequired);
}

#[test]
fn the_greatest_state_of_the_binaries_is_the_updates() {
    let root = bookworm(&[installed("old", "amd64", "1.0"), installed("new", "amd64", "3.0")]);
    let (old, new, none) = (binary("old", "2.0"), binary("new", "2.0"), binary("none", "2.0"));
    assert_eq!(state(&root, "amd64", &[none, new]), Installed);
    assert_eq!(state(&root, "amd64", &[old, new]), Required);
    assert_eq!(state(&root, "amd64", &[new, none, old]), Required);
}

#[test]
fn a_suite_that_is_not_followed_concerns_only_who_is_above_the_ordinary_ones() {
    let state_at = |version, above: &'static str| {
        let backport = Binary { above: Some(above.as_bytes()), ..binary("foo", "2.0~bpo12+1") };
        state(&bookworm(&[installed("foo", "amd64", version)]), "amd64", &[backport])
    };
    assert_eq!(state_at("1.0", "1.0"), NotRequired, "the ordinary version");
    assert_eq!(state_at("0.9", "1.0"), NotRequired, "older than the ordinary version");
    assert_eq!(state_at("1.9~bpo12+1", "1.0"), Required, "an older backport");
    assert_eq!(state_at("2.0~bpo12+1", "1.0"), Installed);
    assert_eq!(state_at("1.0", ""), Required, "no ordinary suite offers it");
    assert_eq!(state_at("~1", ""), Required, "lower than an empty version");
    assert_eq!(state_at("1.0", "2.0~bpo12+1"), NotRequired, "a suite that upgrades nobody");
}

#[test]
fn of_two_stanzas_of_one_package_the_last_counts() {
    assert_eq!(foo(&[installed("foo", "amd64", "1.0"), installed("foo", "amd64", "2.0")]), Installed);
    assert_eq!(foo(&[installed("foo", "amd64", "2.0"), installed("foo", "amd64", "1.0")]), Required);
}

#[test]
fn a_chunk_is_answered_in_order_and_a_bad_rule_is_unknown_alone() {
    let scan = open(&bookworm(&[installed("foo", "amd64", "1.0")])).unwrap();
    let rules = [rule("amd64", &[binary("foo", "2.0")]), vec![9, b'x'], rule("amd64", &[binary("foo", "1.0")]), vec![]];
    let chunk = |rules: &[Vec<u8>]| -> Vec<u8> {
        let length = |rule: &Vec<u8>| u16::try_from(rule.len()).unwrap().to_le_bytes();
        rules.iter().flat_map(|rule| [&length(rule)[..], rule].concat()).collect()
    };
    assert_eq!(scan.evaluate_chunk(&chunk(&rules)).unwrap(), [Required, Unknown, Installed, Unknown]);
    assert_eq!(scan.evaluate_chunk(&[]).unwrap(), []);
    let cut = &chunk(&rules)[..4];
    assert!(matches!(scan.evaluate_chunk(cut), Err(Error::Invalid(reason)) if reason.contains("byte 0")));
}

#[test]
fn thousands_of_packages_are_each_found() {
    let names: Vec<String> = (0..5000).map(|number| format!("lib{number}-dev")).collect();
    let stanzas: Vec<String> = names.iter().map(|name| installed(name, "amd64", "1.0")).collect();
    let scan = open(&bookworm(&stanzas)).unwrap();
    for name in &names {
        assert_eq!(evaluate(&scan, &rule("amd64", &[binary(name, "2.0")])), Required, "{name}");
        let other = format!("{name}bg");
        assert_eq!(evaluate(&scan, &rule("amd64", &[binary(&other, "2.0")])), NotRequired, "{other}");
    }
}
