//! Reading facts: whole files, lines and os-release, from endpoints as hosts serve them.

use farrier_plugin_sdk::{Error, Facts, FakeRoot, File, FolderRoot, Kind, MAX_LINE_BYTES, Os, OsRelease, Status};

/// A host that gives at most this many bytes at a time, whatever is asked.
struct Stingy(FakeRoot, u32);

impl Facts for Stingy {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        struct Pieces(Box<dyn File>, u32);
        impl File for Pieces {
            fn size(&self) -> u64 {
                self.0.size()
            }
            fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
                self.0.read(max.min(self.1))
            }
            fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
                self.0.read_at(offset, max.min(self.1))
            }
        }
        Ok(Box::new(Pieces(self.0.open_file(path)?, self.1)))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.0.list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        self.0.stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.0.digest(path)
    }

    fn os(&self) -> Os {
        self.0.os()
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        self.0.query(name, argument)
    }
}

fn lines(facts: &dyn Facts, path: &str) -> Vec<String> {
    let mut lines = facts.lines(path).unwrap();
    let mut all = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        all.push(String::from_utf8(line.to_vec()).unwrap());
    }
    all
}

#[test]
fn a_file_of_5_mb_is_read_whole_and_by_line() {
    let text: String = (0..200_000).map(|number| format!("line {number} of a large file\n")).collect();
    assert!(text.len() > 5_000_000);
    let root = FakeRoot::new().with_file("/large", text.clone());
    assert_eq!(root.read_file("/large").unwrap(), text.as_bytes());
    assert_eq!(lines(&root, "/large"), text.lines().collect::<Vec<_>>());
}

#[test]
fn a_host_may_give_less_than_is_asked_for() {
    let text = "first\n\nthird, which is longer\nlast";
    for bytes in 1..20 {
        let root = Stingy(FakeRoot::new().with_file("/file", text), bytes);
        assert_eq!(root.read_text("/file").unwrap(), text);
        assert_eq!(lines(&root, "/file"), ["first", "", "third, which is longer", "last"]);
    }
}

#[test]
fn a_line_knows_where_it_is() {
    let root = FakeRoot::new().with_file("/file", "a\nb\n");
    let mut lines = root.lines("/file").unwrap();
    while lines.next().unwrap().is_some_and(|line| line != b"b") {}
    assert_eq!(lines.to_string(), "line 2 of /file");
}

#[test]
fn a_line_that_is_too_long_is_an_error() {
    let root = FakeRoot::new().with_file("/file", vec![b'x'; MAX_LINE_BYTES + 1]);
    assert!(matches!(root.lines("/file").unwrap().next(), Err(Error::TooLarge(_))));
}

#[test]
fn what_is_not_there_is_named() {
    let root = FakeRoot::new().with_file("/a/b", "").with_file("/a/c/d", "").without_file("/a/b");
    assert_eq!(root.read_file("/a/b"), Err(Error::NotFound("/a/b".to_owned())));
    assert_eq!(root.list_folder("/a").unwrap(), ["c"]);
    assert_eq!(root.list_folder("/b"), Err(Error::NotFound("/b".to_owned())));
    assert!(matches!(root.with_file("/latin", [0xe4]).read_text("/latin"), Err(Error::Invalid(_))));
}

#[test]
fn a_folder_of_this_machine_is_an_endpoint() {
    let root = FolderRoot::new(env!("CARGO_MANIFEST_DIR"));
    assert!(root.read_text("/Cargo.toml").unwrap().contains("farrier-plugin-sdk"));
    assert!(root.list_folder("/").unwrap().contains(&"src".to_owned()));
    assert_eq!(root.read_file("/none"), Err(Error::NotFound("/none".to_owned())));
}

