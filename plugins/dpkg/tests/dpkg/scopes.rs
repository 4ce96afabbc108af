//! Which catalogs concern a client, and what is said where that cannot be told.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

use crate::support::{ARCH, STATUS, bookworm, installed, open, stanza};
use farrier_plugin_dpkg::Dpkg;
use farrier_plugin_sdk::{Applicability, Error, FakeRoot};

fn scopes(root: &FakeRoot) -> Vec<String> {
    Dpkg::scopes(root).unwrap()
}

fn with_os_release(text: &str) -> FakeRoot {
    bookworm(&[]).with_file("/etc/os-release", text)
}

#[test]
fn there_is_one_for_every_architecture_the_native_first() {
    assert_eq!(scopes(&bookworm(&[])), ["debian/bookworm/amd64", "debian/bookworm/i386"]);
    assert_eq!(scopes(&bookworm(&[]).with_file(ARCH, "i386\namd64\n"))[0], "debian/bookworm/amd64");
    assert_eq!(scopes(&bookworm(&[]).without_file(ARCH)), ["debian/bookworm/amd64"]);
}

#[test]
fn the_release_is_the_codename_or_else_the_number() {
    assert_eq!(scopes(&with_os_release("ID=other\nVERSION_ID='9.1'\n"))[0], "other/9.1/amd64");
    assert_eq!(scopes(&with_os_release("ID=other\nVERSION_CODENAME=\nVERSION_ID=9.1\n"))[0], "other/9.1/amd64");
}

#[test]
fn os_release_is_read_where_the_distribution_puts_it() {
    let root = bookworm(&[]).without_file("/etc/os-release");
    let root = root.with_file("/usr/lib/os-release", "# a comment\nID=\"debian\"\nVERSION_CODENAME=trixie\n");
    assert_eq!(scopes(&root)[0], "debian/trixie/amd64");
}

#[test]
fn what_is_missing_is_named() {
    let says = |root: &FakeRoot, words: &str| {
        let error = Dpkg::scopes(root).unwrap_err();
        assert!(error.message().contains(words), "{error:?}");
    };
    says(&with_os_release("ID=debian\n"), "/etc/os-release has no VERSION_CODENAME or VERSION_ID");
    says(&with_os_release("VERSION_ID=1\n"), "/etc/os-release has no ID");
    says(&bookworm(&[]).without_file("/etc/os-release"), "neither /etc/os-release nor /usr/lib/os-release");
    says(&bookworm(&[]).without_file(STATUS), STATUS);
    says(&bookworm(&[]).with_file(STATUS, "").without_file(ARCH), "native architecture");
}

#[test]
fn the_native_architecture_is_dpkgs_own_else_the_first_listed_else_that_of_most_packages() {
    let of = |status: Vec<String>, listed: &str| {
        let root = bookworm(&[]).with_file(STATUS, status.concat()).with_file(ARCH, listed);
        scopes(&root)[0].rsplit('/').next().unwrap().to_owned()
    };
    let packages = || vec![installed("a", "all", "1"), installed("b", "all", "1"), installed("c", "arm64", "1")];
    assert_eq!(of(packages(), "i386\n"), "i386");
    assert_eq!(of(packages(), ""), "arm64");
    assert_eq!(of([packages(), vec![installed("dpkg", "amd64", "1")]].concat(), "i386\n"), "amd64");
    let removed = stanza("dpkg", "amd64", "1", "deinstall ok config-files");
    assert_eq!(of([packages(), vec![removed]].concat(), "i386\n"), "i386");
    assert_eq!(scopes(&bookworm(&[]).with_file(STATUS, packages().concat()).without_file(ARCH)).len(), 1);
}

#[test]
fn a_denied_file_is_an_error_not_an_absent_one() {
    let root = bookworm(&[]).with_denied(ARCH);
    assert_eq!(Dpkg::scopes(&root), Err(Error::Denied(ARCH.to_owned())));
    assert!(matches!(open(&root), Err(Error::Denied(_))));
}
