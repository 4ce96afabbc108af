//! The plugin beside this machine's rpm and sqlite3: both have to see the same packages.

use crate::support::{SMALL, database_with_log, fedora, open};
use farrier_plugin_rpm::Rpm;
use farrier_plugin_sdk::FolderRoot;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A root with an rpm database.
struct Root(TempDir);

impl Root {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let root = Self(TempDir::new().unwrap());
        fs::create_dir_all(root.folder()).unwrap();
        files.iter().for_each(|(name, content)| fs::write(root.folder().join(name), content).unwrap());
        root
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("var/lib/rpm")
    }

    /// What the plugin sees.
    fn scan(&self) -> Rpm {
        open(FolderRoot::new(self.0.path())).unwrap()
    }

    /// The packages as rpm lists them, sorted.
    fn rpm_says(&self) -> Vec<String> {
        let format = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n";
        let rpm =
            Command::new("rpm").arg("--dbpath").arg(self.folder()).args(["-qa", "--qf", format]).output().unwrap();
        assert!(rpm.status.success(), "{}", String::from_utf8_lossy(&rpm.stderr));
        let text = String::from_utf8(rpm.stdout).unwrap();
        let packages = text.lines().filter(|line| !line.starts_with("gpg-pubkey "));
        sorted(packages.map(str::to_owned).collect())
    }

    fn plugin_says(&self) -> Vec<String> {
        let scan = self.scan();
        let line = |package: &farrier_plugin_rpm::Package| {
            let epoch = if package.evr.contains(':') { "" } else { "0:" };
            format!("{} {epoch}{} {}", package.name, package.evr, package.architecture)
        };
        sorted(scan.packages().iter().map(line).collect())
    }

    fn sqlite(&self, statements: &str) {
        sqlite(&self.folder().join("rpmdb.sqlite"), statements);
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn sqlite(database: &Path, statements: &str) {
    let mut sqlite =
        Command::new("sqlite3").arg("-bail").arg(database).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    sqlite.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    assert!(sqlite.wait().unwrap().success(), "{statements}");
}

/// Whether the program is there; says so past the test harness if it is not.
fn has(program: &str, test: &str) -> bool {
    let has = Command::new(program).arg("--version").output().is_ok();
    if !has {
        let line = format!("SKIPPED {test}: there is no {program}; the databases that it once made were read.\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    has
}

#[test]
fn rpm_and_the_plugin_see_the_same_packages() {
    if !has("rpm", "rpm_and_the_plugin_see_the_same_packages") {
        return;
    }
    let (database, log) = database_with_log();
    for files in [
        [("rpmdb.sqlite", &*fedora())].as_slice(),
        &[("rpmdb.sqlite", &database)],
        &[("rpmdb.sqlite", &database), ("rpmdb.sqlite-wal", &log)],
    ] {
        // rpm changes what it reads: the plugin comes first, and then once more.
        let root = Root::new(files);
        let first = root.plugin_says();
        assert_eq!(first, root.rpm_says());
        assert_eq!(first, root.plugin_says());
    }
}

#[test]
fn this_machines_rpm_removes_packages_and_the_plugin_sees_it() {
    if !has("rpm", "this_machines_rpm_removes_packages_and_the_plugin_sees_it") {
        return;
    }
    let root = Root::new(&[("rpmdb.sqlite", &fedora())]);
    for name in ["kernel-core-6.11.3-200.fc40", "openssl", "documents"] {
        let rpm = Command::new("rpm")
            .arg("--dbpath")
            .arg(root.folder())
            .args(["-e", "--justdb", "--nodeps", name])
            .output()
            .unwrap();
        assert!(rpm.status.success(), "{}", String::from_utf8_lossy(&rpm.stderr));
        let (plugin, rpm) = (root.plugin_says(), root.rpm_says());
        assert!(plugin == rpm && !plugin.iter().any(|line| line.starts_with(&format!("{name} "))), "{plugin:?}");
    }
}

#[test]
fn large_trees_and_pages_of_every_size_are_read() {
    if !has("sqlite3", "large_trees_and_pages_of_every_size_are_read") {
        return;
    }
    let root = Root::new(&[("rpmdb.sqlite", SMALL)]);
    root.sqlite(
        "INSERT INTO Packages (blob) SELECT blob FROM Packages, \
         (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) SELECT i FROM n); \
         DELETE FROM Packages WHERE hnum % 7 = 0;",
    );
    let expected = root.scan().packages().len();
    assert!(expected > 5000, "{expected}");
    for size in [512, 1024, 4096, 65_536] {
        for vacuum in [0, 1, 2] {
            root.sqlite(&format!("PRAGMA auto_vacuum = {vacuum}; PRAGMA page_size = {size}; VACUUM;"));
            assert_eq!(root.scan().packages().len(), expected, "{size} {vacuum}");
        }
    }
}

#[test]
fn what_sqlite_has_not_committed_does_not_count() {
    if !has("sqlite3", "what_sqlite_has_not_committed_does_not_count") {
        return;
    }
    let root = Root::new(&[("rpmdb.sqlite", SMALL)]);
    let copy = Root::new(&[]);
    // The shell copies the files in the middle of what it does: first with a transaction that is open and larger than
    // its cache, then with one that is committed and in the log.
    let copies = |name: &str| {
        let (from, to) = (root.folder().display().to_string(), copy.folder().join(name).display().to_string());
        format!(".shell mkdir {to} && cp {from}/rpmdb.sqlite {from}/rpmdb.sqlite-wal {to}\n")
    };
    root.sqlite(&format!(
        "PRAGMA journal_mode = WAL;\nPRAGMA wal_autocheckpoint = 0;\nPRAGMA cache_size = 2;\n\
         DELETE FROM Packages WHERE hnum = 1;\n\
         BEGIN;\nINSERT INTO Packages (blob) SELECT blob FROM Packages;\n{}COMMIT;\n{}",
        copies("open"),
        copies("committed"),
    ));
    let count = |name: &str| {
        let read = |file: &str| fs::read(copy.folder().join(name).join(file)).unwrap();
        let (database, log) = (read("rpmdb.sqlite"), read("rpmdb.sqlite-wal"));
        assert!(log.len() > 4096, "{name}");
        Root::new(&[("rpmdb.sqlite", &database), ("rpmdb.sqlite-wal", &log)]).scan().packages().len()
    };
    assert_eq!((count("open"), count("committed")), (10, 20));
}
