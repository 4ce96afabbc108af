use super::super::content::tests::{blob, contents};
use super::*;
use crate::limits::Limits;
use crate::manifest::Manifest;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

struct Stage {
    root: TempDir,
    outside: TempDir,
    writer: Writer,
    time: Time,
}

/// `/opt` may be written, and nothing else.
fn stage() -> Stage {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(root.path().join("opt/app")).unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/passwd"), "root").unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let manifest = Manifest { write: vec!["/opt/**".to_owned()], ..Manifest::sample() };
    let writer =
        Writer::new(&Endpoint::open(root.path()).unwrap(), Grants::to_write(&manifest, ["/**"], ["/**"]).unwrap());
    Stage { root, outside, writer, time: Time::starting_now(Duration::from_secs(600), &Limits::default()) }
}

impl Stage {
    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn replace(&self, path: &str, mode: u32) -> Result<(), Error> {
        self.writer.replace(path, Source::Bytes(b"new".to_vec()), mode, &self.time).unwrap()
    }

    fn rename(&self, old: &str, new: &str) -> Result<(), Error> {
        self.writer.rename(old, new, &self.time).unwrap()
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        self.writer.change(path, &self.time, |root, path| Ok(remove(root, path)?)).unwrap()
    }

    fn set_mode(&self, path: &str, mode: u32) -> Result<(), Error> {
        self.writer.change(path, &self.time, move |root, path| Ok(set_mode(root, path, mode)?)).unwrap()
    }

    fn make_folder(&self, path: &str) -> Result<(), Error> {
        self.writer.make_folder(path, 0o755, &self.time).unwrap()
    }

    /// Every change that takes a path, of this path.
    fn every_change(&self, path: &str) -> [Result<(), Error>; 6] {
        std::fs::write(self.path("/opt/source"), "source").unwrap();
        [
            self.replace(path, 0o644),
            self.rename(path, "/opt/renamed"),
            self.rename("/opt/source", path),
            self.remove(path),
            self.set_mode(path, 0o600),
            self.make_folder(&format!("{path}/folder")),
        ]
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn a_file_is_replaced_as_a_whole_with_its_mode() {
    let stage = stage();
    std::fs::write(stage.path("/opt/app/tool"), "an older and longer one").unwrap();
    let before = File::open(stage.path("/opt/app/tool")).unwrap();
    for path in ["/opt/app/tool", "/opt/app/other"] {
        assert_eq!(stage.replace(path, 0o755), Ok(()));
        assert_eq!(std::fs::read(stage.path(path)).unwrap(), b"new");
        assert_eq!(mode(&stage.path(path)), 0o755);
    }
    // Whoever has the old one open still has it.
    assert_eq!(before.metadata().unwrap().len(), 23);
    assert_eq!(std::fs::read_dir(stage.path("/opt/app")).unwrap().count(), 2, "nothing is left over");
}

#[test]
fn a_blob_is_put_in_place_or_nothing_is() {
    let (stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let file = blob(&folder, "tool", b"from a blob");
    let content = contents(std::slice::from_ref(&file)).remove(0);
    let replace =
        |content: &Content| stage.writer.replace("/opt/tool", Source::Content(content.clone()), 0o755, &stage.time);
    assert_eq!(replace(&content).unwrap(), Ok(()));
    assert_eq!(std::fs::read(stage.path("/opt/tool")).unwrap(), b"from a blob");
    std::fs::write(&file.path, b"from an evil").unwrap();
    assert!(replace(&content).unwrap_err().downcast_ref::<ContentError>().is_some());
    assert_eq!(std::fs::read(stage.path("/opt/tool")).unwrap(), b"from a blob");
    assert_eq!(std::fs::read_dir(stage.path("/opt")).unwrap().count(), 2, "nothing is left over");
}

#[test]
fn what_is_not_granted_is_not_touched() {
    let stage = stage();
    for path in ["/etc/passwd", "/etc/new", "/opt", "/"] {
        for (index, change) in stage.every_change(path).into_iter().enumerate() {
            if index == 5 && path == "/opt" {
                continue; // A folder in it is granted.
            }
            assert!(matches!(change, Err(Error::Denied(_))), "{path} {index}: {change:?}");
        }
    }
    assert_eq!(std::fs::read(stage.path("/etc/passwd")).unwrap(), b"root");
    for path in ["/opt/../etc/passwd", "opt/x", "/opt/\0", ""] {
        assert!(matches!(stage.replace(path, 0o644), Err(Error::Invalid(_))), "{path}");
    }
}

#[test]
fn no_link_leads_out_of_a_grant() {
    let stage = stage();
    symlink(stage.outside.path(), stage.path("/opt/absolute")).unwrap();
    symlink("../etc", stage.path("/opt/relative")).unwrap();
    symlink("/etc", stage.path("/opt/rooted")).unwrap();
    symlink("../../../../../../../../etc", stage.path("/opt/above")).unwrap();
    symlink("/proc/self/cwd", stage.path("/opt/magic")).unwrap();
    // Also not one that stays inside: which file would be meant?
    symlink("app", stage.path("/opt/inside")).unwrap();
    std::fs::write(stage.path("/opt/app/secret"), "app").unwrap();
    for folder in ["absolute", "relative", "rooted", "above", "magic", "inside"] {
        for name in ["passwd", "secret", "new"] {
            for change in stage.every_change(&format!("/opt/{folder}/{name}")) {
                let Err(Error::Invalid(reason)) = change else { panic!("{folder}/{name}: {change:?}") };
                assert!(reason.contains("is a link"), "{reason}");
            }
        }
    }
    assert_eq!(std::fs::read(stage.path("/etc/passwd")).unwrap(), b"root");
    assert_eq!(std::fs::read(stage.outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(stage.outside.path()).unwrap().count(), 1);
}

#[test]
fn a_link_in_a_files_place_is_replaced_or_removed_itself() {
    let stage = stage();
    let secret = stage.outside.path().join("secret");
    let link = |name: &str| symlink(&secret, stage.path(name)).unwrap();
    ["/opt/a", "/opt/b", "/opt/c", "/opt/d"].into_iter().for_each(link);
    assert_eq!(stage.replace("/opt/a", 0o644), Ok(()));
    assert_eq!(stage.remove("/opt/b"), Ok(()));
    assert_eq!(stage.rename("/opt/a", "/opt/c"), Ok(()));
    assert!(matches!(stage.set_mode("/opt/d", 0o777), Err(Error::Invalid(reason)) if reason.contains("is a link")));
    assert_eq!(std::fs::read(stage.path("/opt/c")).unwrap(), b"new");
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    assert_ne!(mode(&secret), 0o777);
}

#[test]
fn a_file_with_another_name_elsewhere_keeps_its_mode_and_content() {
    let stage = stage();
    std::fs::hard_link(stage.path("/etc/passwd"), stage.path("/opt/hard")).unwrap();
    let before = mode(&stage.path("/etc/passwd"));
    assert!(matches!(stage.set_mode("/opt/hard", 0o777), Err(Error::Invalid(_))));
    assert_eq!(stage.replace("/opt/hard", 0o777), Ok(()));
    assert_eq!(mode(&stage.path("/etc/passwd")), before);
    assert_eq!(std::fs::read(stage.path("/etc/passwd")).unwrap(), b"root");
}

#[test]
fn no_program_is_made_that_runs_as_somebody_else() {
    let stage = stage();
    for mode in [0o4755, 0o2755, 0o1777, u32::MAX] {
        assert!(matches!(stage.replace("/opt/tool", mode), Err(Error::Invalid(_))));
        assert!(matches!(stage.writer.make_folder("/opt/x", mode, &stage.time).unwrap(), Err(Error::Invalid(_))));
    }
}

#[test]
fn folders_are_made_inside_the_grant_only() {
    let stage = stage();
    assert_eq!(stage.make_folder("/opt/a/b/c"), Ok(()));
    assert_eq!(stage.make_folder("/opt/a/b/c"), Ok(()));
    assert_eq!(mode(&stage.path("/opt/a/b")), 0o755);
    std::fs::remove_dir_all(stage.path("/opt")).unwrap();
    let error = stage.make_folder("/opt/a").unwrap_err();
    assert!(
        matches!(&error, Error::Other(reason) if reason.contains("does not ask for it: add \"/opt\"")),
        "{error:?}"
    );
    assert!(!stage.path("/opt").exists());
}

#[test]
fn folders_are_not_files_and_what_is_missing_is_named() {
    let stage = stage();
    for change in [
        stage.replace("/opt/app", 0o644),
        stage.remove("/opt/app"),
        stage.rename("/opt/app", "/opt/b"),
        stage.set_mode("/opt/app", 0o700),
    ] {
        assert!(matches!(change, Err(Error::Invalid(_))), "{change:?}");
    }
    for change in [
        stage.remove("/opt/none"),
        stage.rename("/opt/none", "/opt/b"),
        stage.set_mode("/opt/none", 0o600),
        stage.replace("/opt/none/file", 0o644),
    ] {
        assert!(matches!(change, Err(Error::NotFound(_))), "{change:?}");
    }
}

#[test]
fn paths_are_taken_apart_with_their_ends() {
    assert_eq!(parts("/opt/a/b").collect::<Vec<_>>(), [(4, "opt"), (6, "a"), (8, "b")]);
    assert_eq!(parts("/").count(), 0);
}
