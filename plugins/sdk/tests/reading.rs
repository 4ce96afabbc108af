//! Reading facts: whole files, lines and os-release, from endpoints as hosts serve them.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

use farrier_plugin_sdk::{Error, Facts, FakeRoot, File, FolderRoot, MAX_LINE_BYTES, OsRelease};

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
        }
        Ok(Box::new(Pieces(self.0.open_file(path)?, self.1)))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.0.list_folder(path)
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
