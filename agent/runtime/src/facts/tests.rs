use super::*;
use crate::manifest::{Manifest, Request};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn facts(root: &Path, limits: &Limits) -> Facts {
    facts_of(&Endpoint::open(root).unwrap(), limits)
}

fn facts_of(endpoint: &Endpoint, limits: &Limits) -> Facts {
    let manifest = Manifest { read: Request::all(&["/**", "disk-space", "registry"]), ..Manifest::sample() };
    let grants = Grants::new(
        &manifest,
        ["/**", "disk-space", "registry"],
        ["/etc/**", "/etc", "/big", "disk-space", "registry"],
    );
    let mut facts = Facts::new(endpoint, grants.unwrap(), limits);
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
    assert!(matches!(few.list("/etc").unwrap(), Err(Error::TooLarge(text)) if text.contains("more than 2 entries")));
    let mut few = facts(root.path(), &Limits { folder_bytes: 2, ..Limits::default() });
    assert!(matches!(few.list("/etc").unwrap(), Err(Error::TooLarge(text)) if text.contains("or 2 bytes of names")));
    assert!(matches!(few.list("/usr").unwrap(), Err(Error::Denied(_))));
}

#[test]
fn any_part_of_a_file_is_read_without_moving_what_comes_next() {
    let root = root();
    std::fs::write(root.path().join("etc/digits"), "0123456789").unwrap();
    let mut facts = facts(root.path(), &Limits::default());
    let file = facts.open("/etc/digits").unwrap().unwrap();
    assert_eq!(facts.read_from(&file, 3).unwrap().unwrap(), b"012");
    for (offset, max, expected) in [(5, 2, "56"), (8, 100, "89"), (10, 1, ""), (u64::MAX, u32::MAX, ""), (0, 0, "")] {
        assert_eq!(facts.read_range(&file, offset, max).unwrap().unwrap(), expected.as_bytes(), "{offset} {max}");
    }
    assert_eq!(facts.read_from(&file, 100).unwrap().unwrap(), b"3456789");
    assert_eq!(facts.read_from(&file, 100).unwrap().unwrap(), b"");
}

#[test]
fn files_of_the_kernel_that_say_they_are_empty_are_read() {
    let facts = Facts::new(
        &Endpoint::open(Path::new("/")).unwrap(),
        Grants::new(
            &Manifest { read: Request::all(&["/proc/**"]), ..Manifest::sample() },
            ["/proc/sys/kernel/*"],
            ["/proc/sys/kernel/ostype"],
        )
        .unwrap(),
        &Limits::default(),
    );
    let mut facts = facts;
    facts.set_deadline(Instant::now() + Duration::from_secs(600));
    assert_eq!(text(&mut facts, "/proc/sys/kernel/ostype"), Ok("Linux\n".to_owned()));
    assert_eq!(facts.hash("/proc/sys/kernel/ostype").unwrap().unwrap(), Digest::of(b"Linux\n").to_string());
}

#[test]
fn a_path_is_looked_at_without_being_opened() {
    let root = root();
    std::fs::write(root.path().join("etc/file"), "12345").unwrap();
    rustix::fs::chmod(root.path().join("etc/file"), rustix::fs::Mode::from_raw_mode(0o4640)).unwrap();
    symlink("/usr/lib/os-release", root.path().join("etc/link")).unwrap();
    symlink("../usr", root.path().join("etc/usr")).unwrap();
    let mut facts = facts(root.path(), &Limits::default());
    let mut stat = |path: &str| facts.status(path).unwrap();
    let file = stat("/etc/file").unwrap();
    assert_eq!((file.kind, file.size, file.mode), (Kind::File, 5, 0o4640));
    assert!(file.modified > 1_500_000_000);
    assert_eq!(stat("/etc").map(|status| (status.kind, status.size)), Ok((Kind::Folder, 0)));
    assert_eq!(stat("/etc/link").map(|status| status.kind), Ok(Kind::Link));
    // Links on the way are followed, as for reading.
    assert_eq!(stat("/etc/usr/lib/os-release").map(|status| status.kind), Ok(Kind::File));
    assert!(matches!(stat("/etc/none"), Err(Error::NotFound(_))));
    assert!(matches!(stat("/etc/file/x"), Err(Error::NotFound(_))));
    for path in ["/usr/lib/os-release", "/", "/usr"] {
        assert!(matches!(stat(path), Err(Error::Denied(_))), "{path}");
    }
}

#[test]
fn a_digest_is_of_the_whole_file_and_within_its_limit() {
    let root = root();
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
    std::fs::write(root.path().join("etc/large"), &bytes).unwrap();
    let mut facts = facts(root.path(), &Limits { digest_bytes: 500_000, file_bytes: 1, ..Limits::default() });
    for _ in 0..2 {
        assert_eq!(facts.hash("/etc/large").unwrap().unwrap(), Digest::of(&bytes).to_string());
    }
    assert!(matches!(facts.hash("/etc/large").unwrap(), Err(Error::TooLarge(text)) if text.contains("500000 bytes")));
    assert!(matches!(facts.hash("/etc").unwrap(), Err(Error::Invalid(_))));
    assert!(matches!(facts.hash("/usr/lib/os-release").unwrap(), Err(Error::Denied(_))));
}

