//! A Debian that never was: the same on every machine.

use super::Package;
use std::fmt::Write as _;
use tempfile::TempDir;

/// The architecture of the sample.
pub const ARCHITECTURE: &str = "amd64";
/// Source packages, with two binary packages each.
const SOURCES: u32 = 33_000;
/// Each source of this number has its first binary installed.
const INSTALLED_EVERY: u32 = 47;
/// Each installed package of this number is older than the update.
const OUTDATED_EVERY: u32 = 10;

/// The endpoint and the packages of its suite.
pub fn endpoint() -> (TempDir, Vec<Package>) {
    let (mut packages, mut status) = (Vec::new(), String::new());
    for number in 0..SOURCES {
        let version = format!("{}.{}.{}-{}", number % 7, number % 41, number % 3, number % 5 + 1);
        for (name, all) in [(format!("package-{number:05}"), false), (format!("package-{number:05}-doc"), true)] {
            let (source, source_version) = (format!("source-{number:05}"), version.clone());
            packages.push(Package { source, source_version, name, version: version.clone(), all });
        }
        if number % INSTALLED_EVERY == 0 {
            let outdated = (number / INSTALLED_EVERY).is_multiple_of(OUTDATED_EVERY);
            let installed = if outdated { format!("{version}~rc1") } else { version };
            let _ = write!(
                status,
                "Package: package-{number:05}\nStatus: install ok installed\nArchitecture: {ARCHITECTURE}\n\
                 Version: {installed}\nDescription: a package that never was\n of which there is nothing to say\n\n"
            );
        }
    }
    (write(&status), packages)
}

fn write(status: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["etc", "var/lib/dpkg"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    std::fs::write(root.path().join("etc/os-release"), "ID=debian\nVERSION_CODENAME=sample\n").unwrap();
    std::fs::write(root.path().join("var/lib/dpkg/arch"), format!("{ARCHITECTURE}\n")).unwrap();
    std::fs::write(root.path().join("var/lib/dpkg/status"), status).unwrap();
    root
}
