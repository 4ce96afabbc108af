//! What installers do to a fake endpoint.

use farrier_plugin_sdk::{
    Blob, Change, Command, Error, Exit, Facts, FakeBlob, FakeEndpoint, FakeRoot, Host, Installer, Options, Outcome,
    RestartSubject, Selection, Update,
};

fn endpoint() -> FakeEndpoint {
    FakeEndpoint::new(FakeRoot::new().with_file("/opt/app/VERSION", "1").with_link("/opt/link", "/opt/app"))
}

fn text(host: &FakeEndpoint, path: &str) -> String {
    host.read_text(path).unwrap()
}

#[test]
fn files_are_replaced_renamed_exchanged_and_removed() {
    let host = endpoint();
    let opt = host.folder("/opt").unwrap();
    opt.make_folder("app/bin", 0o750).unwrap();
    opt.replace("app/bin/tool", b"new", 0o755).unwrap();
    opt.replace_with_blob("app/bin/data", &FakeBlob::new("data", "blob").as_blob(), 0o644).unwrap();
    opt.rename("app/bin/data", "app/data").unwrap();
    opt.exchange("app/bin", "app/VERSION").unwrap();
    assert_eq!((text(&host, "/opt/app/VERSION/tool"), text(&host, "/opt/app/bin")), ("new".into(), "1".into()));
    opt.exchange("app/VERSION", "app/bin").unwrap();
    opt.set_mode("app/VERSION", 0o600).unwrap();
    opt.remove("app/bin/tool").unwrap();
    opt.remove("app/bin").unwrap();
    opt.sync().unwrap();
    assert_eq!(host.list_folder("/opt/app").unwrap(), ["VERSION", "data"]);
    assert_eq!((host.stat("/opt/app/VERSION").unwrap().mode, text(&host, "/opt/app/data")), (0o600, "blob".into()));
    let expected = [
        "folder /opt/app/bin 750",
        "replace /opt/app/bin/tool 755",
        "replace /opt/app/bin/data 644",
        "rename /opt/app/bin/data /opt/app/data",
        "exchange /opt/app/bin /opt/app/VERSION",
        "exchange /opt/app/VERSION /opt/app/bin",
        "mode /opt/app/VERSION 600",
        "remove /opt/app/bin/tool",
        "remove /opt/app/bin",
        "sync /opt",
    ];
    assert_eq!(host.changes(), expected);
}

#[test]
fn what_a_file_system_refuses_is_refused() {
    let host = endpoint();
    let opt = host.folder("/opt").unwrap();
    let is_not_found = |result: Result<(), Error>| matches!(result, Err(Error::NotFound(_)));
    assert!(is_not_found(opt.remove("none")));
    assert!(is_not_found(opt.rename("none", "other")));
    assert!(is_not_found(opt.exchange("app", "none")));
    assert!(is_not_found(opt.set_mode("none", 0o644)));
    assert!(is_not_found(opt.replace("none/file", b"", 0o644)));
    assert!(is_not_found(host.folder("/none").map(drop)));
    assert!(is_not_found(host.folder("/opt/app/VERSION").map(drop)));
    assert!(is_not_found(opt.open("none").map(drop)));
    for (result, words) in [
        (opt.remove("app"), "not empty"),
        (opt.replace("app", b"", 0o644), "is a folder"),
        (opt.create("app/VERSION", 0o644).map(drop), "already"),
        (opt.make_folder("app/VERSION", 0o755), "no folder"),
        (opt.replace("../etc/passwd", b"", 0o644), "no name inside"),
        (opt.replace("/etc/passwd", b"", 0o644), "no name inside"),
        (opt.remove(""), "no name inside"),
    ] {
        assert!(result.unwrap_err().message().contains(words), "{words}");
    }
    assert_eq!(host.changes(), [""; 0]);
    opt.replace("link/VERSION", b"2", 0o644).unwrap();
    assert_eq!(text(&host, "/opt/app/VERSION"), "2");
    opt.remove("link").unwrap();
    assert_eq!(host.list_folder("/opt").unwrap(), ["app"], "the link, not what it leads to");
    let denied = FakeEndpoint::new(FakeRoot::new().with_folder("/opt").with_denied("/opt/secret*"));
    assert!(matches!(denied.folder("/opt").unwrap().replace("secret", b"", 0o600), Err(Error::Denied(_))));
}

