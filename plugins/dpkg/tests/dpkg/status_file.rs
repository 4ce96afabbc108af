//! Status files that are not as dpkg writes them: what apt tolerates is tolerated, all else is refused by name.

use crate::support::{STATUS, binary, bookworm, installed, refusal, state};
use farrier_plugin_sdk::{ComplianceState::Required, Error, FakeRoot};

fn with_status(text: &str) -> FakeRoot {
    bookworm(&[]).with_file(STATUS, installed("dpkg", "amd64", "1.21.22") + text)
}

fn foo_is_required(text: &str) {
    assert_eq!(state(&with_status(text), "amd64", &[binary("foo", "2.0")]), Required, "{text:?}");
}

#[test]
fn what_apt_tolerates_is_tolerated() {
    foo_is_required("Package: foo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0");
    foo_is_required("\n\n\nPackage: foo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n\n\n");
    foo_is_required("package: Foo\nSTATUS: Install OK Installed\narchitecture: amd64\nversion: 1.0\n");
    foo_is_required("Package : foo\nStatus:install  ok\tinstalled\nArchitecture:\tamd64 \nVersion:1.0\n");
    foo_is_required("Package: foo\r\nStatus: install ok installed\r\nArchitecture: amd64\r\nVersion: 1.0\r\n\r\n");
    foo_is_required("Package: foo\nStatus: install ok installed\n \t\nArchitecture: amd64\nVersion: 1.0\n");
    foo_is_required("Version: 1.0\nArchitecture: amd64\nStatus: install ok installed\nPackage: foo\n");
}

#[test]
fn bytes_that_are_no_utf8_do_not_matter_where_nothing_is_read() {
    let mut status = installed("foo", "amd64", "1.0").into_bytes();
    status.extend_from_slice(b"Package: bar\nMaintainer: J\xf6rg\n\n");
    status.extend_from_slice(installed("dpkg", "amd64", "1").as_bytes());
    let root = bookworm(&[]).with_file(STATUS, status);
    assert_eq!(state(&root, "amd64", &[binary("foo", "2.0")]), Required);
}

#[test]
fn the_rest_is_refused_by_line_and_package() {
    let refused = |text: &str, words: &str| match refusal(&with_status(text)) {
        Error::Invalid(reason) => {
            assert!(reason.contains(words) && reason.contains(STATUS) && reason.contains("line "), "{reason}");
        }
        error => panic!("{error:?}"),
    };
    let status = |words: &str| format!("Package: foo\nStatus: {words}\nArchitecture: amd64\nVersion: 1.0\n");
    refused(&status("install ok"), "the status is not three words (package foo)");
    refused(&status("install ok installed twice"), "the status is not three words (package foo)");
    refused(&status("install ok inst"), "third word of the status is unknown (package foo)");
    refused(&status("install fine installed"), "second word of the status is unknown (package foo)");
    refused(&status("want ok installed"), "first word of the status is unknown (package foo)");
    refused("Package: foo\nStat", "line 14 of /var/lib/dpkg/status: a line is no field (package foo)");
    refused("Status: install ok installed\nVersion: 1.0\n\n", "names no package");
}

#[test]
fn a_line_across_pieces_of_the_file_is_read_whole() {
    // The host gives 64 KiB at a time; wherever that cuts, the package is found.
    for padding in 64 * 1024 - 400..64 * 1024 - 250 {
        let description = format!("Package: pad\nDescription: {}\n\n", "x".repeat(padding));
        foo_is_required(&(description + &installed("foo", "amd64", "1.0")));
    }
}

#[test]
fn a_line_without_end_is_refused() {
    let endless = format!("Package: foo\nDescription: {}\n", "x".repeat(2 * 1024 * 1024));
    assert!(matches!(refusal(&with_status(&endless)), Error::TooLarge(reason) if reason.contains("line 14")));
}
