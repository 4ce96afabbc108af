//! A small root with the real dpkg: what the tests install into. Made of this machine's own programs in a fraction of a
//! second, where debootstrap takes a minute.

use crate::succeed;
use anyhow::{Context as _, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What dpkg insists on, and what maintainer scripts may use.
const PROGRAMS: [&str; 22] = [
    "bash",
    "cat",
    "chmod",
    "cp",
    "date",
    "diff",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "dpkg-split",
    "dpkg-trigger",
    "grep",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sh",
    "sleep",
    "tar",
    "touch",
];
const SYSTEM_PROGRAMS: [&str; 2] = ["ldconfig", "start-stop-daemon"];
const OS_RELEASE: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";

/// A root with dpkg and no packages.
pub struct DebianRoot {
    folder: TempDir,
}

impl DebianRoot {
    /// Why there can be none on this machine, if so.
    #[must_use]
    pub fn obstacle() -> Option<&'static str> {
        let is_there = |program: &&str| find(program).is_ok();
        if !PROGRAMS.iter().chain(&SYSTEM_PROGRAMS).all(is_there) {
            return Some("dpkg is not installed");
        }
        let is_root = succeed(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        (!is_root).then_some("only root can chroot")
    }

    /// Makes one.
    ///
    /// # Errors
    /// When a program is missing or the disk is full.
    pub fn make() -> anyhow::Result<Self> {
        let root = Self { folder: tempfile::tempdir()? };
        for folder in ["usr/bin", "usr/sbin", "usr/lib", "etc", "dev", "proc", "run", "tmp", "var/cache", "var/log"] {
            fs::create_dir_all(root.path().join(folder))?;
        }
        for folder in ["info", "updates", "triggers", "alternatives"] {
            fs::create_dir_all(root.path().join("var/lib/dpkg").join(folder))?;
        }
        for link in ["bin", "sbin"] {
            symlink(format!("usr/{link}"), root.path().join(link))?;
        }
        let mut libraries = BTreeSet::new();
        for (folder, programs) in [("usr/bin", &PROGRAMS[..]), ("usr/sbin", &SYSTEM_PROGRAMS[..])] {
            for program in programs {
                let file = find(program)?;
                fs::copy(&file, root.path().join(folder).join(program))?;
                libraries.extend(libraries_of(&file)?);
            }
        }
        for library in libraries {
            let copy = root.path().join(library.strip_prefix("/")?);
            fs::create_dir_all(copy.parent().context("a library has a folder")?)?;
            fs::copy(&library, copy)?;
        }
        let architecture = succeed(Command::new("dpkg").arg("--print-architecture"))?;
        fs::write(root.path().join("var/lib/dpkg/arch"), architecture)?;
        fs::write(root.path().join("var/lib/dpkg/status"), "")?;
        fs::write(root.path().join("var/lib/dpkg/available"), "")?;
        fs::write(root.path().join("etc/os-release"), OS_RELEASE)?;
        fs::write(root.path().join("dev/null"), "")?;
        Ok(root)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Installs packages with dpkg itself.
    ///
    /// # Errors
    /// When dpkg fails.
    pub fn install(&self, packages: &[PathBuf]) -> anyhow::Result<()> {
        for package in packages {
            fs::copy(package, self.path().join("tmp/package.deb"))?;
            succeed(self.dpkg().args(["--install", "/tmp/package.deb"]))?;
        }
        Ok(())
    }

    /// The installed version of a package, if it is installed and configured.
    ///
    /// # Errors
    /// When dpkg-query cannot be run.
    pub fn version_of(&self, package: &str) -> anyhow::Result<Option<String>> {
        let mut query = self.chroot("dpkg-query");
        let output = query.args(["--show", "--showformat", "${db:Status-Status} ${Version}", package]).output()?;
        let line = String::from_utf8(output.stdout)?;
        Ok(line.strip_prefix("installed ").map(str::to_owned))
    }

    /// Whether dpkg finds nothing half done.
    ///
    /// # Errors
    /// With what it finds.
    pub fn audit(&self) -> anyhow::Result<()> {
        let found = succeed(self.dpkg().arg("--audit"))?;
        ensure!(found.is_empty(), "dpkg --audit finds:\n{found}");
        Ok(())
    }

    /// What a file of the root holds; empty where there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path.trim_start_matches('/'))).unwrap_or_default()
    }

    fn dpkg(&self) -> Command {
        let mut dpkg = self.chroot("dpkg");
        dpkg.env("DEBIAN_FRONTEND", "noninteractive");
        dpkg
    }

    fn chroot(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.path()).arg(program).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command
    }
}

fn find(program: &str) -> anyhow::Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Path::new);
    let file = folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file());
    Ok(file.with_context(|| format!("{program} is not installed"))?.canonicalize()?)
}

/// The shared libraries of a program; none of a static one.
fn libraries_of(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
