//! The source of the standard library, from Debian's archive.
//!
//! For machines whose compiler has no wasm target and no way to get one. The package comes from the mirror this machine
//! already uses, through apt, which verifies the archive's signature; apt's own lists and sources stay as they are.

use crate::toolchain::run;
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeSet, fs, path::Path, process::Command};
use tempfile::TempDir;

/// Where cargo looks for the source, below the compiler's sysroot.
pub const FOLDER: &str = "lib/rustlib/src/rust";

const PACKAGE: &str = "rust-src";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where the package may be, the smallest suite first.
const SUITES: [&str; 6] = ["trixie-backports", "forky-backports", "bookworm-backports", "trixie", "forky", "sid"];

/// Puts the source of this version of the standard library into the sysroot.
pub fn install(sysroot: &Path, version: &str) -> Result<()> {
    ensure!(Path::new(KEYRING).exists(), "{KEYRING} is not there; is this Debian?");
    let apt = Apt::new()?;
    for (site, suite) in sites()?.iter().flat_map(|site| SUITES.map(|suite| (site, suite))) {
        eprintln!("Looking for {PACKAGE} {version} in {suite}.");
        if let Some(found) = apt.find(site, suite, version)? {
            eprintln!("Fetching {PACKAGE} {found}.");
            return apt.install(&found, version, sysroot);
        }
    }
    bail!("none of {} has {PACKAGE} of rustc's version {version}", SUITES.join(", "))
}

/// Where this machine's apt gets Debian from.
fn sites() -> Result<BTreeSet<String>> {
    let targets = run(Command::new("apt-get").args(["indextargets", "--format", "$(ORIGIN) $(SITE)"]))?;
    let sites: BTreeSet<_> =
        targets.lines().filter_map(|line| line.strip_prefix("Debian ")).map(str::to_owned).collect();
    ensure!(!sites.is_empty(), "apt knows no mirror of Debian: run `apt-get update`");
    Ok(sites)
}

/// apt with lists, sources and a cache of its own.
struct Apt {
    folder: TempDir,
}

impl Apt {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.path().join(name))?;
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"-\";\nDir::State::Lists \"{}\";\n\
             Dir::Cache \"{}\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
            path("sources.list"),
            path("lists"),
            path("cache"),
        );
        fs::write(folder.path().join("apt.conf"), config)?;
        Ok(Self { folder })
    }

    /// The version of the package in a suite, if it is rustc's; a mirror need not have the suite.
    fn find(&self, site: &str, suite: &str, version: &str) -> Result<Option<String>> {
        let source = format!("deb [signed-by={KEYRING}] {site} {suite} main\n");
        fs::write(self.folder.path().join("sources.list"), source)?;
        if run(self.command("apt-get").args(["-q", "update"])).is_err() {
            return Ok(None);
        }
        let known = run(self.command("apt-cache").args(["madison", PACKAGE]))?;
        let mut versions = known.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
        Ok(versions.find(|found| found.starts_with(&format!("{version}+"))).map(str::to_owned))
    }

    fn install(&self, found: &str, version: &str, sysroot: &Path) -> Result<()> {
        run(self.command("apt-get").args(["-q", "download", &format!("{PACKAGE}={found}")]))?;
        let is_package = |path: &Path| path.extension().is_some_and(|extension| extension == "deb");
        let mut files = self.folder.path().read_dir()?.flatten().map(|entry| entry.path());
        let package = files.find(|path| is_package(path)).context("apt downloaded no package")?;
        let unpacked = self.folder.path().join("unpacked");
        run(Command::new("dpkg-deb").arg("--extract").args([&package, &unpacked]))?;

        let target = sysroot.join(FOLDER);
        let partial = target.join("library.partial");
        fs::create_dir_all(&partial).with_context(|| format!("creating {}", partial.display()))?;
        let library = unpacked.join("usr/src").join(format!("rustc-{version}")).join("library");
        run(Command::new("cp").args(["--recursive", "--no-target-directory"]).args([&library, &partial]))?;
        fs::rename(&partial, target.join("library")).with_context(|| format!("filling {}", target.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("APT_CONFIG", self.folder.path().join("apt.conf"));
        command
    }
}