#[test]
fn images_are_written_in_pieces_and_read_back() {
    let host = FakeEndpoint::new(FakeRoot::new().with_device("/dev/slot-b", [0; 8]).with_folder("/var"));
    let slot = host.folder("/dev").unwrap().open("slot-b").unwrap();
    let image = FakeBlob::new("image", "012345");
    slot.write_blob(1, &image.as_blob(), 2, 4).unwrap();
    slot.write(0, b"x").unwrap();
    slot.sync().unwrap();
    assert_eq!((slot.length(), slot.read(0, 5)), (Ok(8), Ok(b"x2345".to_vec())));
    assert_eq!(slot.digest(1, 4).unwrap(), FakeBlob::new("", "2345").digest());
    assert!(slot.write(6, b"123").unwrap_err().message().contains("no space"));
    assert!(slot.write_blob(0, &image.as_blob(), 4, 3).is_err() && slot.digest(0, 9).is_err());
    let file = host.folder("/var").unwrap().create("file", 0o600).unwrap();
    file.write(2, b"ab").unwrap();
    assert_eq!(host.read_file("/var/file").unwrap(), b"\0\0ab");
    let expected = [
        "write /dev/slot-b 1 4",
        "write /dev/slot-b 0 1",
        "sync /dev/slot-b",
        "create /var/file 600",
        "write /var/file 2 2",
    ];
    assert_eq!(host.changes(), expected);
}

#[test]
fn a_command_is_recorded_as_it_was_given() {
    let host = endpoint().with_programs(|ran, root| {
        *root = root.clone().with_file("/ran", ran.to_string());
        Exit::failed(3, "no\n")
    });
    let blob = FakeBlob::new("a.bin", "abc");
    let blob = blob.as_blob();
    let command = Command::new("/bin/tool").arguments(["-x", "y"]).blob(&blob).variable("A", "b").input("in");
    let exit = host.run(&command.time_limit(500)).unwrap();
    assert_eq!((exit.status, exit.is_success()), (Some(3), false));
    assert_eq!(host.ran_lines(), ["A=b /bin/tool -x y {a.bin}"]);
    assert_eq!(text(&host, "/ran"), host.ran_lines()[0]);
    let ran = &host.ran()[0];
    assert_eq!((ran.milliseconds, &*ran.input, ran.blobs[0].bytes()), (Some(500), &b"in"[..], &b"abc"[..]));
}

/// Puts one file below `/opt` and says so twice.
struct Put;

impl Installer for Put {
    type Instructions<'a> = &'a str;

    fn plan(_: &dyn Host, _: &Update, name: &&str, _: &[Blob<'_>], _: &Options) -> Result<Vec<Change>, Error> {
        Ok(vec![Change { subject: (*name).to_owned(), action: "write".to_owned(), detail: String::new() }])
    }

    fn install(host: &dyn Host, _: &Update, name: &&str, contents: &[Blob<'_>], _: &Options) -> Result<Outcome, Error> {
        let folder = host.folder("/opt/app")?;
        folder.replace_with_blob(name, &contents[0], 0o644)?;
        folder.replace("VERSION", b"2", 0o644)?;
        host.request_restart(RestartSubject::Service("app".to_owned()), "its file is new");
        Ok(Outcome::default())
    }

    fn roll_back(host: &dyn Host, _: &Update, name: &&str, _: &[Blob<'_>]) -> Result<Outcome, Error> {
        host.folder("/opt/app")?.remove(name).map(|()| Outcome::default())
    }
}

#[test]
fn an_installer_that_says_nothing_of_it_selects_everything_and_has_nothing_to_finish() {
    let (new, old) = (FakeBlob::new("new", "abc"), FakeBlob::new("old", "x"));
    let update = Update {
        name: "example/app/2".to_owned(),
        instructions: b"tool".to_vec(),
        contents: vec![new.entry(), new.entry()],
        previous: vec![old.entry()],
    };
    let host = endpoint();
    assert_eq!(Put::select(&host, &update, &"tool").unwrap(), Selection { contents: vec![0, 1], previous: vec![0] });
    assert_eq!(Put::plan(&host, &update, &"tool", &[], &Options::default()).unwrap()[0].subject, "tool");
    Put::install(&host, &update, &"tool", &[new.as_blob()], &Options::default()).unwrap();
    assert_eq!(Put::finish(&host, &update, &"tool"), Ok(Outcome { notes: vec![] }));
    assert_eq!(host.restarts(), [(RestartSubject::Service("app".to_owned()), "its file is new".to_owned())]);
    Put::roll_back(&host, &update, &"tool", &[]).unwrap();
    assert_eq!(host.exists("/opt/app/tool"), Ok(false));
}

#[test]
fn power_is_cut_where_a_test_says() {
    let new = FakeBlob::new("new", "abc");
    let update = Update { name: String::new(), instructions: vec![], contents: vec![], previous: vec![] };
    for (changes, files) in [(0, vec!["VERSION"]), (1, vec!["VERSION", "tool"]), (2, vec!["VERSION", "tool"])] {
        let host = endpoint().with_changes(changes);
        let result = Put::install(&host, &update, &"tool", &[new.as_blob()], &Options::default());
        assert_eq!(result.is_ok(), changes == 2);
        assert_eq!(host.list_folder("/opt/app").unwrap(), files);
        assert_eq!(text(&host, "/opt/app/VERSION"), if changes == 2 { "2" } else { "1" });
    }
}

#[test]
fn options_are_found_by_name() {
    let more = [("a", "1"), ("a", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = Options { allow_removals: false, more };
    assert_eq!((options.get("a"), options.get("b")), (Some("2"), None));
}
