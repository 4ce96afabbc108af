//! Which files of an update are selected.

use crate::support::{STATUS, bookworm, deb, installed, selected, stanza, update};
use farrier_plugin_dpkg_installer::DpkgInstaller;
use farrier_plugin_sdk::{Error, FakeBlob, FakeRoot, Installer};

#[test]
fn of_an_update_the_older_installed_packages_are_selected() {
    let root = bookworm(&[
        installed("libssl3", "3.0.15-1", ""),
        installed("openssl", "3.0.17-1", ""),
        installed("newer", "1:1", ""),
        stanza("gone", "1.0", "deinstall ok config-files", ""),
    ]);
    let names = ["libssl3", "openssl", "newer", "gone", "libssl-dev"];
    let contents = names.map(|name| deb(name, "3.0.17-1", ""));
    assert_eq!(selected(&root, &contents, &[]).0, ["libssl3_3.0.17-1_amd64.deb"]);
}

#[test]
fn what_is_left_half_done_is_selected_again() {
    for status in ["install ok half-configured", "install ok unpacked", "install reinstreq half-installed"] {
        let root = bookworm(&[stanza("foo", "2.0", status, "")]);
        let previous = [deb("foo", "1.0", ""), deb("foo", "1.5", ""), deb("foo", "2.0", "")];
        let (contents, previous) = selected(&root, &[deb("foo", "2.0", "")], &previous);
        assert_eq!(contents, ["foo_2.0_amd64.deb"], "{status}");
        assert_eq!(previous, ["foo_1.5_amd64.deb"], "{status}: the newest of the older ones");
    }
}

#[test]
fn a_journal_after_a_power_cut_says_how_it_is() {
    let journal = |name: &str, version: &str, status: &str| {
        let entry = stanza("foo", version, status, "");
        bookworm(&[installed("foo", "1.0", "")])
            .with_file("/var/lib/dpkg/updates/0000", stanza("foo", "1.0", "install ok half-installed", ""))
            .with_file(&format!("/var/lib/dpkg/updates/{name}"), entry)
            .with_file("/var/lib/dpkg/updates/tmp.i", "#padding\n#padding\n")
    };
    let contents = [deb("foo", "2.0", "")];
    assert_eq!(selected(&journal("0001", "2.0", "install ok installed"), &contents, &[]).0, [""; 0]);
    assert_eq!(selected(&journal("0001", "2.0", "install ok unpacked"), &contents, &[]).0, ["foo_2.0_amd64.deb"]);
}

#[test]
fn architectures_do_not_mix() {
    let i386 = installed("foo", "1.0", "Architecture: i386\n");
    let contents =
        [deb("foo", "2.0", ""), deb("foo", "2.0", "Architecture: i386"), deb("foo", "2.0", "Architecture: all")];
    let of = |root: &FakeRoot| selected(root, &contents, &[]).0;
    assert_eq!(of(&bookworm(&[i386])), ["foo_2.0_i386.deb"]);
    let native = ["foo_2.0_amd64.deb", "foo_2.0_all.deb"];
    assert_eq!(of(&bookworm(&[installed("foo", "1.0", "")])), native);
    assert_eq!(of(&bookworm(&[installed("foo", "1.0", "Architecture: all\n")])), native);
}

#[test]
fn the_versions_that_are_installed_are_selected_for_a_roll_back() {
    let root = bookworm(&[installed("foo", "1:1.0", ""), installed("bar", "1.0", "")]);
    let contents = [deb("foo", "1:2.0", ""), deb("bar", "2.0", "")];
    let previous = [deb("foo", "1:0.9", ""), deb("bar", "1.1", ""), deb("foo", "1:1.0", "")];
    assert_eq!(selected(&root, &contents, &previous).1, ["foo_1%3a1.0_amd64.deb"], "nobody has bar 1.0");
}

#[test]
fn a_kernel_comes_with_the_package_that_wants_the_latest_one() {
    let root = bookworm(&[
        installed("linux-image-amd64", "6.1.140-1", "Depends: linux-image-6.1.0-37-amd64 (= 6.1.140-1)\n"),
        installed("linux-image-6.1.0-37-amd64", "6.1.140-1", ""),
    ]);
    let names = [
        "linux-image-6.1.0-38-amd64",
        "linux-image-6.1.0-38-amd64-dbg",
        "linux-image-6.1.0-38-cloud-amd64",
        "linux-headers-6.1.0-38-amd64",
        "linux-image-amd64",
    ];
    let contents = names.map(|name| deb(name, "6.1.147-1", ""));
    let expected = ["linux-image-amd64_6.1.147-1_amd64.deb", "linux-image-6.1.0-38-amd64_6.1.147-1_amd64.deb"];
    assert_eq!(selected(&root, &contents, &[]).0, expected);
    let alone = bookworm(&[installed("linux-image-amd64", "6.1.140-1", "")]);
    assert_eq!(selected(&alone, &contents, &[]).0, expected);
    let none = bookworm(&[installed("linux-image-6.1.0-37-amd64", "6.1.140-1", "")]);
    assert_eq!(selected(&none, &contents, &[]).0, [""; 0], "nobody wants the latest one");
}

#[test]
fn a_held_package_is_named() {
    let root = bookworm(&[stanza("foo", "1.0", "hold ok installed", ""), stanza("ok", "2.0", "hold ok installed", "")]);
    let refused =
        |contents| DpkgInstaller::select(&root, &update(contents, &[]), &()).unwrap_err().message().to_owned();
    let expected = "foo is on hold on this client; `apt-mark unhold foo` releases it";
    assert_eq!(refused(&[deb("foo", "2.0", ""), deb("ok", "2.0", "")]), expected);
    assert_eq!(selected(&root, &[deb("ok", "2.0", "")], &[]).0, [""; 0], "it is not to be changed");
}

#[test]
fn what_cannot_be_understood_is_refused_by_name() {
    let refused = |root: &FakeRoot, label: &str| {
        DpkgInstaller::select(root, &update(&[FakeBlob::new(label, "x")], &[]), &()).unwrap_err()
    };
    let good = bookworm(&[]);
    assert!(matches!(refused(&good, "../evil_1_all.deb"), Error::Invalid(reason) if reason.contains("../evil")));
    let broken = good.clone().with_file(STATUS, "Package: foo\nStatus: broken\n");
    let error = refused(&broken, "foo_1_all.deb");
    assert!(matches!(error, Error::Invalid(reason) if reason.contains("line 2") && reason.contains("foo")));
    let without = bookworm(&[]).with_file(STATUS, installed("foo", "1", ""));
    assert!(matches!(refused(&without, "foo_1_all.deb"), Error::Invalid(reason) if reason.contains("native")));
    assert!(matches!(refused(&FakeRoot::new(), "foo_1_all.deb"), Error::NotFound(_)));
}
