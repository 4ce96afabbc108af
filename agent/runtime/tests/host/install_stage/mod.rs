//! A runtime, an endpoint with a few programs, and the installer that misbehaves, for tests.

mod programs;

use crate::artefacts::{built, compiled};
use farrier_plugin_hostile_installer::Phase;
use farrier_protocol::Digest;
use farrier_runtime::install::{BlobFile, Change, Entry, Options, Outcome, Selection, Update};
use farrier_runtime::{
    Endpoint, GrantLists, InstallError, InstallLimits, Installation, InstallerGrants, InstallerPlugin, Limits, Profile,
    Runtime,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The contents of the update: label and bytes.
pub const CONTENTS: [(&str, &str); 2] = [("a_1.0_all.deb", "the first"), ("b_1%3a2.0_all.deb", "the second")];

/// A runtime and an endpoint with an order for the guest.
pub struct Stage {
    runtime: Runtime,
    pub endpoint: Endpoint,
    pub root: TempDir,
    downloads: TempDir,
    /// What the watcher saw.
    pub lines: Arc<Mutex<Vec<String>>>,
}

/// Whether programs can be run here: changing the root needs root.
pub fn runs_programs() -> bool {
    use std::io::Write;
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let _ = std::io::stderr().write_all(b"SKIPPED what runs programs in another root: it needs root.\n");
    }
    is_root
}

impl Stage {
    pub fn new(profile: Profile, limits: &Limits, order: &str) -> Self {
        let (root, downloads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in ["etc", "opt/hostile", "srv/foreign", "var/lib/dpkg", "var/cache"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("etc/passwd"), "root").unwrap();
        std::fs::write(root.path().join("etc/hostile"), order).unwrap();
        std::fs::write(root.path().join("srv/file"), "file").unwrap();
        std::fs::write(root.path().join("srv/foreign/secret"), "secret").unwrap();
        for (label, bytes) in CONTENTS {
            std::fs::write(downloads.path().join(label), bytes).unwrap();
        }
        programs::add_to(root.path());
        let endpoint = Endpoint::open(root.path()).unwrap();
        let runtime = Runtime::new(profile, limits.clone()).unwrap();
        Self { runtime, endpoint, root, downloads, lines: Arc::default() }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// Changes the order.
    pub fn order(&self, order: &str) {
        std::fs::write(self.path("etc/hostile"), order).unwrap();
    }

    pub fn load(&self, component: &[u8]) -> Result<InstallerPlugin, farrier_runtime::LoadError> {
        self.runtime.load_installer(component, compiled())
    }

    /// An installation where everything the manifest asks for is granted.
    pub fn open(&self, max_run: Duration) -> Installation {
        let plugin = self.load(&built("hostile-installer")).unwrap();
        self.open_granted(&plugin, &GrantLists::from(plugin.manifest()), max_run)
    }

    pub fn open_granted(&self, plugin: &InstallerPlugin, allowed: &GrantLists, max_run: Duration) -> Installation {
        let approved = GrantLists::from(plugin.manifest());
        let grants = InstallerGrants::new(plugin.manifest(), &approved, allowed).unwrap();
        let lines = Arc::clone(&self.lines);
        let watcher = move |line: &str| lines.lock().unwrap().push(line.to_owned());
        plugin.open(&self.endpoint, grants, InstallLimits { max_run }, watcher)
    }

    pub fn blobs(&self) -> Vec<BlobFile> {
        let blob = |(label, bytes): (&str, &str)| BlobFile {
            label: label.to_owned(),
            path: self.downloads.path().join(label),
            digest: Digest::of(bytes.as_bytes()),
            length: bytes.len() as u64,
        };
        CONTENTS.into_iter().map(blob).collect()
    }

    pub fn update(&self) -> Update {
        let entry = |blob: BlobFile| Entry { label: blob.label, digest: blob.digest, length: blob.length };
        let entries: Vec<_> = self.blobs().into_iter().map(entry).collect();
        let (name, instructions) = ("test/update/1.0".to_owned(), b"as told".to_vec());
        Update { name, instructions, contents: entries.clone(), previous: entries }
    }

    pub fn select(&self, installation: &mut Installation) -> Result<Selection, InstallError> {
        installation.select(&self.update())
    }

    pub fn plan(&self, installation: &mut Installation) -> Result<Vec<Change>, InstallError> {
        installation.plan(&self.update(), &self.blobs(), Options::default())
    }

    pub fn install(&self, installation: &mut Installation) -> Result<Outcome, InstallError> {
        installation.install(&self.update(), &self.blobs(), Options::default())
    }

    /// Makes the call of this phase; its notes.
    pub fn call(&self, installation: &mut Installation, phase: Phase) -> Result<Vec<String>, InstallError> {
        match phase {
            Phase::Select => self.select(installation).map(|_| Vec::new()),
            Phase::Plan => self.plan(installation).map(|changes| {
                assert_eq!(changes.len(), 2);
                Vec::new()
            }),
            Phase::Install => self.install(installation).map(|outcome| outcome.notes),
            Phase::Finish => installation.finish(&self.update()).map(|outcome| outcome.notes),
            Phase::RollBack => installation.roll_back(&self.update(), &self.blobs()).map(|outcome| outcome.notes),
        }
    }

    /// Nothing outside the grants has changed, and no copy is left over.
    pub fn assert_harmless(&self) {
        assert_eq!(self.text("/etc/passwd"), "root");
        assert_eq!((self.text("/srv/file"), self.text("/srv/foreign/secret")), ("file".into(), "secret".into()));
        assert_eq!(std::fs::read_dir(self.path("/srv/foreign")).unwrap().count(), 1);
        let agent = self.path("/var/cache/farrier-agent");
        assert!(!agent.exists() || std::fs::read_dir(agent).unwrap().count() == 0, "copies are left over");
        let mut etc: Vec<_> = std::fs::read_dir(self.path("/etc")).unwrap().map(|e| e.unwrap().file_name()).collect();
        etc.sort();
        assert_eq!(etc, ["hostile", "passwd"]);
    }

    /// In the same runtime, after what happened.
    pub fn assert_next_installation_is_unaffected(&self) {
        self.order("nothing");
        let mut installation = self.open(Duration::from_secs(600));
        assert_eq!(self.install(&mut installation), Ok(Outcome::default()));
        for (label, bytes) in CONTENTS {
            assert_eq!(self.text(&format!("/opt/hostile/{label}")), bytes);
        }
    }
}
