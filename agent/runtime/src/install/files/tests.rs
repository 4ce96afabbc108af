use super::super::content::tests::{blob, contents};
use super::change::parts;
use super::*;
use crate::manifest::{Manifest, Request};
use rustix::fs::{FileType, Mode};
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
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
    granting(&["/opt/**"])
}

/// These may be written.
fn granting(write: &[&str]) -> Stage {
    stage_of(write, InstallCall::Install)
}

fn stage_of(write: &[&str], call: InstallCall) -> Stage {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(root.path().join("opt/app")).unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/passwd"), "root").unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let manifest = Manifest { write: Request::all(write), ..Manifest::sample() };
    let (endpoint, limits) = (Endpoint::open(root.path()).unwrap(), Limits::default());
    let writer = Writer::new(&endpoint, Grants::to_write(&manifest, ["/**"], ["/**"]).unwrap(), call, &limits);
    Stage { root, outside, writer, time: Time::starting_now(Duration::from_secs(600), &limits) }
}

impl Stage {
    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn folder(&mut self, path: &str) -> Result<Resource<OpenFolder>, Error> {
        self.writer.open_folder(path, &self.time).unwrap()
    }

    /// Does this in a folder.
    fn in_folder<T>(
        &mut self,
        path: &str,
        work: impl FnOnce(&mut Writer, &Resource<OpenFolder>, &Time) -> Answer<T>,
    ) -> Result<T, Error> {
        let folder = self.folder(path)?;
        let answer = work(&mut self.writer, &folder, &self.time);
        self.writer.open.delete(folder).unwrap();
        answer.unwrap()
    }

    /// Does this to a path, named from the folder above it; the root's name is what is left of nothing.
    fn at<T>(
        &mut self,
        path: &str,
        work: impl FnOnce(&mut Writer, &Resource<OpenFolder>, &str, &Time) -> Answer<T>,
    ) -> Result<T, Error> {
        let (above, name) = path.rsplit_once('/').unwrap();
        let above = if above.is_empty() { "/" } else { above };
        self.in_folder(above, |writer, folder, time| work(writer, folder, name, time))
    }

    fn replace(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        let source = || Source::Bytes(b"new".to_vec());
        self.at(path, |writer, folder, name, time| writer.replace(folder, name, source(), mode, time))
    }

    /// Both paths as names in the root.
    fn rename(&mut self, old: &str, new: &str) -> Result<(), Error> {
        let names = [old, new].map(|path| path.trim_start_matches('/'));
        self.in_folder("/", |writer, root, time| writer.rename(root, names, time, change::rename))
    }

    fn exchange(&mut self, one: &str, other: &str) -> Result<(), Error> {
        let names = [one, other].map(|path| path.trim_start_matches('/'));
        self.in_folder("/", |writer, root, time| writer.rename(root, names, time, change::exchange))
    }

    fn remove(&mut self, path: &str) -> Result<(), Error> {
        self.at(path, |writer, folder, name, time| {
            writer.change(folder, name, time, |root, path| Ok(change::remove(root, path)?))
        })
    }

    fn sync(&mut self, path: &str) -> Result<(), Error> {
        self.in_folder(path, |writer, folder, time| {
            let path = writer.open.get(folder)?.path.clone();
            writer.within(&path.clone(), time, move |root, _| Ok(change::sync(&change::folder(root, &path)?)?))
        })
    }

    fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        self.at(path, |writer, folder, name, time| writer.set_mode(folder, name, mode, time))
    }

    fn make_folder(&mut self, path: &str) -> Result<(), Error> {
        self.make_folder_with(path, 0o755)
    }

    fn make_folder_with(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        let name = path.trim_start_matches('/').to_owned();
        self.in_folder("/", |writer, root, time| writer.make_folder(root, &name, mode, time))
    }

    fn open(&mut self, path: &str) -> Result<OpenTarget, Error> {
        let target = self.at(path, |writer, folder, name, time| writer.open(folder, name, time))?;
        Ok(self.writer.open.delete(target).unwrap())
    }

    fn create(&mut self, path: &str, mode: u32) -> Result<OpenTarget, Error> {
        let target = self.at(path, |writer, folder, name, time| writer.create(folder, name, mode, time))?;
        Ok(self.writer.open.delete(target).unwrap())
    }

    /// Every change that takes a path, of this path.
    fn every_change(&mut self, path: &str) -> [Result<(), Error>; 9] {
        std::fs::write(self.path("/opt/source"), "source").unwrap();
        [
            self.replace(path, 0o644),
            self.rename(path, "/opt/renamed"),
            self.rename("/opt/source", path),
            self.exchange(path, "/opt/source"),
            self.remove(path),
            self.set_mode(path, 0o600),
            self.open(path).map(drop),
            self.create(path, 0o600).map(drop),
            self.make_folder(&format!("{path}/folder")),
        ]
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn a_file_is_replaced_as_a_whole_with_its_mode() {
    let mut stage = stage();
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
    let (mut stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let file = blob(&folder, "tool", b"from a blob");
    let content = contents(std::slice::from_ref(&file)).remove(0);
    let opt = stage.folder("/opt").unwrap();
    let replace =
        |content: &Content| stage.writer.replace(&opt, "tool", Source::Content(content.clone()), 0o755, &stage.time);
    assert_eq!(replace(&content).unwrap(), Ok(()));
    assert_eq!(std::fs::read(stage.path("/opt/tool")).unwrap(), b"from a blob");
    std::fs::write(&file.path, b"from an evil").unwrap();
    assert!(replace(&content).unwrap_err().downcast_ref::<ContentError>().is_some());
    assert_eq!(std::fs::read(stage.path("/opt/tool")).unwrap(), b"from a blob");
    assert_eq!(std::fs::read_dir(stage.path("/opt")).unwrap().count(), 2, "nothing is left over");
}

#[test]
fn what_is_not_granted_is_not_touched() {
    let mut stage = stage();
    for path in ["/etc/passwd", "/etc/new", "/opt"] {
        let changes = stage.every_change(path);
        for (index, change) in changes.into_iter().enumerate() {
            if index == 8 && path == "/opt" {
                continue; // A folder in it is granted.
            }
            assert!(matches!(change, Err(Error::Denied(_))), "{path} {index}: {change:?}");
        }
    }
    assert_eq!(std::fs::read(stage.path("/etc/passwd")).unwrap(), b"root");
    assert_eq!(std::fs::read_dir(stage.path("/etc")).unwrap().count(), 1);
}

#[test]
fn what_is_in_the_root_itself_is_changed_like_anything_else() {
    let mut stage = granting(&["/kiosk", "/renamed", "/opt", "/opt/**"]);
    std::fs::remove_dir_all(stage.path("/opt")).unwrap();
    for change in [
        stage.replace("/kiosk", 0o644),
        stage.rename("/kiosk", "/renamed"),
        stage.replace("/kiosk", 0o644),
        stage.exchange("/kiosk", "/renamed"),
        stage.set_mode("/kiosk", 0o600),
        stage.open("/kiosk").map(drop),
        stage.remove("/renamed"),
        stage.create("/renamed", 0o600).map(drop),
        stage.make_folder("/opt/x"),
        stage.sync("/"),
    ] {
        assert_eq!(change, Ok(()));
    }
    assert!(stage.path("/opt/x").is_dir());
}

#[test]
fn before_it_is_time_nothing_is_changed() {
    let mut stage = stage_of(&["/**"], InstallCall::Plan);
    std::fs::write(stage.path("/opt/file"), "file").unwrap();
    for change in stage.every_change("/opt/file").into_iter().enumerate() {
        match change {
            // What a plan has to know of a slot is how large it is.
            (6, opened) => assert_eq!(opened, Ok(())),
            (_, change) => assert_eq!(change, Err(Error::Denied("a plan changes nothing".to_owned()))),
        }
    }
    let write = stage.at("/opt/file", |writer, folder, name, time| {
        let target = writer.open(folder, name, time)?.unwrap();
        assert_eq!(writer.with_target(&target, time, |target, _| Ok(target.length()?))?, Ok(4));
        writer.write(&target, time, |target, _| Ok(target.write(0, b"new")?))
    });
    assert_eq!(write, Err(Error::Denied("a plan changes nothing".to_owned())));
    assert_eq!(std::fs::read(stage.path("/opt/file")).unwrap(), b"file");
    // And who only selects does not even get that far.
    assert!(matches!(stage_of(&["/**"], InstallCall::Select).folder("/opt"), Err(Error::Denied(_))));
}

#[test]
fn what_is_not_ready_in_time_is_not_put_in_place() {
    let (stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let content = contents(&[blob(&folder, "large", &[7; 100_000])]).remove(0);
    let over = Time::starting_now(Duration::ZERO, &Limits::default()).without_grace();
    for source in [Source::Bytes(b"new".to_vec()), Source::Content(content)] {
        let replaced = stage
            .writer
            .within("/opt/file", &stage.time, move |root, _| change::replace(root, "/opt/file", &source, 0o644, &over));
        assert!(matches!(replaced.unwrap(), Err(Error::Other(reason)) if reason.contains("time of the installation")));
        assert_eq!(std::fs::read_dir(stage.path("/opt")).unwrap().count(), 1, "nothing is left over");
    }
}

/// What is wrong with it could be said at length, and by the host.
#[test]
fn a_name_is_refused_for_its_length_first() {
    for name in ["/".to_owned() + &"\u{7f}".repeat(1 << 20), "./".repeat(1 << 19)] {
        assert!(inside("/opt", &name).unwrap_err().starts_with("a path of 1048"));
    }
}

#[test]
fn a_name_is_one_in_its_folder_and_nothing_else() {
    let mut stage = stage();
    for name in ["", ".", "./.", "/", "/etc/passwd", "..", "../etc/passwd", "app/../x", "a\0b", &"x".repeat(2000)] {
        let opt = stage.folder("/opt").unwrap();
        let answer = stage.writer.replace(&opt, name, Source::Bytes(b"new".to_vec()), 0o644, &stage.time).unwrap();
        assert!(matches!(answer, Err(Error::Invalid(_))), "{name}: {answer:?}");
        stage.writer.open.delete(opt).unwrap();
    }
    let opt = stage.folder("//opt/./").unwrap();
    let replaced = stage.writer.replace(&opt, ".//app/./tool", Source::Bytes(b"new".to_vec()), 0o644, &stage.time);
    assert_eq!(replaced.unwrap(), Ok(()));
    assert_eq!(std::fs::read(stage.path("/opt/app/tool")).unwrap(), b"new");
}

#[test]
fn only_folders_with_something_granted_are_opened() {
    let mut stage = stage();
    symlink("/opt", stage.path("/opt/link")).unwrap();
    for (path, error) in [("/etc", "Denied"), ("/opt/none", "NotFound"), ("/opt/link", "Invalid"), ("opt", "Invalid")] {
        let opened = format!("{:?}", stage.folder(path).map(drop).unwrap_err());
        assert!(opened.contains(&format!("{error}(")), "{path}: {opened}");
    }
    for path in ["/", "/opt", "/opt/app", "/opt/app/"] {
        assert!(stage.folder(path).is_ok(), "{path}");
    }
}

#[test]
fn a_folder_that_was_moved_takes_no_grant_along() {
    let mut stage = stage();
    let app = stage.folder("/opt/app").unwrap();
    std::fs::rename(stage.path("/opt/app"), stage.path("/etc/app")).unwrap();
    let replaced = stage.writer.replace(&app, "tool", Source::Bytes(b"new".to_vec()), 0o644, &stage.time).unwrap();
    assert!(matches!(replaced, Err(Error::NotFound(_))), "{replaced:?}");
    symlink("../etc/app", stage.path("/opt/app")).unwrap();
    let replaced = stage.writer.replace(&app, "tool", Source::Bytes(b"new".to_vec()), 0o644, &stage.time).unwrap();
    assert!(matches!(replaced, Err(Error::Invalid(_))), "{replaced:?}");
    assert_eq!(std::fs::read_dir(stage.path("/etc/app")).unwrap().count(), 0);
}

#[test]
fn what_is_open_at_once_is_limited() {
    let mut stage = stage();
    let most = Limits::default().open_targets;
    for _ in 0..most {
        stage.folder("/opt").unwrap();
    }
    assert!(matches!(stage.folder("/opt"), Err(Error::TooLarge(_))));
}

#[test]
fn no_link_leads_out_of_a_grant() {
    let mut stage = stage();
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
    let mut stage = stage();
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
    let mut stage = stage();
    std::fs::hard_link(stage.path("/etc/passwd"), stage.path("/opt/hard")).unwrap();
    let before = mode(&stage.path("/etc/passwd"));
    assert!(matches!(stage.set_mode("/opt/hard", 0o777), Err(Error::Invalid(_))));
    assert!(matches!(stage.open("/opt/hard"), Err(Error::Invalid(_))));
    assert_eq!(stage.replace("/opt/hard", 0o777), Ok(()));
    assert_eq!(mode(&stage.path("/etc/passwd")), before);
    assert_eq!(std::fs::read(stage.path("/etc/passwd")).unwrap(), b"root");
}

#[test]
fn no_program_is_made_that_runs_as_somebody_else() {
    let mut stage = stage();
    for mode in [0o4755, 0o2755, 0o1777, u32::MAX] {
        assert!(matches!(stage.replace("/opt/tool", mode), Err(Error::Invalid(_))));
        assert!(matches!(stage.make_folder_with("/opt/x", mode), Err(Error::Invalid(_))));
        assert!(matches!(stage.create("/opt/x", mode), Err(Error::Invalid(_))));
        assert!(matches!(stage.set_mode("/opt/app", mode), Err(Error::Invalid(_))));
    }
}

#[test]
fn folders_are_made_inside_the_grant_only() {
    let mut stage = stage();
    assert_eq!(stage.make_folder("/opt/a/b/c"), Ok(()));
    assert_eq!(stage.make_folder("/opt/a/b/c"), Ok(()));
    assert_eq!(mode(&stage.path("/opt/a/b")), 0o755);
    std::fs::remove_dir_all(stage.path("/opt")).unwrap();
    let error = stage.make_folder("/opt/a").unwrap_err();
    assert!(
        matches!(&error, Error::Denied(reason) if reason.contains("does not ask for it: add \"/opt\"")),
        "{error:?}"
    );
    assert!(!stage.path("/opt").exists());
}

#[test]
fn folders_are_not_files_and_what_is_missing_is_named() {
    let mut stage = stage();
    std::fs::write(stage.path("/opt/file"), "file").unwrap();
    for change in [
        stage.replace("/opt/app", 0o644),
        stage.rename("/opt/file", "/opt/app"),
        stage.set_mode("/opt/app", 0o700),
        stage.open("/opt/app").map(drop),
    ] {
        assert!(matches!(change, Err(Error::Invalid(_))), "{change:?}");
    }
    for change in [
        stage.remove("/opt/none"),
        stage.rename("/opt/none", "/opt/b"),
        stage.exchange("/opt/none", "/opt/file"),
        stage.exchange("/opt/file", "/opt/none"),
        stage.set_mode("/opt/none", 0o600),
        stage.open("/opt/none").map(drop),
        stage.replace("/opt/none/file", 0o644),
        stage.create("/opt/none/file", 0o644).map(drop),
    ] {
        assert!(matches!(change, Err(Error::NotFound(_))), "{change:?}");
    }
}

#[test]
fn a_folder_is_removed_when_it_is_empty_and_renamed_with_all_that_is_in_it() {
    let mut stage = stage();
    std::fs::write(stage.path("/opt/app/tool"), "tool").unwrap();
    assert!(matches!(stage.remove("/opt/app"), Err(Error::Other(_))));
    assert_eq!(stage.rename("/opt/app", "/opt/moved"), Ok(()));
    assert_eq!(std::fs::read(stage.path("/opt/moved/tool")).unwrap(), b"tool");
    assert_eq!(stage.remove("/opt/moved/tool"), Ok(()));
    assert_eq!(stage.remove("/opt/moved"), Ok(()));
    assert!(!stage.path("/opt/moved").exists());
}

#[test]
fn two_names_are_exchanged_at_once() {
    let mut stage = stage();
    std::fs::write(stage.path("/opt/app/tool"), "tool").unwrap();
    std::fs::create_dir(stage.path("/opt/next")).unwrap();
    assert_eq!(stage.exchange("/opt/app", "/opt/next"), Ok(()));
    assert!(stage.path("/opt/next/tool").exists() && !stage.path("/opt/app/tool").exists());
    std::fs::write(stage.path("/opt/file"), "file").unwrap();
    assert_eq!(stage.exchange("/opt/file", "/opt/next/tool"), Ok(()));
    assert_eq!(std::fs::read(stage.path("/opt/file")).unwrap(), b"tool");
}

/// Else what is in it could be reached under another name.
#[test]
fn a_folder_of_which_only_the_name_is_granted_stays_where_it_is() {
    let mut stage = granting(&["/opt/*", "/opt/app/**", "/etc", "/etc/x"]);
    std::fs::create_dir(stage.path("/opt/foreign")).unwrap();
    std::fs::write(stage.path("/opt/foreign/secret"), "secret").unwrap();
    for change in [
        stage.rename("/opt/foreign", "/opt/app/mine"),
        stage.rename("/opt/foreign", "/opt/mine"),
        stage.rename("/opt/app", "/opt/mine"),
        stage.exchange("/opt/foreign", "/opt/app"),
        stage.exchange("/opt/app", "/opt/foreign"),
        stage.rename("/etc", "/opt/app/etc"),
    ] {
        assert!(matches!(change, Err(Error::Denied(_))), "{change:?}");
    }
    assert_eq!(std::fs::read(stage.path("/opt/foreign/secret")).unwrap(), b"secret");
    // A file has nothing in it.
    std::fs::write(stage.path("/opt/file"), "file").unwrap();
    assert_eq!(stage.rename("/opt/file", "/etc/x"), Ok(()));
}

#[test]
fn a_target_is_written_in_place_and_read_back() {
    let (mut stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    let content = contents(&[blob(&folder, "image", &bytes)]).remove(0);
    let until = Instant::now() + Duration::from_secs(600);
    let target = stage.create("/opt/slot", 0o640).unwrap();
    assert_eq!(mode(&stage.path("/opt/slot")), 0o640);
    target.write(2, b"ab").unwrap();
    assert_eq!((target.length().unwrap(), target.read(0, 10).unwrap()), (4, b"\0\0ab".to_vec()));
    for (offset, start, length) in [(0, 0, 70_000), (70_000, 70_000, 130_000), (10, 10, 0), (65_535, 65_535, 2)] {
        assert!(target.write_content(offset, &content, start, length, until).is_ok());
    }
    assert_eq!(std::fs::read(stage.path("/opt/slot")).unwrap(), bytes);
    let digest = |bytes: &[u8]| farrier_protocol::Digest::of(bytes).to_string();
    for (offset, length) in [(0, 200_000), (1, 199_999), (65_530, 70_000), (200_000, 0), (0, 0)] {
        let part = &bytes[offset..offset + length];
        assert_eq!(target.digest(offset as u64, length as u64, until).unwrap(), digest(part), "{offset} {length}");
    }
    let ino = |path: &str| stage.path(path).metadata().unwrap().ino();
    let before = ino("/opt/slot");
    let again = stage.open("/opt/slot").unwrap();
    again.write(0, b"ZZ").unwrap();
    again.sync().unwrap();
    assert_eq!(
        (stage.path("/opt/slot").metadata().unwrap().ino(), target.read(0, 2).unwrap()),
        (before, b"ZZ".to_vec())
    );
    assert!(stage.create("/opt/slot", 0o600).is_err(), "it is there");
}

#[test]
fn altered_content_is_not_written_on() {
    let (mut stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let file = blob(&folder, "image", b"as it should be");
    let content = contents(std::slice::from_ref(&file)).remove(0);
    std::fs::write(&file.path, b"as it is not ok").unwrap();
    let until = Instant::now() + Duration::from_secs(600);
    let target = stage.create("/opt/slot", 0o600).unwrap();
    assert!(matches!(target.write_content(0, &content, 0, 15, until), Err(ChangeError::Content(_))));
    assert_eq!(target.length().unwrap(), 0);
}

#[test]
fn nothing_is_written_where_no_file_can_be() {
    let (mut stage, folder) = (stage(), tempfile::tempdir().unwrap());
    let content = contents(&[blob(&folder, "image", b"12345")]).remove(0);
    let until = Instant::now() + Duration::from_secs(600);
    let target = stage.create("/opt/slot", 0o600).unwrap();
    let far = [target::MAX_FILE_BYTES, i64::MAX as u64, u64::MAX - 1, u64::MAX];
    let edges = [&[0, 1, 5, u64::from(u32::MAX)], far.as_slice()].concat();
    for offset in edges.clone() {
        for length in edges.clone() {
            let is_possible = offset.checked_add(length).is_some_and(|end| end <= 5);
            let written = target.write_content(offset, &content, 0, length, until).is_ok();
            let has_room = offset.saturating_add(length) <= target::MAX_FILE_BYTES;
            assert_eq!(written, length <= 5 && has_room, "{offset} {length}");
            std::fs::write(stage.path("/opt/slot"), "12345").unwrap();
            assert_eq!(target.digest(offset, length, until).is_ok(), is_possible, "{offset} {length}");
            assert!(
                target.write_content(0, &content, offset, length, until).is_ok() == is_possible,
                "{offset} {length}"
            );
        }
        assert_eq!(target.read(offset, usize::MAX).unwrap(), b"12345".get(offset.min(5) as usize..).unwrap());
    }
}

/// A loop device is what a slot of an image is; where none can be made, there is nothing to test.
#[test]
fn a_target_is_a_file_or_a_block_device_and_nothing_else() {
    let mut stage = stage();
    let node = |path: &str, kind, device| {
        rustix::fs::mknodat(rustix::fs::CWD, stage.path(path), kind, Mode::RUSR | Mode::WUSR, device)
    };
    node("/opt/pipe", FileType::Fifo, 0).unwrap();
    let has_device = node("/opt/null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)).is_ok();
    symlink(stage.outside.path().join("secret"), stage.path("/opt/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.path("/opt/socket")).unwrap();
    for path in ["/opt/pipe", "/opt/link", "/opt/socket", "/opt/app"] {
        let Err(Error::Invalid(reason)) = stage.open(path) else { panic!("{path} was opened") };
        assert!(reason.contains("neither a regular file") || reason.contains("is a link"), "{reason}");
    }
    if has_device {
        assert!(stage.path("/opt/null").metadata().unwrap().file_type().is_char_device());
        assert!(matches!(stage.open("/opt/null"), Err(Error::Invalid(_))));
    }
}

#[test]
fn a_device_does_not_grow() {
    let Some(device) = LoopDevice::make(64 << 10) else {
        use std::io::Write;
        let _ = io::stderr().write_all(b"SKIPPED writing to a block device: it needs root and loop devices.\n");
        return;
    };
    let mut stage = stage();
    let (major, minor) = device.number();
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.path("/opt/slot"),
        FileType::BlockDevice,
        Mode::RUSR | Mode::WUSR,
        rustix::fs::makedev(major, minor),
    );
    made.unwrap();
    let target = stage.open("/opt/slot").unwrap();
    assert_eq!(target.length().unwrap(), 64 << 10);
    target.write((64 << 10) - 3, b"end").unwrap();
    assert_eq!(target.write((64 << 10) - 3, b"ends").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    let until = Instant::now() + Duration::from_secs(600);
    let digest = target.digest((64 << 10) - 3, 3, until).unwrap();
    assert_eq!(digest, farrier_protocol::Digest::of(b"end").to_string());
    assert_eq!(target.read((64 << 10) - 3, 100).unwrap(), b"end");
    // Nobody else has it while it is written.
    assert!(matches!(stage.open("/opt/slot"), Err(Error::Invalid(reason)) if reason.contains("in use")));
}

/// A loop device over a file, for as long as it lives.
struct LoopDevice {
    path: String,
    _file: tempfile::NamedTempFile,
}

impl LoopDevice {
    fn make(bytes: u64) -> Option<Self> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        let made = std::process::Command::new("losetup").args(["--find", "--show"]).arg(file.path()).output().ok()?;
        let path = String::from_utf8(made.stdout).ok()?.trim().to_owned();
        made.status.success().then_some(Self { path, _file: file })
    }

    fn number(&self) -> (u32, u32) {
        let device = std::fs::metadata(&self.path).unwrap().rdev();
        (rustix::fs::major(device), rustix::fs::minor(device))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["--detach", &self.path]).status();
    }
}

#[test]
fn paths_are_taken_apart_with_their_ends() {
    assert_eq!(parts("/opt/a/b").collect::<Vec<_>>(), [(4, "opt"), (6, "a"), (8, "b")]);
    assert_eq!(parts("/").count(), 0);
}

/// Whatever a guest names and in whatever order it changes things, what is outside its grants stays as it was.
#[test]
fn no_name_is_a_way_around_the_grants() {
    use crate::properties::{Numbers, endpoint_with_links, names, snapshot};
    const FOLDERS: [&str; 4] = ["/", "/in", "/in/b", "/in/link"];
    let (mut numbers, names) = (Numbers(7), names(8));
    let mut done = 0;
    for _ in 0..20 {
        let (root, endpoint, grants, limits) = endpoint_with_links();
        let outside = |root: &TempDir| {
            let mut found = snapshot(root.path());
            found.retain(|path, _| !path.starts_with(root.path().join("in/")));
            found
        };
        let before = outside(&root);
        let time = Time::starting_now(Duration::from_secs(600), &limits);
        let mut writer = Writer::new(&endpoint, grants, InstallCall::Install, &limits);
        for _ in 0..200 {
            let folder: &&str = numbers.one_of(&FOLDERS);
            let Ok(folder) = writer.open_folder(folder, &time).unwrap() else {
                continue;
            };
            let relative = |numbers: &mut Numbers| match numbers.below(3) {
                0 => numbers.one_of(&names).trim_start_matches('/').to_owned(),
                1 => numbers.one_of(&names).clone(),
                _ => {
                    (*numbers.one_of(&["a", "b", "in/a", "in/b", "link", "deep/link", "folder", "hard", "pipe", "new"]))
                        .to_owned()
                }
            };
            let (one, other) = (relative(&mut numbers), relative(&mut numbers));
            let mode = *numbers.one_of(&[0o600, 0o644, 0o755, 0o4755, u32::MAX]);
            let bytes = || Source::Bytes(b"pwned".to_vec());
            let answer = match numbers.below(9) {
                0 => writer.replace(&folder, &one, bytes(), mode, &time),
                1 => writer.rename(&folder, [&one, &other], &time, change::rename),
                2 => writer.rename(&folder, [&one, &other], &time, change::exchange),
                3 => writer.change(&folder, &one, &time, |root, path| Ok(change::remove(root, path)?)),
                4 => writer.set_mode(&folder, &one, mode, &time),
                5 => writer.make_folder(&folder, &one, mode, &time),
                kind => {
                    let target = match kind {
                        6 => writer.create(&folder, &one, mode, &time),
                        _ => writer.open(&folder, &one, &time),
                    };
                    target.map(|target| {
                        target.map(|target| {
                            let target = writer.open.delete(target).unwrap();
                            target.write(numbers.below(9) as u64, b"pwned").unwrap();
                        })
                    })
                }
            };
            done += usize::from(answer.unwrap().is_ok());
            writer.open.delete(folder).unwrap();
        }
        assert_eq!(outside(&root), before);
    }
    assert!(done > 100, "{done}: the names are too wild to find anything");
}
