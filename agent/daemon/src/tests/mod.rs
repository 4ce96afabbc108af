//! The agent against a site on loopback that can be told to misbehave.

mod deploying;
mod deployment;
mod downloading;
mod enrolling;
mod fake_admission;
mod fake_mirror;
mod fake_repository;
mod fake_site;
mod falling_back;
mod finishing;
mod polling;
mod precompiled;
mod renewing;
mod reporting;
mod running;
mod scanning;
mod shadowing;
mod state_lost;
mod trusting;
mod user;
mod versions;

use crate::agent::Agent;
use crate::assess::{Assessment, assess};
use crate::config::{Config, PluginsConfig};
use crate::enroll::enroll;
use crate::fetch::{Polled, poll};
use crate::progress::Progress;
use crate::report::send;
use crate::scan::Tally;
use crate::shadows;
use crate::status::status;
use crate::supply::fetch_for_shadows;
use fake_site::FakeSite;
use farrier_dpkg_rules::{Binary, encode};
use farrier_protocol::{ComplianceState, UpdateId};
use farrier_runtime::Compiler;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const SCOPE: &str = "debian/bookworm/amd64";
const OPENSSL: &str = "bookworm/openssl/3.0.17-1";
const ZLIB: &str = "bookworm/zlib/1.2.13-1";
const BASH: &str = "bookworm/bash/5.2-2";

const STATUS: &str = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.15-1\n\n\
    Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2.13-1\n";

/// A site, an endpoint and its agent.
struct World {
    site: FakeSite,
    agent: Agent,
    folder: TempDir,
}

impl World {
    /// An endpoint that is no client yet; the site has published nothing.
    fn new() -> Self {
        let (site, folder) = (FakeSite::start("127.0.0.1"), tempfile::tempdir().unwrap());
        let root = folder.path().join("root");
        write(&root, "etc/hostname", "web-1\n");
        write(&root, "etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n");
        write(&root, "var/lib/dpkg/status", STATUS);
        write(&root, "var/lib/dpkg/arch", "amd64\n");
        let config = Config {
            data: folder.path().join("data"),
            root,
            plugins: PluginsConfig {
                read: vec!["/etc/*".into(), "/var/lib/dpkg/*".into()],
                ..PluginsConfig::default()
            },
            ..Config::default()
        };
        let mut agent = Agent::open(config, Progress::silent()).unwrap();
        agent.compiler = Some(Compiler::InProcess);
        Self { site, agent, folder }
    }

    /// A client of a site that published the dpkg plugin and a catalog of three updates.
    fn enrolled() -> Self {
        Self::enrolled_at(|_| {})
    }

    /// The same, of a site that was prepared.
    fn enrolled_at(prepare: impl FnOnce(&FakeSite)) -> Self {
        let world = Self::new();
        prepare(&world.site);
        let token = world.site.token();
        wait(enroll(&world.agent, &token, false)).unwrap();
        publish_updates(&world.site);
        world
    }

    /// Writes a file of the endpoint.
    fn write(&self, path: &str, content: &str) {
        write(&self.agent.config.root, path, content);
    }

    fn poll(&self) -> anyhow::Result<Polled> {
        let mut session = self.agent.session()?;
        let site = session.site()?;
        wait(poll(&mut session, &site))
    }

    fn scan(&self) -> anyhow::Result<Assessment> {
        assess(&mut self.agent.session()?, Tally::with_names())
    }

    fn send(&self) -> anyhow::Result<u64> {
        let session = self.agent.session()?;
        let site = session.site()?;
        wait(send(&session, &site))
    }

    /// What `farrier-agent status` prints.
    fn status(&self) -> String {
        status(&self.agent).unwrap().text
    }

    /// Polls, scans and reports.
    fn round(&self) -> Assessment {
        self.poll().unwrap();
        let assessment = self.scan().unwrap();
        self.send().unwrap();
        assessment
    }

    /// Polls, scans, reports, has shadows scan and reports again, as the agent does.
    fn round_with_shadows(&self) -> Assessment {
        let assessment = self.round();
        self.compare();
        self.send().unwrap();
        assessment
    }

    /// Has shadows scan.
    fn compare(&self) {
        let mut session = self.agent.session().unwrap();
        let site = session.site().unwrap();
        wait(fetch_for_shadows(&mut session, &site)).unwrap();
        shadows::compare(&mut session).unwrap();
    }

    /// What the site holds of this client, by name.
    fn reported(&self, name: &str) -> Option<ComplianceState> {
        self.site.shared().client.states.get(&UpdateId::of_name(name)).copied()
    }
}

/// Publishes the dpkg plugin and the test catalog.
fn publish_updates(site: &FakeSite) {
    site.add_plugin("dpkg", &["/etc/os-release", "/var/lib/dpkg/*"]);
    site.add_catalog("dpkg", SCOPE, "catalogs/bookworm/amd64", &debian_updates());
    site.publish();
}

/// The updates of the test catalog: one that is older here, one that is here, one that is not.
fn debian_updates() -> Vec<(&'static str, Vec<u8>)> {
    vec![(OPENSSL, rule("libssl3", "3.0.17-1")), (ZLIB, rule("zlib1g", "1.2.13-1")), (BASH, rule("bash", "5.2-2"))]
}

fn rule(package: &str, version: &str) -> Vec<u8> {
    let binary = Binary { name: package.as_bytes(), version: version.as_bytes(), all: false, above: None };
    encode(version, "amd64", [binary]).unwrap()
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a program. Not by this process: a program that is open for writing in any child of it cannot be run.
pub(crate) fn script(path: &Path, text: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\""]).arg(path).arg(text);
    assert!(shell.status().unwrap().success());
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        // One for each test, as a process has one: connections do not outlive it.
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// An error with its causes, as a person reads it.
fn words<T>(outcome: anyhow::Result<T>) -> String {
    match outcome {
        Ok(_) => panic!("this was to fail"),
        Err(error) => format!("{error:#}"),
    }
}
