//! Binary packages made for a test: real ones, built by `dpkg-deb`, that can be installed, kept, broken and slow.

use crate::mirror::{Deb, hex_digest};
use anyhow::{Context, Result, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package to be built. Nothing is on disk before it is [built](Self::build).
#[derive(Debug, Clone)]
pub struct Package {
    control: Deb,
    files: Vec<(String, Vec<u8>)>,
    conffiles: Vec<String>,
    scripts: Vec<(Script, String)>,
}

/// A script of the package, which dpkg runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Before the package is unpacked.
    PreInstallation,
    /// When the package is configured.
    PostInstallation,
    /// Before the package is removed or replaced.
    PreRemoval,
    /// After the package was removed or replaced.
    PostRemoval,
}

/// A package on disk.
#[derive(Debug, Clone)]
pub struct BuiltPackage {
    /// The file.
    pub path: PathBuf,
    /// What it is called: `foo_1%3a2.0-1_all.deb`.
    pub label: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Bytes of the file.
    pub length: u64,
}

impl Package {
    /// A package for every architecture, with one file that says its version.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let control = Deb::bare(name, version).with("Architecture", "all");
        let control = control.with("Maintainer", "Farrier's tests <tests@example.org>");
        let control = control.with("Description", &format!("about {name}"));
        let package = Self { control, files: Vec::new(), conffiles: Vec::new(), scripts: Vec::new() };
        package.file(&format!("/usr/share/{name}/version"), version)
    }

    /// The same for one architecture.
    #[must_use]
    pub fn architecture(self, architecture: &str) -> Self {
        self.field("Architecture", architecture)
    }

    /// The same, built from another source package than the one of its name and version.
    #[must_use]
    pub fn source(self, source: &str) -> Self {
        self.field("Source", source)
    }

    /// The same with a field more, or another value of it: `Depends`, `Multi-Arch`.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.control = self.control.with(name, value);
        self
    }

    /// The same with a file more at this absolute path.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// The same with a configuration file more, whose local changes dpkg keeps.
    #[must_use]
    pub fn conffile(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.conffiles.push(path.to_owned());
        self.file(path, content)
    }

    /// The same with a script of the shell.
    #[must_use]
    pub fn script(mut self, script: Script, text: &str) -> Self {
        self.scripts.push((script, text.to_owned()));
        self
    }

    /// The same, and configuring it fails.
    #[must_use]
    pub fn failing(self) -> Self {
        self.script(Script::PostInstallation, "echo 'this package never works' >&2; exit 1")
    }

    /// The same, and configuring it takes so long.
    #[must_use]
    pub fn slow(self, seconds: u32) -> Self {
        self.script(Script::PostInstallation, &format!("echo 'taking {seconds} s'; sleep {seconds}"))
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.control.get("Package").unwrap_or_default()
    }

    /// What it is called, as apt names the file: `foo_1%3a2.0-1_all.deb`.
    #[must_use]
    pub fn label(&self) -> String {
        let field = |name| self.control.get(name).unwrap_or_default();
        format!("{}_{}_{}.deb", self.name(), field("Version").replace(':', "%3a"), field("Architecture"))
    }

    /// Builds it into a folder. The same package always has the same bytes.
    ///
    /// # Errors
    /// When a file cannot be written, or `dpkg-deb` refuses it or is not there.
    pub fn build(&self, folder: &Path) -> Result<BuiltPackage> {
        let tree = tempfile::tempdir()?;
        let write = |path: &str, content: &[u8], mode: u32| -> Result<()> {
            let path = tree.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().context("a file of a package has a folder")?)?;
            fs::write(&path, content)?;
            Ok(fs::set_permissions(&path, Permissions::from_mode(mode))?)
        };
        for (path, content) in &self.files {
            write(path, content, 0o644)?;
        }
        write("DEBIAN/control", format!("{}\n", self.control.to_string().trim_end()).as_bytes(), 0o644)?;
        if !self.conffiles.is_empty() {
            write("DEBIAN/conffiles", (self.conffiles.join("\n") + "\n").as_bytes(), 0o644)?;
        }
        for (script, text) in &self.scripts {
            write(&format!("DEBIAN/{}", script.file_name()), format!("#!/bin/sh\n{text}\n").as_bytes(), 0o755)?;
        }
        fs::set_permissions(tree.path(), Permissions::from_mode(0o755))?;
        fs::create_dir_all(folder)?;
        let path = folder.join(self.label());
        let mut command = Command::new("dpkg-deb");
        command.args(["--root-owner-group", "-Zgzip", "--build"]).arg(tree.path()).arg(&path);
        command.env("SOURCE_DATE_EPOCH", "1700000000").stdin(Stdio::null());
        let output = command.output().context("starting dpkg-deb: install the package dpkg")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dpkg-deb cannot build {}: {said}", self.label());
        let bytes = fs::read(&path)?;
        let length = u64::try_from(bytes.len())?;
        Ok(BuiltPackage { path, label: self.label(), sha256: hex_digest(&bytes), length })
    }

    /// What an index says of it, if it is there as `built` and archives have it at `path`.
    #[must_use]
    pub fn listed(&self, built: &BuiltPackage, path: &str) -> Deb {
        let listed = self.control.clone().with("Filename", path).with("Size", &built.length.to_string());
        listed.with("SHA256", &built.sha256)
    }

    /// Where archives have it: `pool/main/f/foo/foo_1.0_all.deb`. As archives do, without the epoch.
    #[must_use]
    pub fn pool_path(&self) -> String {
        let source = self.control.get("Source").and_then(|source| source.split(' ').next()).unwrap_or(self.name());
        let letters = if source.starts_with("lib") { 4 } else { 1 };
        let folder: String = source.chars().take(letters).collect();
        let label = self.label();
        let (name, rest) = label.split_once('_').unwrap_or((&label, ""));
        let file = rest.split_once("%3a").map_or(rest, |(_, rest)| rest);
        format!("pool/main/{folder}/{source}/{name}_{file}")
    }
}

impl Script {
    fn file_name(self) -> &'static str {
        match self {
            Self::PreInstallation => "preinst",
            Self::PostInstallation => "postinst",
            Self::PreRemoval => "prerm",
            Self::PostRemoval => "postrm",
        }
    }
}
