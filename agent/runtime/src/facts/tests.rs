use super::*;
use crate::manifest::Manifest;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn facts(root: &Path, limits: &Limits) -> Facts {
    let manifest = Manifest { read: vec!["/**".to_owned()], ..Manifest::sample() };
    let grants = Grants::new(&manifest, ["/**"], ["/etc/**", "/etc", "/big"]).unwrap();
    let mut facts = Facts::new(&Endpoint::open(root).unwrap(), grants, limits);
    facts.set_deadline(Instant::now() + Duration::from_secs(600));
    facts
}

fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
    std::fs::write(root.path().join("usr/lib/os-release"), "ID=debian\n").unwrap();
    std::fs::write(root.path().join("big"), [0; 1000]).unwrap();
    root
}

fn text(facts: &mut Facts, path: &str) -> Result<String, Error> {
    let file = facts.open(path).unwrap()?;
    let bytes = facts.read_from(&file, u32::MAX).unwrap()?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn links_are_followed_as_from_inside_the_root() {
    let root = root();
    symlink("../usr/lib/os-release", root.path().join("etc/relative")).unwrap();
    symlink("/usr/lib/os-release", root.path().join("etc/absolute")).unwrap();
    symlink("../../../../../../usr/lib/os-release", root.path().join("etc/above")).unwrap();
    let mut facts = facts(root.path(), &Limits::default());
    for path in ["/etc/relative", "/etc/absolute", "/etc/above"] {
        assert_eq!(text(&mut facts, path), Ok("ID=debian\n".to_owned()), "{path}");
    }
}

#[test]
fn no_link_leads_out_of_the_root() {
    let (root, outside) = (root(), root());
    symlink(outside.path().join("big"), root.path().join("etc/escape")).unwrap();
    symlink("/proc/self/root/etc/hostname", root.path().join("etc/magic")).unwrap();
    let mut facts = facts(root.path(), &Limits::default());
    for path in ["/etc/escape", "/etc/magic"] {
        assert!(matches!(text(&mut facts, path), Err(Error::NotFound(_))), "{path}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_blocks_nothing() {
    let root = root();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("etc/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let mut facts = facts(root.path(), &Limits::default());
    for path in ["/etc/pipe", "/etc"] {
        assert_eq!(text(&mut facts, path), Err(Error::Invalid(format!("{path}: not a regular file"))));
    }
}

#[test]
fn an_ungranted_file_is_denied_whether_it_is_there_or_not() {
    let root = root();
    let mut facts = facts(root.path(), &Limits::default());
    for path in ["/usr/lib/os-release", "/usr/lib/nothing", "//usr/./lib//os-release"] {
        let Err(Error::Denied(reason)) = text(&mut facts, path) else { panic!("{path}") };
        assert!(reason.contains("in agent.toml"), "{reason}");
    }
    for path in ["etc/x", "/etc/../usr/lib/os-release", "", "/etc/\0"] {
        assert!(matches!(text(&mut facts, path), Err(Error::Invalid(_))), "{path}");
    }
    assert!(matches!(text(&mut facts, "/etc/nothing"), Err(Error::NotFound(_))));
}

#[test]
fn reading_ends_at_the_limit_of_all_files_together() {
    let root = root();
    let mut facts = facts(root.path(), &Limits { file_bytes: 1500, read_bytes: 400, ..Limits::default() });
    let mut sizes = Vec::new();
    let error = loop {
        let file = facts.open("/big").unwrap().unwrap();
        match facts.read_from(&file, u32::MAX).unwrap() {
            Ok(bytes) => sizes.push(bytes.len()),
            Err(error) => break error,
        }
    };
    assert_eq!(sizes, [400, 400, 400, 300]);
    assert_eq!(error, Error::TooLarge("/big: more than 1500 bytes read from all files".to_owned()));
}

#[test]
fn open_files_are_limited_and_closed_with_the_guest() {
    let root = root();
    let mut facts = facts(root.path(), &Limits { open_files: 2, ..Limits::default() });
    let open = |facts: &mut Facts| facts.open("/big").unwrap().map(|_| ());
    assert_eq!([open(&mut facts), open(&mut facts)], [Ok(()), Ok(())]);
    assert_eq!(open(&mut facts), Err(Error::TooLarge("/big: more than 2 files open".to_owned())));
    facts.close_all();
    assert_eq!(open(&mut facts), Ok(()));
}

#[test]
fn a_folder_is_listed_in_order_up_to_its_limit() {
    let root = root();
    for name in ["c", "a", "b"] {
        std::fs::write(root.path().join("etc").join(name), "").unwrap();
    }
    let names = facts(root.path(), &Limits::default()).list("/etc/").unwrap().unwrap();
    assert_eq!(names, ["a", "b", "c"]);
    let mut few = facts(root.path(), &Limits { folder_entries: 2, ..Limits::default() });
    assert_eq!(few.list("/etc").unwrap(), Err(Error::TooLarge("/etc: more than 2 entries".to_owned())));
    assert!(matches!(few.list("/usr").unwrap(), Err(Error::Denied(_))));
}
