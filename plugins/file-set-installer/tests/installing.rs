//! Sets of files: planned, installed, finished, rolled back; and the power cut at every step of it.

#![allow(clippy::unwrap_used)] // What is missing is a failed test.

use farrier_plugin_file_set_installer::FileSetInstaller;
use farrier_plugin_sdk::{
    Error, Facts, FakeBlob, FakeEndpoint, FakeRoot, Installer, Json, Options, Outcome, RestartSubject, Rule, Update,
};
use std::collections::BTreeMap;

const PROGRAM: &str = "/opt/kiosk/kiosk";
const CONFIG: &str = "/etc/kiosk/kiosk.conf";
const PICTURE: &str = "/opt/kiosk/pictures/logo.svg";
const VERSION: &str = "/opt/kiosk/VERSION";

/// A version of the kiosk: the files of one version, each in a place of its own, and a picture that is new in 1.2.
struct Kiosk {
    version: &'static str,
    contents: Vec<FakeBlob>,
    instructions: String,
}

impl Kiosk {
    fn new(version: &'static str) -> Self {
        Self::with(version, "")
    }

    /// With more keys in the instructions.
    fn with(version: &'static str, more: &str) -> Self {
        let contents = ["program", "config", "picture"].map(|label| FakeBlob::new(label, format!("{label} {version}")));
        let instructions = format!(
            r#"{{"name":"kiosk","version":"{version}","version_file":"{VERSION}",{more}"files":[
                {{"path":"{PROGRAM}","content":"program","mode":"0755"}},
                {{"path":"{CONFIG}","content":"config","mode":"0600"}},
                {{"path":"{PICTURE}","content":"picture"}}]}}"#
        );
        Self { version, contents: contents.to_vec(), instructions }
    }

    fn update(&self) -> Update {
        Update {
            name: format!("authored/kiosk/{}", self.version),
            instructions: self.instructions.clone().into_bytes(),
            contents: self.contents.iter().map(FakeBlob::entry).collect(),
            previous: Vec::new(),
        }
    }

    /// What its files are when it is installed; all of them, nothing else.
    fn files(&self) -> BTreeMap<String, (String, u32)> {
        let version = self.version;
        [
            (PROGRAM, format!("program {version}"), 0o755),
            (CONFIG, format!("config {version}"), 0o600),
            (PICTURE, format!("picture {version}"), 0o644),
            (VERSION, format!("{version}\n"), 0o644),
        ]
        .map(|(path, content, mode)| (path.to_owned(), (content, mode)))
        .into()
    }

    fn select(&self, root: &FakeRoot) -> Result<Vec<u32>, Error> {
        let selection = FileSetInstaller::select(root, &self.update(), &decode(&self.instructions)?)?;
        assert_eq!(selection.previous, [0_u32; 0]);
        Ok(selection.contents)
    }

    fn plan(&self, endpoint: &FakeEndpoint) -> Result<Vec<String>, Error> {
        let (instructions, blobs) = (decode(&self.instructions)?, FakeBlob::as_blobs(&self.contents));
        let changes = FileSetInstaller::plan(endpoint, &self.update(), &instructions, &blobs, &Options::default())?;
        Ok(changes.iter().map(|change| format!("{} {}: {}", change.action, change.subject, change.detail)).collect())
    }

    fn install(&self, endpoint: &FakeEndpoint) -> Result<Outcome, Error> {
        let (instructions, blobs) = (decode(&self.instructions)?, FakeBlob::as_blobs(&self.contents));
        FileSetInstaller::install(endpoint, &self.update(), &instructions, &blobs, &Options::default())
    }

    fn finish(&self, endpoint: &FakeEndpoint) -> Result<Outcome, Error> {
        FileSetInstaller::finish(endpoint, &self.update(), &decode(&self.instructions)?)
    }

    fn roll_back(&self, endpoint: &FakeEndpoint) -> Result<Outcome, Error> {
        FileSetInstaller::roll_back(endpoint, &self.update(), &decode(&self.instructions)?, &[])
    }
}