#[test]
fn a_digest_that_takes_too_long_is_given_up() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    let error = hash_file(file, u64::MAX, Instant::now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn after_its_time_a_guest_is_told_nothing() {
    let root = root();
    let mut facts = facts(root.path(), &Limits::default());
    facts.set_deadline(Instant::now());
    let error = facts.status("/etc").unwrap_err();
    assert!(error.downcast_ref::<crate::reader::TimeIsUp>().is_some(), "{error}");
}

#[test]
fn an_endpoint_says_what_it_is_or_what_it_is_told_to() {
    let root = root();
    let endpoint = Endpoint::open(root.path()).unwrap();
    let os = |endpoint: &Endpoint| -> Vec<(String, String)> {
        let mut facts = facts_of(endpoint, &Limits::default());
        facts.os().unwrap().into_iter().map(|fact| (fact.name, fact.value)).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // Of another root it is not known which machine it is for.
    assert_eq!(os(&endpoint), [pair("id", "debian")]);
    std::fs::write(root.path().join("etc/os-release"), "ID=other\n").unwrap();
    assert_eq!(os(&endpoint), [pair("id", "other")]);
    let told = vec![pair("id", "told"), pair("machine", "riscv64")];
    assert_eq!(os(&endpoint.with_os(told.clone())), told);
    let here = os(&Endpoint::open(Path::new("/")).unwrap());
    assert!(here.iter().any(|(name, value)| name == "machine" && value == std::env::consts::ARCH), "{here:?}");
}

#[test]
fn the_room_on_a_disk_is_told_of_what_is_there_and_what_is_not() {
    let root = root();
    let endpoint = Endpoint::open(root.path()).unwrap();
    let mut facts = facts_of(&endpoint, &Limits::default());
    let mut query = |name: &str, argument: &str| facts.answer(name, argument).unwrap();
    let space = |json: String| {
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 2);
        (value["total_bytes"].as_u64().unwrap(), value["free_bytes"].as_u64().unwrap())
    };
    let (total, free) = space(query("disk-space", "/").unwrap());
    assert!(total > 0 && free <= total);
    // Where something would be, and where nobody may look: the answer is no witness of what is there.
    for path in ["/opt/new/deep", "/usr/lib/os-release", "/usr/lib/os-release/x"] {
        assert_eq!(space(query("disk-space", path).unwrap()).0, total, "{path}");
    }
    for path in ["", "opt", "/..", "/a\0"] {
        assert!(matches!(query("disk-space", path), Err(Error::Invalid(_))), "{path}");
    }
    let error = query("registry", "HKLM").unwrap_err();
    assert_eq!(error, Error::NotFound("the fact `registry`: this host has disk-space".to_owned()));
    assert!(matches!(query("disk", "/"), Err(Error::Denied(_))));
    // A replay has the answers it was recorded with.
    let told = endpoint.with_queries(vec![("registry".to_owned(), "HKLM".to_owned(), "{}".to_owned())]);
    let mut facts = facts_of(&told, &Limits::default());
    assert_eq!(facts.answer("registry", "HKLM").unwrap(), Ok("{}".to_owned()));
}

/// Whatever a guest names, it learns nothing of what is outside its grants, but where a link of the endpoint's own leads.
#[test]
fn no_path_is_a_way_around_the_grants() {
    use crate::properties::{names, root_with_links};
    let root = root_with_links();
    let manifest = Manifest { read: Request::all(&["/in/**"]), ..Manifest::sample() };
    let grants = Grants::new(&manifest, ["/**"], ["/**"]).unwrap();
    let mut facts = Facts::new(&Endpoint::open(root.path()).unwrap(), grants, &Limits::default());
    facts.set_deadline(Instant::now() + Duration::from_secs(600));
    let mut answered = 0;
    for path in names(6) {
        let is_inside = normalize(&path).is_ok_and(|path| path.starts_with("/in/"));
        let answers = [
            facts.status(&path).unwrap().map(drop),
            facts.list(&path).unwrap().map(drop),
            facts.hash(&path).unwrap().map(drop),
            text(&mut facts, &path).map(drop),
        ];
        facts.close_all();
        for answer in answers {
            answered += usize::from(answer.is_ok());
            let is_refused = matches!(answer, Err(Error::Denied(_) | Error::Invalid(_)));
            assert!(is_inside || is_refused, "{path:?}: {answer:?}");
        }
    }
    assert!(answered > 100, "{answered}: the names are too wild to find anything");
}
