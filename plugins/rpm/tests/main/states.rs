//! Which updates are required, and why.

use crate::support::{OLD, SMALL, endpoint, open, reasons, refusal, state};
use farrier_plugin_rpm::Rpm;
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{Installed, NotRequired, Required},
    Error, FakeRoot, Json, Rule as _,
};

#[test]
fn an_update_is_required_where_an_installed_package_is_older() {
    let scan = open(endpoint(SMALL)).unwrap();
    for (packages, expected, why) in [
        (
            ["openssl 1:3.2.2-1.fc40"].as_slice(),
            Required,
            ["openssl: 1:3.2.1-2.fc40 is older than 1:3.2.2-1.fc40"].as_slice(),
        ),
        (&["openssl 1:3.2.1-2.fc40"], Installed, &["openssl: 1:3.2.1-2.fc40 is installed"]),
        (&["openssl 3.9.0-1"], Installed, &["openssl: 1:3.2.1-2.fc40 is installed"]),
        (&["openssl 2:1"], Required, &["openssl: 1:3.2.1-2.fc40 is older than 2:1"]),
        (&["openssl 1:3.2.1"], Installed, &["openssl: 1:3.2.1-2.fc40 is installed"]),
        (&["absent 1-1"], NotRequired, &["absent: none of its packages is installed"]),
        (&["a 1", "b 1", "c 1", "d 1", "e 1"], NotRequired, &["a, b, c and 2 more: none of its packages is installed"]),
        (
            &["absent 1-1", "openssl 1:3.2.1-3.fc40", "tzdata 2024a-5.fc40"],
            Required,
            &["openssl: 1:3.2.1-2.fc40 is older than 1:3.2.1-3.fc40", "tzdata: 2024a-5.fc40 is installed"],
        ),
        (&["preview 2.0-1.fc40"], Required, &["preview: 2.0~rc1-1.fc40 is older than 2.0-1.fc40"]),
        (&["snapshot 1.4-9.fc40"], Installed, &["snapshot: 1.4^20240501git0123abc-1.fc40 is installed"]),
        (&["snapshot 1.4.1-1"], Required, &["snapshot: 1.4^20240501git0123abc-1.fc40 is older than 1.4.1-1"]),
    ] {
        assert_eq!(state(&scan, packages), expected, "{packages:?}");
        assert_eq!(reasons(&scan, packages), why, "{packages:?}");
    }
}

#[test]
fn every_architecture_has_to_be_new() {
    let scan = open(endpoint(SMALL)).unwrap();
    for (package, expected, why) in [
        (
            "glibc 2.39-6.fc40",
            Required,
            ["glibc: 2.39-5.fc40 is older than 2.39-6.fc40 (i686)", "glibc: 2.39-6.fc40 is installed"].as_slice(),
        ),
        ("glibc.x86_64 2.39-6.fc40", Installed, &["glibc: 2.39-6.fc40 is installed"]),
        ("glibc.i686 2.39-6.fc40", Required, &["glibc: 2.39-5.fc40 is older than 2.39-6.fc40 (i686)"]),
        ("glibc.aarch64 9", NotRequired, &["glibc: none of its packages is installed"]),
        // A package may become noarch, or cease to be.
        ("tzdata.x86_64 2024b", Required, &["tzdata: 2024a-5.fc40 is older than 2024b"]),
        ("tzdata.i686 2024b", NotRequired, &["tzdata: none of its packages is installed"]),
        ("glibc.noarch 2.40", Required, &["glibc: 2.39-6.fc40 is older than 2.40"]),
    ] {
        assert_eq!(state(&scan, &[package]), expected, "{package}");
        assert_eq!(reasons(&scan, &[package]), why, "{package}");
    }
}

#[test]
fn of_several_kernels_the_newest_counts() {
    let scan = open(endpoint(SMALL)).unwrap();
    let newest = "kernel-core: 6.11.3-200.fc40";
    for (offered, expected, why) in [
        ("kernel-core 6.11.3-200.fc40", Installed, format!("{newest} is installed, the newest of 3 versions")),
        ("kernel-core 6.9.99-1.fc40", Installed, format!("{newest} is installed, the newest of 3 versions")),
        ("kernel-core 6.12", Required, format!("{newest} is older than 6.12, the newest of 3 versions")),
    ] {
        assert_eq!((state(&scan, &[offered]), reasons(&scan, &[offered])), (expected, vec![why]), "{offered}");
    }
}

#[test]
fn a_rule_that_is_not_understood_is_an_error() {
    let scan = open(endpoint(SMALL)).unwrap();
    for rule in ["", "{}", r#"{"packages":[]}"#, r#"{"packages":[{"name":"a","evr":"1 2"}]}"#] {
        let evaluated = Json::decode(rule.as_bytes()).and_then(|rule| scan.evaluate(&rule));
        let explained = Json::decode(rule.as_bytes()).and_then(|rule| scan.explain(&rule));
        assert!(matches!((evaluated, explained), (Err(Error::Invalid(_)), Err(Error::Invalid(_)))), "{rule}");
    }
}

#[test]
fn scopes_name_the_release_and_the_architecture_of_the_system() {
    let scopes = |root: &FakeRoot| Rpm::scopes(root);
    let fedora = endpoint(SMALL);
    assert_eq!(scopes(&fedora), Ok(vec!["rpm/fedora/40/x86_64".to_owned()]));
    let minor = fedora.clone().with_file("/etc/os-release", "ID=\"rhel\"\nVERSION_ID=\"9.4\"\n");
    assert_eq!(scopes(&minor), Ok(vec!["rpm/rhel/9.4/x86_64".to_owned(), "rpm/rhel/9/x86_64".to_owned()]));
    // rpm is of x86_64 in the database: the kernel is not asked.
    let other_kernel = fedora.clone().with_os("machine", "aarch64");
    assert_eq!(scopes(&other_kernel), Ok(vec!["rpm/fedora/40/x86_64".to_owned()]));
    assert_eq!(scopes(&fedora.clone().without_file(OLD)), Ok(vec![]), "no rpm, no scopes");
    assert!(scopes(&fedora.without_file("/etc/os-release")).is_err());
}

#[test]
fn without_a_database_there_is_no_answer() {
    let message = refusal(endpoint(SMALL).without_file(OLD));
    assert_eq!(message, "there is no rpm database in /var/lib/rpm and /usr/lib/sysimage/rpm");
}
