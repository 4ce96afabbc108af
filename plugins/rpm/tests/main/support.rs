//! Endpoints with an rpm database.

use farrier_plugin_rpm::{Package, Rpm};
use farrier_plugin_sdk::{
    Applicability, ComplianceState, Error, Facts, FakeRoot, Finding, Json, Rule as _, SharedFacts,
};

pub const OLD: &str = "/var/lib/rpm/rpmdb.sqlite";
pub const NEW: &str = "/usr/lib/sysimage/rpm/rpmdb.sqlite";

/// The table of packages alone, in pages of 512 bytes.
pub const SMALL: &[u8] = include_bytes!("../data/small.sqlite");

/// What rpm writes.
pub fn fedora() -> Vec<u8> {
    unpacked(include_bytes!("../data/fedora.sqlite.zst"))
}

/// A database whose last transactions are in its log: `editor` was updated, and then `openssl` installed.
pub fn database_with_log() -> (Vec<u8>, Vec<u8>) {
    let database = unpacked(include_bytes!("../data/log.sqlite.zst"));
    (database, unpacked(include_bytes!("../data/log.sqlite-wal.zst")))
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

/// A Fedora with this database.
pub fn endpoint(database: &[u8]) -> FakeRoot {
    FakeRoot::new()
        .with_file("/etc/os-release", "ID=fedora\nVERSION_ID=40\n")
        .with_os("machine", "x86_64")
        .with_file(OLD, database)
}

pub fn open(facts: impl Facts + 'static) -> Result<Rpm, Error> {
    Rpm::open(&SharedFacts::new(facts))
}

/// What the plugin says of an endpoint that it cannot scan.
pub fn refusal(facts: impl Facts + 'static) -> String {
    match open(facts) {
        Ok(_) => panic!("it can be scanned"),
        Err(error) => error.message().to_owned(),
    }
}

/// `name evr architecture` of every installed package.
pub fn packages(scan: &Rpm) -> Vec<String> {
    scan.packages().iter().map(|Package { name, architecture, evr }| format!("{name} {evr} {architecture}")).collect()
}

/// The state of an update of these packages: `name evr` or `name.arch evr`.
pub fn state(scan: &Rpm, packages: &[&str]) -> ComplianceState {
    scan.evaluate(&Json::decode(rule(packages).as_bytes()).unwrap()).unwrap()
}

/// Why, as `subject: detail`.
pub fn reasons(scan: &Rpm, packages: &[&str]) -> Vec<String> {
    let findings = scan.explain(&Json::decode(rule(packages).as_bytes()).unwrap()).unwrap();
    findings.iter().map(|Finding { subject, detail, .. }| format!("{subject}: {detail}")).collect()
}

fn rule(packages: &[&str]) -> String {
    let package = |text: &&str| {
        let (name, evr) = text.split_once(' ').unwrap();
        match name.split_once('.') {
            Some((name, arch)) => format!(r#"{{"name":"{name}","arch":"{arch}","evr":"{evr}"}}"#),
            None => format!(r#"{{"name":"{name}","evr":"{evr}"}}"#),
        }
    };
    format!(r#"{{"packages":[{}]}}"#, packages.iter().map(package).collect::<Vec<_>>().join(","))
}