fn decode(instructions: &str) -> Result<<FileSetInstaller as Installer>::Instructions<'_>, Error> {
    Json::decode(instructions.as_bytes())
}

/// All files below the folders that the kiosk has, with their content and mode.
fn files(root: &FakeRoot) -> BTreeMap<String, (String, u32)> {
    let mut found = BTreeMap::new();
    let mut folders = vec!["/opt".to_owned(), "/etc".to_owned()];
    while let Some(folder) = folders.pop() {
        for name in root.list_folder(&folder).unwrap_or_default() {
            let path = format!("{folder}/{name}");
            match root.read_text(&path) {
                Ok(content) => drop(found.insert(path.clone(), (content, root.stat(&path).unwrap().mode))),
                Err(_) => folders.push(path),
            }
        }
    }
    found
}

/// An endpoint with version 1.1, which had no picture.
fn kiosk_1_1() -> FakeRoot {
    FakeRoot::new()
        .with_folder("/opt")
        .with_folder("/etc")
        .with_file(PROGRAM, "program 1.1")
        .with_mode(PROGRAM, 0o750)
        .with_file(CONFIG, "config 1.1")
        .with_mode(CONFIG, 0o640)
        .with_file(VERSION, "1.1\n")
}

fn bare() -> FakeRoot {
    FakeRoot::new().with_folder("/opt").with_folder("/etc")
}