#[test]
fn os_release_is_read_as_a_shell_would() {
    let text = r#"
# a comment = no assignment
ID=debian
NAME="Debian \"stable\" \$1 \n"
SINGLE='it is \ raw "here"'
BARE=with\ blank
EMPTY=
QUOTED_EMPTY=""
TWICE=first
TWICE=second
no assignment
  INDENTED=yes
"#;
    let release = OsRelease::read(&FakeRoot::new().with_file("/etc/os-release", text)).unwrap();
    let expected = [
        ("ID", Some("debian")),
        ("NAME", Some(r#"Debian "stable" $1 \n"#)),
        ("SINGLE", Some(r#"it is \ raw "here""#)),
        ("BARE", Some("with blank")),
        ("EMPTY", None),
        ("QUOTED_EMPTY", None),
        ("TWICE", Some("second")),
        ("INDENTED", Some("yes")),
        ("MISSING", None),
    ];
    for (name, value) in expected {
        assert_eq!(release.get(name), value, "{name}");
    }
    assert_eq!(release.require(&["EMPTY", "ID"]), Ok("debian"));
    let error = release.require(&["EMPTY", "MISSING"]).unwrap_err();
    assert_eq!(error, Error::Invalid("/etc/os-release has no EMPTY or MISSING".to_owned()));
}

/// SHA-256 of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_fake_root_has_files_folders_links_and_devices() {
    let root = FakeRoot::new()
        .with_file("/opt/app/bin", "abc")
        .with_mode("/opt/app/bin", 0o755)
        .with_modified("/opt/app/bin", 7)
        .with_link("/opt/current", "app")
        .with_link("/bin", "/opt/current/../current/bin")
        .with_link("/loop", "loop")
        .with_folder("/empty")
        .with_device("/dev/slot", "abc")
        .with_denied("/secret/**")
        .with_file("/secret/key", "x");
    let status = |path: &str| root.stat(path).map(|status| (status.kind, status.size, status.mode, status.modified));
    assert_eq!(status("/opt/app/bin"), Ok((Kind::File, 3, 0o755, 7)));
    assert_eq!(status("/opt/current/bin"), Ok((Kind::File, 3, 0o755, 7)));
    assert_eq!(status("/opt/current"), Ok((Kind::Link, 0, 0o777, 0)));
    assert_eq!(status("/opt").map(|status| status.0), Ok(Kind::Folder));
    assert_eq!(status("/dev/slot").map(|status| status.0), Ok(Kind::Other));
    assert_eq!(status("/opt/app/none"), Err(Error::NotFound("/opt/app/none".to_owned())));
    assert_eq!(root.digest("/bin"), Ok(ABC.to_owned()));
    assert_eq!(root.list_folder("/empty"), Ok(vec![]));
    assert_eq!(root.list_folder("/opt/current").unwrap(), ["bin"]);
    assert_eq!((root.exists("/bin"), root.exists("/none")), (Ok(true), Ok(false)));
    assert_eq!(root.exists("/secret/key"), Err(Error::Denied("/secret/key".to_owned())));
    assert!(matches!(root.read_file("/loop"), Err(Error::Other(reason)) if reason.contains("links")));
    assert!(matches!(root.read_file("relative"), Err(Error::Invalid(_))));
    assert!(matches!(root.read_file("/opt"), Err(Error::Other(reason)) if reason.contains("folder")));
}

#[test]
fn reading_at_an_offset_does_not_move_what_comes_next() {
    let mut file = FakeRoot::new().with_file("/file", "0123456789").open_file("/file").unwrap();
    assert_eq!((file.read(4).unwrap(), file.read_at(8, 4).unwrap()), (b"0123".to_vec(), b"89".to_vec()));
    assert_eq!((file.read(100).unwrap(), file.read_at(10, 1).unwrap()), (b"456789".to_vec(), vec![]));
    assert_eq!(file.read_at(u64::MAX, 1).unwrap(), b"");
}

#[test]
fn what_the_endpoint_is_comes_from_its_files_and_the_test() {
    let release = "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\nVARIANT_ID=\n";
    let root = FakeRoot::new().with_file("/usr/lib/os-release", release).with_os("machine", "aarch64");
    let os = root.with_os("id", "other").os();
    assert_eq!((os.id(), os.version_id(), os.version_codename()), (Some("other"), Some("12"), Some("bookworm")));
    assert_eq!((os.machine(), os.get("variant-id")), (Some("aarch64"), None));
    assert_eq!(os.require(&["variant-id", "version-id"]), Ok("12"));
    assert!(os.require(&["a", "b"]).unwrap_err().message().contains("a or b"));
    let none = FakeRoot::new().os();
    assert_eq!((none.id(), none.machine()), (None, None));
}

#[test]
fn a_query_has_the_answer_that_was_given() {
    let answer = r#"{"total_bytes":2,"free_bytes":1}"#;
    let root = FakeRoot::new().with_answer("disk-space", "/", answer).shared();
    assert_eq!(root.query("disk-space", "/"), Ok(answer.to_owned()));
    assert!(matches!(root.query("disk-space", "/opt"), Err(Error::NotFound(_))));
}

#[test]
fn a_folder_of_this_machine_tells_what_is_in_it() {
    let root = FolderRoot::new(env!("CARGO_MANIFEST_DIR")).shared();
    assert_eq!(root.stat("/src").unwrap().kind, Kind::Folder);
    let text = root.read_file("/Cargo.toml").unwrap();
    assert_eq!(root.stat("/Cargo.toml").unwrap().size, text.len() as u64);
    assert_eq!(root.digest("/Cargo.toml"), FakeRoot::new().with_file("/a", text).digest("/a"));
    assert_eq!(root.exists("/none"), Ok(false));
}
