//! Debian endpoints in memory.

use farrier_dpkg_rules::{Binary, encode};
use farrier_plugin_dpkg::{Dpkg, DpkgRule};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, FakeRoot, Finding, Rule};

pub const STATUS: &str = "/var/lib/dpkg/status";
pub const ARCH: &str = "/var/lib/dpkg/arch";

/// A bookworm of amd64 and i386 with these stanzas beside dpkg's.
pub fn bookworm(stanzas: &[String]) -> FakeRoot {
    let dpkg = installed("dpkg", "amd64", "1.21.22");
    FakeRoot::new()
        .with_file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n")
        .with_file(ARCH, "amd64\ni386\n")
        .with_file(STATUS, dpkg + &stanzas.concat())
}

pub fn installed(name: &str, architecture: &str, version: &str) -> String {
    stanza(name, architecture, version, "install ok installed")
}

pub fn stanza(name: &str, architecture: &str, version: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nPriority: optional\nMaintainer: Somebody <somebody@example.org>\n\
         Architecture: {architecture}\nVersion: {version}\nDepends: libc6 (>= 2.36)\nDescription: {name}\n \
         A line that goes on.\n .\n Version: of the description, not of the package\n\n"
    )
}

/// A binary of the rule's architecture.
pub fn binary<'a>(name: &'a str, version: &'a str) -> Binary<'a> {
    Binary { name: name.as_bytes(), version: version.as_bytes(), all: false, above: None }
}

pub fn rule(architecture: &str, binaries: &[Binary<'_>]) -> Vec<u8> {
    let version = str::from_utf8(binaries[0].version).unwrap();
    encode(version, architecture, binaries.iter().copied()).unwrap()
}

/// A scan of this root.
pub fn open(root: &FakeRoot) -> Result<Dpkg, Error> {
    Dpkg::open(&root.clone().shared())
}

pub fn evaluate(scan: &Dpkg, rule: &[u8]) -> ComplianceState {
    scan.evaluate(&DpkgRule::decode(rule).unwrap()).unwrap()
}

/// The state of an update of these binaries.
pub fn state(root: &FakeRoot, architecture: &str, binaries: &[Binary<'_>]) -> ComplianceState {
    evaluate(&open(root).unwrap(), &rule(architecture, binaries))
}

pub fn findings(root: &FakeRoot, architecture: &str, binaries: &[Binary<'_>]) -> Vec<Finding> {
    open(root).unwrap().explain(&DpkgRule::decode(&rule(architecture, binaries)).unwrap()).unwrap()
}

/// What the plugin says of a root it cannot scan.
pub fn refusal(root: &FakeRoot) -> Error {
    match open(root) {
        Ok(_) => panic!("it can be scanned"),
        Err(error) => error,
    }
}