#[test]
fn a_set_is_planned_installed_and_finished() {
    let kiosk = Kiosk::with("1.2", r#""restart_service":"kiosk.service","#);
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    assert_eq!(kiosk.select(&endpoint.root()), Ok(vec![0, 1, 2]));
    let expected = [
        "replace /opt/kiosk/kiosk: program, 11 bytes, mode 0755",
        "replace /etc/kiosk/kiosk.conf: config, 10 bytes, mode 0600",
        "install /opt/kiosk/pictures/logo.svg: picture, 11 bytes, mode 0644",
        "replace /opt/kiosk/VERSION: 1.2",
        "restart service kiosk.service: after kiosk 1.2 is in place",
    ];
    assert_eq!(kiosk.plan(&endpoint).unwrap(), expected);
    assert_eq!(endpoint.changes(), [""; 0], "a plan changes nothing");

    assert_eq!(kiosk.install(&endpoint).unwrap().notes, [""; 0]);
    let mut expected = kiosk.files();
    expected.extend(
        [
            (PROGRAM, "previous", "program 1.1", 0o750),
            (CONFIG, "previous", "config 1.1", 0o640),
            (PICTURE, "absent", "", 0o600),
            (VERSION, "previous", "1.1\n", 0o644),
        ]
        .map(|(path, suffix, content, mode)| (format!("{path}.farrier-{suffix}"), (content.to_owned(), mode))),
    );
    assert_eq!(files(&endpoint.root()), expected);
    let restart = (RestartSubject::Service("kiosk.service".to_owned()), "kiosk 1.2 was installed".to_owned());
    assert_eq!(endpoint.restarts(), [restart]);

    for _ in 0..2 {
        assert_eq!(kiosk.finish(&endpoint).unwrap().notes, [""; 0]);
        assert_eq!(files(&endpoint.root()), kiosk.files(), "nothing is kept");
    }
    assert_eq!(kiosk.select(&endpoint.root()), Ok(vec![]));
}

#[test]
fn everything_is_written_before_anything_is_replaced_and_the_version_comes_last() {
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    Kiosk::new("1.2").install(&endpoint).unwrap();
    let changes = endpoint.changes();
    let position = |wanted: &str| changes.iter().position(|change| change.starts_with(wanted)).unwrap();
    let staged = changes.iter().rposition(|change| change.contains(".farrier-digest 600")).unwrap();
    let first = position("exchange /opt/kiosk/kiosk ");
    assert!(staged < first, "{changes:#?}");
    for before in ["exchange /etc/kiosk/kiosk.conf ", "rename /opt/kiosk/pictures/logo.svg.farrier-new "] {
        assert!(position(before) < position("exchange /opt/kiosk/VERSION "), "{changes:#?}");
    }
}

#[test]
fn what_is_in_place_already_is_neither_downloaded_nor_written() {
    let kiosk = Kiosk::new("1.2");
    let root = kiosk_1_1().with_file(PROGRAM, "program 1.2").with_mode(PROGRAM, 0o755);
    assert_eq!(kiosk.select(&root), Ok(vec![1, 2]));
    let endpoint = FakeEndpoint::new(root);
    kiosk.install(&endpoint).unwrap();
    assert!(!endpoint.changes().iter().any(|change| change.contains(PROGRAM)), "{:#?}", endpoint.changes());

    let endpoint = FakeEndpoint::new(endpoint.root().with_mode(CONFIG, 0o666));
    kiosk.install(&endpoint).unwrap();
    let expected = ["mode /etc/kiosk/kiosk.conf 600", "sync /etc/kiosk"];
    assert_eq!(endpoint.changes(), expected, "only the mode is another");

    let version_only = endpoint.root().with_file(VERSION, "1.1\n");
    assert_eq!(kiosk.select(&version_only), Ok(vec![0, 1, 2]), "there is something to do");
}

#[test]
fn a_roll_back_brings_back_exactly_what_was_there() {
    for root in [kiosk_1_1(), bare(), kiosk_1_1().without_file(VERSION), kiosk_1_1().without_file(CONFIG)] {
        let kiosk = Kiosk::with("1.2", r#""restart_service":"kiosk","#);
        let endpoint = FakeEndpoint::new(root.clone());
        kiosk.install(&endpoint).unwrap();
        assert_eq!(kiosk.roll_back(&endpoint).unwrap().notes, ["brought back 4 of 4 files as they were before"]);
        assert_eq!(files(&endpoint.root()), files(&root));
        assert_eq!(endpoint.restarts().len(), 2, "the old version has to run again");
        assert_eq!(kiosk.roll_back(&endpoint).unwrap().notes, ["nothing had been replaced"]);
    }
}

#[test]
fn a_link_in_place_is_replaced_by_the_file_and_comes_back() {
    let kiosk = Kiosk::new("1.2");
    let root = kiosk_1_1().without_file(CONFIG).with_file("/srv/old", "config 1.1").with_link(CONFIG, "/srv/old");
    let endpoint = FakeEndpoint::new(root);
    kiosk.install(&endpoint).unwrap();
    assert_eq!(endpoint.read_text(CONFIG).unwrap(), "config 1.2");
    assert_eq!(endpoint.read_text("/srv/old").unwrap(), "config 1.1", "what it led to is nobody's business");
    kiosk.roll_back(&endpoint).unwrap();
    assert_eq!(endpoint.read_text(CONFIG).unwrap(), "config 1.1");
    assert_eq!(endpoint.stat(CONFIG).unwrap().kind, farrier_plugin_sdk::Kind::Link);
}

#[test]
fn nothing_is_kept_where_nothing_shall_be() {
    let kiosk = Kiosk::with("1.2", r#""keep_previous":false,"#);
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    kiosk.install(&endpoint).unwrap();
    assert_eq!(files(&endpoint.root()), kiosk.files());
    let error = kiosk.roll_back(&endpoint).unwrap_err();
    assert!(error.message().contains("`keep_previous` is false"), "{error:?}");
    let finished = Kiosk::new("1.2").roll_back(&endpoint).unwrap_err();
    assert!(finished.message().contains("deploy the version to go back to"), "{finished:?}");
}

#[test]
fn finishing_what_is_not_in_place_keeps_what_is_kept() {
    let kiosk = Kiosk::new("1.2");
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    kiosk.install(&endpoint).unwrap();
    let damaged = FakeEndpoint::new(endpoint.root().with_file(PROGRAM, "damaged"));
    let error = kiosk.finish(&damaged).unwrap_err();
    assert!(error.message().contains("/opt/kiosk/kiosk is not that of kiosk 1.2"), "{error:?}");
    assert_eq!(damaged.changes(), [""; 0]);
}

/// After a power cut at any change of an installation, a second one completes it, and a roll-back undoes it: nothing is
/// left over, nothing is lost, and at every moment each file is a whole one of one of the two versions.
#[test]
fn the_power_may_be_cut_at_any_step_of_an_installation() {
    let kiosk = Kiosk::new("1.2");
    for before in [kiosk_1_1(), bare()] {
        let mut cuts = 0;
        for changes in 0.. {
            let endpoint = FakeEndpoint::new(before.clone()).with_changes(changes);
            let interrupted = kiosk.install(&endpoint).is_err();
            let left = endpoint.root();
            assert_each_is_whole(&left, &before, &kiosk, changes);

            let again = FakeEndpoint::new(left.clone());
            kiosk.install(&again).unwrap();
            assert_ends_as(&again, &kiosk, &before, changes);

            let undone = FakeEndpoint::new(left);
            // Without a change there is nothing to undo, and after all of them everything.
            kiosk.roll_back(&undone).unwrap();
            assert_eq!(files(&undone.root()), files(&before), "rolled back after {changes} changes");
            if !interrupted {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 20, "only {cuts} changes");
    }
}

/// The same for the second installation, the roll-back and the finishing: they may be interrupted, too.
#[test]
fn the_power_may_be_cut_at_any_step_of_what_repairs() {
    let (kiosk, before) = (Kiosk::new("1.2"), kiosk_1_1());
    for changes in (0..).step_by(3) {
        let endpoint = FakeEndpoint::new(before.clone()).with_changes(changes);
        let interrupted = kiosk.install(&endpoint).is_err();
        for repair in [Kiosk::install, Kiosk::roll_back] {
            for more in 0.. {
                let second = FakeEndpoint::new(endpoint.root()).with_changes(more);
                let cut = repair(&kiosk, &second).is_err();
                assert_each_is_whole(&second.root(), &before, &kiosk, changes);
                let undone = FakeEndpoint::new(second.root());
                kiosk.roll_back(&undone).unwrap();
                assert_eq!(files(&undone.root()), files(&before), "{changes} and {more} changes");
                let completed = FakeEndpoint::new(second.root());
                kiosk.install(&completed).unwrap();
                assert_ends_as(&completed, &kiosk, &before, changes);
                if !cut {
                    break;
                }
            }
        }
        if !interrupted {
            break;
        }
    }
    let installed = FakeEndpoint::new(before);
    kiosk.install(&installed).unwrap();
    for changes in 0.. {
        let endpoint = FakeEndpoint::new(installed.root()).with_changes(changes);
        let interrupted = kiosk.finish(&endpoint).is_err();
        let again = FakeEndpoint::new(endpoint.root());
        kiosk.finish(&again).unwrap();
        assert_eq!(files(&again.root()), kiosk.files(), "finished after {changes} changes");
        if !interrupted {
            break;
        }
    }
}

/// A version that was never proven is replaced by another one: what comes back is the last that was.
#[test]
fn what_was_never_proven_is_not_what_comes_back() {
    let (first, second, before) = (Kiosk::new("1.2"), Kiosk::new("1.3"), kiosk_1_1());
    for changes in 0.. {
        let endpoint = FakeEndpoint::new(before.clone()).with_changes(changes);
        let interrupted = first.install(&endpoint).is_err();
        let next = FakeEndpoint::new(endpoint.root());
        second.install(&next).unwrap();
        assert_ends_as(&next, &second, &before, changes);
        if !interrupted {
            break;
        }
    }
}

/// The installation is complete; rolled back, it is what was before; finished, nothing else is there.
fn assert_ends_as(endpoint: &FakeEndpoint, kiosk: &Kiosk, before: &FakeRoot, changes: usize) {
    let finished = FakeEndpoint::new(endpoint.root());
    kiosk.finish(&finished).unwrap();
    assert_eq!(files(&finished.root()), kiosk.files(), "finished after {changes} changes");
    let undone = FakeEndpoint::new(endpoint.root());
    kiosk.roll_back(&undone).unwrap();
    assert_eq!(files(&undone.root()), files(before), "rolled back after {changes} changes");
}

/// Each file in place is that of one of the two versions, and the version file says the new one only if all are new.
fn assert_each_is_whole(root: &FakeRoot, before: &FakeRoot, kiosk: &Kiosk, changes: usize) {
    let (found, old, new) = (files(root), files(before), kiosk.files());
    for path in new.keys() {
        let file = found.get(path);
        assert!(file == old.get(path) || file == new.get(path), "{path} is {file:?} after {changes} changes");
    }
    if found.get(VERSION) == new.get(VERSION) {
        assert!(new.iter().all(|(path, file)| found.get(path) == Some(file)), "after {changes} changes: {found:#?}");
    }
}

#[test]
fn a_full_disk_is_found_out_before_anything_is_written() {
    let kiosk = Kiosk::new("1.2");
    let answer = |free: u64| format!(r#"{{"total_bytes":1000,"free_bytes":{free}}}"#);
    let full = kiosk_1_1().with_answer("disk-space", "/opt/kiosk", &answer(14));
    let error = kiosk.plan(&FakeEndpoint::new(full)).unwrap_err();
    let expected = "the new files in /opt/kiosk need 15 bytes beside the old ones, and 14 are free: make room there";
    assert_eq!(error, Error::TooLarge(expected.to_owned()));
    let enough = kiosk_1_1().with_answer("disk-space", "/opt/kiosk", &answer(15));
    kiosk.plan(&FakeEndpoint::new(enough.clone())).unwrap();
    // The folder of the picture is not there yet; the file system is that of the one above.
    let above = bare().with_answer("disk-space", "/opt", &answer(0));
    assert!(matches!(kiosk.plan(&FakeEndpoint::new(above)), Err(Error::TooLarge(_))));
    kiosk.plan(&FakeEndpoint::new(enough.with_denied("disk-space"))).unwrap();
}

#[test]
fn what_fails_while_it_is_written_leaves_nothing_behind() {
    let kiosk = Kiosk::new("1.2");
    // What is read back is not what was signed.
    let damaged = Kiosk { contents: vec![FakeBlob::new("program", "program 1.2"); 1], ..Kiosk::new("1.2") };
    let mut contents = kiosk.contents.clone();
    contents[2] = FakeBlob::new("picture", "another").with_digest(kiosk.contents[2].digest());
    let damaged = Kiosk { contents, ..damaged };
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    let error = damaged.install(&endpoint).unwrap_err();
    assert!(error.message().contains("another content is read back"), "{error:?}");
    assert_eq!(files(&endpoint.root()), files(&kiosk_1_1()));
}

#[test]
fn what_is_in_the_way_is_named() {
    let kiosk = Kiosk::new("1.2");
    let folder = kiosk_1_1().without_file(CONFIG).with_folder(CONFIG);
    for refused in
        [kiosk.plan(&FakeEndpoint::new(folder.clone())).err(), kiosk.install(&FakeEndpoint::new(folder)).err()]
    {
        assert_eq!(refused.unwrap().message(), "/etc/kiosk/kiosk.conf is there and is no file: move it out of the way");
    }
    let mut partial = Kiosk::new("1.2");
    let update = partial.update();
    partial.contents.truncate(1);
    let blobs = FakeBlob::as_blobs(&partial.contents);
    let endpoint = FakeEndpoint::new(kiosk_1_1());
    let instructions = decode(&partial.instructions).unwrap();
    let error = FileSetInstaller::install(&endpoint, &update, &instructions, &blobs, &Options::default()).unwrap_err();
    assert!(error.message().contains("has changed since the download"), "{error:?}");
    assert_eq!(endpoint.changes(), [""; 0]);
}

#[test]
fn nothing_but_what_is_named_is_touched() {
    let kiosk = Kiosk::new("1.2");
    let root = kiosk_1_1().with_file("/opt/kiosk/kiosk.bak", "mine").with_file("/etc/passwd", "root");
    let endpoint = FakeEndpoint::new(root);
    kiosk.install(&endpoint).unwrap();
    kiosk.finish(&endpoint).unwrap();
    kiosk.roll_back(&endpoint).unwrap_err();
    for change in endpoint.changes() {
        let mut words = change.split(' ');
        let (action, path) = (words.next().unwrap(), words.next().unwrap());
        let named = [PROGRAM, CONFIG, PICTURE, VERSION].iter().any(|file| match path.strip_prefix(*file) {
            Some(suffix) => suffix.is_empty() || suffix.starts_with(".farrier-"),
            None => ["sync", "folder"].contains(&action) && file.starts_with(&format!("{path}/")),
        });
        assert!(named, "{change}");
    }
}

#[test]
fn instructions_that_cannot_be_followed_are_refused_before_anything_is_done() {
    let file = |path: &str, more: &str| {
        format!(r#"{{"name":"k","version":"1","files":[{{"path":"{path}","content":"program"{more}}}]}}"#)
    };
    for (instructions, expected) in [
        (file("opt/kiosk", ""), "is not absolute"),
        (file("/opt/../etc/shadow", ""), "a `..`"),
        (file("/opt//kiosk", ""), "an empty part"),
        (file("/opt/kiosk/", ""), "an empty part"),
        (file("/", ""), "an empty part"),
        (file("/opt/a\\nb", ""), "a control character"),
        (file("/opt/kiosk.farrier-previous", ""), "a suffix that this plugin needs"),
        (file(&format!("/opt/{}", "x".repeat(250)), ""), "too long"),
        (file("/opt/kiosk", r#","mode":"4755""#), "no permission bits"),
        (file("/opt/kiosk", r#","mode":"rwx""#), "no permission bits"),
        (file("/opt/kiosk", r#","owner":"root""#), "owner"),
        (r#"{"name":"k","version":"1","files":[]}"#.to_owned(), "`files` is empty"),
        (
            r#"{"name":"k","version":"1","files":[{"path":"/opt/k","content":"other"}]}"#.to_owned(),
            "want the content `other` for /opt/k, which the update does not have",
        ),
        (
            r#"{"name":"k","version":"1","version_file":"/opt/k","files":[{"path":"/opt/k","content":"program"}]}"#
                .to_owned(),
            "/opt/k is there twice",
        ),
        (
            r#"{"name":"k","version":"1\n2","files":[{"path":"/opt/k","content":"program"}]}"#.to_owned(),
            "has to be one line",
        ),
        (
            r#"{"name":"k","version":"1","restart_service":"--now x","files":[{"path":"/opt/k","content":"program"}]}"#
                .to_owned(),
            "no name of a service",
        ),
    ] {
        let endpoint = FakeEndpoint::new(kiosk_1_1());
        let kiosk = Kiosk { instructions, ..Kiosk::new("1") };
        for error in [kiosk.plan(&endpoint).unwrap_err(), kiosk.install(&endpoint).unwrap_err()] {
            assert!(error.message().contains(expected), "{}: {error:?}", kiosk.instructions);
        }
        assert_eq!(endpoint.changes(), [""; 0]);
    }
}
