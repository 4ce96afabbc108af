//! What people are told.

use crate::support::{binary, bookworm, findings, installed, stanza};
use farrier_dpkg_rules::Binary;
use farrier_plugin_sdk::{
    ComplianceState::{Installed, NotRequired, Required},
    Finding,
};

fn finding(subject: &str, state: farrier_plugin_sdk::ComplianceState, detail: &str) -> Finding {
    Finding { subject: subject.to_owned(), state, detail: detail.to_owned() }
}

#[test]
fn every_installed_package_has_its_reason() {
    let root = bookworm(&[
        installed("libssl3", "amd64", "3.0.15-1"),
        installed("openssl", "amd64", "3.0.17-1~deb12u2"),
        installed("bystander", "amd64", "1.0"),
    ]);
    let version = "3.0.17-1~deb12u2";
    let binaries = ["libssl3", "openssl", "libssl-dev"].map(|name| binary(name, version));
    assert_eq!(
        findings(&root, "amd64", &binaries),
        [
            finding("libssl3", Required, "3.0.15-1 is older than 3.0.17-1~deb12u2"),
            finding("openssl", Installed, "3.0.17-1~deb12u2 is installed"),
        ]
    );
}

#[test]
fn what_is_special_about_a_package_is_said() {
    let root = bookworm(&[
        stanza("held", "amd64", "1.0", "hold ok installed"),
        stanza("half", "amd64", "1.0", "install reinstreq half-installed"),
        stanza("foreign", "i386", "1.0", "install ok installed"),
        stanza("everything", "i386", "1.0", "hold ok triggers-pending"),
    ]);
    let detail = |architecture, name| findings(&root, architecture, &[binary(name, "2.0")]).remove(0).detail;
    assert_eq!(detail("amd64", "held"), "1.0 is older than 2.0 (on hold)");
    let unfinished = bookworm(&[stanza("foo", "amd64", "2.0", "install ok half-configured")]);
    assert_eq!(
        findings(&unfinished, "amd64", &[binary("foo", "2.0")]),
        [finding("foo", Required, "2.0 is there, but not finished (half-configured)")]
    );
    assert_eq!(detail("amd64", "half"), "1.0 is older than 2.0 (half-installed)");
    assert_eq!(detail("i386", "foreign"), "1.0 is older than 2.0 (i386)");
    assert_eq!(detail("i386", "everything"), "1.0 is older than 2.0 (i386) (triggers-pending) (on hold)");
}

#[test]
fn the_name_is_the_one_apt_lists() {
    let root = bookworm(&[installed("foo", "i386", "1.0")]);
    assert_eq!(findings(&root, "i386", &[binary("foo", "2.0")])[0].subject, "foo");
}

#[test]
fn where_nothing_is_installed_one_finding_says_so() {
    let names = |names: &[&str]| {
        let binaries: Vec<_> = names.iter().map(|name| binary(name, "2.0")).collect();
        let [finding] = findings(&bookworm(&[]), "amd64", &binaries).try_into().unwrap();
        assert_eq!((finding.state, &*finding.detail), (NotRequired, "none of its packages is installed"));
        finding.subject
    };
    assert_eq!(names(&["a"]), "a");
    assert_eq!(names(&["a", "b", "c"]), "a, b, c");
    assert_eq!(names(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
}

#[test]
fn a_suite_nobody_follows_is_no_mystery() {
    let backport = Binary { above: Some(b"1.0"), ..binary("foo", "2.0~bpo12+1") };
    let detail = "1.0 is installed; only who chose its suite is offered 2.0~bpo12+1";
    assert_eq!(
        findings(&bookworm(&[installed("foo", "amd64", "1.0")]), "amd64", &[backport]),
        [finding("foo", NotRequired, detail)]
    );
}
