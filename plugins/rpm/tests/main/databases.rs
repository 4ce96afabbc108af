//! Databases as rpm leaves them.

use crate::support::{NEW, OLD, SMALL, database_with_log, endpoint, fedora, open, packages, refusal};
use farrier_plugin_sdk::{Error, Facts, FakeRoot, File, Os, Status};
use std::{cell::Cell, rc::Rc};

/// What both databases have.
const SYSTEM: [&str; 11] = [
    "glibc 2.39-5.fc40 i686",
    "glibc 2.39-6.fc40 x86_64",
    "kernel-core 6.8.5-301.fc40 x86_64",
    "kernel-core 6.9.12-200.fc40 x86_64",
    "kernel-core 6.11.3-200.fc40 x86_64",
    "openssl 1:3.2.1-2.fc40 x86_64",
    "openssl-libs 1:3.2.2-6.fc40 x86_64",
    "preview 2.0~rc1-1.fc40 x86_64",
    "rpm 4.19.1.1-1.fc40 x86_64",
    "snapshot 1.4^20240501git0123abc-1.fc40 x86_64",
    "tzdata 2024a-5.fc40 noarch",
];

#[test]
fn every_package_is_found() {
    assert_eq!(packages(&open(endpoint(SMALL)).unwrap()), SYSTEM);
    let mut with_documents = SYSTEM.to_vec();
    with_documents.insert(0, "documents 7-1.fc40 x86_64");
    assert_eq!(packages(&open(endpoint(&fedora())).unwrap()), with_documents, "public keys are no packages");
}

#[test]
fn the_newer_place_is_found_too() {
    let moved = endpoint(SMALL).without_file(OLD).with_file(NEW, SMALL);
    assert_eq!(packages(&open(moved).unwrap()), SYSTEM);
    let linked =
        endpoint(SMALL).without_file(OLD).with_file(NEW, SMALL).with_link("/var/lib/rpm", "../../usr/lib/sysimage/rpm");
    assert_eq!(packages(&open(linked).unwrap()), SYSTEM);
}

#[test]
fn two_databases_are_one_too_many() {
    let message = refusal(endpoint(SMALL).with_file(NEW, fedora()));
    assert!(message.contains("are two databases"), "{message}");
}

#[test]
fn older_forms_are_refused_by_name() {
    for (file, form) in [
        ("/var/lib/rpm/Packages", "Berkeley DB"),
        ("/var/lib/rpm/Packages.db", "ndb"),
        ("/usr/lib/sysimage/rpm/Packages.db", "ndb"),
    ] {
        let message = refusal(endpoint(SMALL).without_file(OLD).with_file(file, "old"));
        assert!(message.starts_with(file) && message.contains(form) && message.contains("--rebuilddb"), "{message}");
    }
}

#[test]
fn what_is_committed_in_the_log_counts() {
    let (database, log) = database_with_log();
    let with_log = |log: &[u8]| packages(&open(endpoint(&database).with_file(&format!("{OLD}-wal"), log)).unwrap());
    let common = ["glibc 2.39-5.fc40 i686", "glibc 2.39-6.fc40 x86_64"];
    let before = [&common[..], &["editor 1.0-1.fc40 x86_64", "rpm 4.19.1.1-1.fc40 x86_64"]].concat();
    let editor = [&common[..], &["editor 2.0-1.fc40 x86_64", "rpm 4.19.1.1-1.fc40 x86_64"]].concat();
    let after = [&editor[..], &["openssl 1:3.2.1-2.fc40 x86_64"]].concat();
    let sorted = |mut packages: Vec<&'static str>| {
        packages.sort_unstable();
        packages
    };
    let [before, editor, after] = [before, editor, after].map(sorted);
    assert_eq!(with_log(&log), after);
    assert_eq!(with_log(b""), before, "rpm leaves an empty log behind");

    // Frames of an older log may follow, and a frame that is half written is none.
    let frame = 24 + 4096;
    assert_eq!(with_log(&[&log, &log[32..32 + frame]].concat()), after);
    // Every transaction counts whole or not at all, wherever the log is cut or damaged.
    let mut seen = Vec::new();
    for at in (0..log.len()).step_by(1021) {
        let mut damaged = log.clone();
        damaged[at] ^= 1;
        for found in [with_log(&log[..at]), with_log(&damaged)] {
            // While a package is replaced, both are there.
            let both = found.contains(&"editor 1.0-1.fc40 x86_64".into())
                && found.contains(&"editor 2.0-1.fc40 x86_64".into());
            assert!(both || found == before || found == editor || found == after, "{at}: {found:?}");
            seen.push(found);
        }
    }
    assert!([before, editor].iter().all(|state| seen.iter().any(|seen| seen == state)), "no transaction was cut off");
}

#[test]
fn a_log_of_another_kind_is_an_error() {
    let (database, log) = database_with_log();
    // A version that is not known, with a checksum that is right: the sums go on from the words before.
    let mut unknown = log;
    unknown[4..8].copy_from_slice(&3_007_001_u32.to_be_bytes());
    let words: Vec<u32> = unknown[..24].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let sums = words.chunks(2).fold((0_u32, 0_u32), |(one, two), pair| {
        let one = one.wrapping_add(pair[0]).wrapping_add(two);
        (one, two.wrapping_add(pair[1]).wrapping_add(one))
    });
    assert_eq!(unknown[3] & 1, 0, "the machine that made it is little-endian");
    unknown[24..28].copy_from_slice(&sums.0.to_be_bytes());
    unknown[28..32].copy_from_slice(&sums.1.to_be_bytes());
    let message = refusal(endpoint(&database).with_file(&format!("{OLD}-wal"), unknown));
    assert!(message.contains("a version of the log that is not known"), "{message}");
}

#[test]
fn a_transaction_that_was_broken_off_is_an_error() {
    let journal = format!("{OLD}-journal");
    let hot = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 1];
    let message = refusal(endpoint(SMALL).with_file(&journal, hot));
    assert!(message.contains("-journal: a transaction is going on or was broken off"), "{message}");
    // One that was ended without removing it has no header any more.
    assert!(open(endpoint(SMALL).with_file(&journal, [0; 12])).is_ok());
    assert!(open(endpoint(SMALL).with_file(&journal, "")).is_ok());
}

#[test]
fn a_database_without_packages_is_no_answer() {
    let (database, _) = database_with_log();
    // Every leaf but those of the table of tables is made empty.
    let mut empty = database;
    for page in empty.chunks_mut(4096).filter(|page| page[0] == 13) {
        if !page.windows(6).any(|bytes| bytes == b"CREATE") {
            page[3..5].fill(0);
        }
    }
    let message = refusal(endpoint(&empty));
    assert!(message.contains("no package is installed according to /var/lib/rpm/rpmdb.sqlite"), "{message}");
}

/// An endpoint that changes while it is read: to the next one with every so many opened files.
struct Changing {
    states: Vec<FakeRoot>,
    every: usize,
    opened: Rc<Cell<usize>>,
}

impl Changing {
    fn now(&self) -> &FakeRoot {
        &self.states[(self.opened.get() / self.every).min(self.states.len() - 1)]
    }
}

impl Facts for Changing {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        self.opened.set(self.opened.get() + 1);
        self.now().open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.now().list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        self.now().stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.now().digest(path)
    }

    fn os(&self) -> Os {
        self.now().os()
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        self.now().query(name, argument)
    }
}

#[test]
fn a_change_while_it_is_read_is_noticed() {
    let (database, log) = database_with_log();
    let wal = format!("{OLD}-wal");
    let before = endpoint(&database).with_file(&wal, "");
    let after = endpoint(&database).with_file(&wal, log);
    let expected = packages(&open(after.clone()).unwrap());
    // However early or late the change comes, what is read is one state or the other.
    for every in 1..16 {
        let opened = Rc::new(Cell::new(0));
        let states = vec![before.clone(), after.clone()];
        let scan = open(Changing { states, every, opened: opened.clone() }).unwrap();
        if opened.get() > every {
            assert_eq!(packages(&scan), expected, "{every}");
        }
    }
}

#[test]
fn who_changes_all_the_time_is_asked_again_later() {
    let (database, log) = database_with_log();
    let wal = format!("{OLD}-wal");
    let states = (0..64_u8).map(|turn| {
        let index: Vec<u8> = [turn; 48].into();
        endpoint(&database).with_file(&wal, log.clone()).with_file(&format!("{OLD}-shm"), index)
    });
    let message = refusal(Changing { states: states.collect(), every: 2, opened: Rc::default() });
    assert!(message.contains("was changed while it was read, 3 times"), "{message}");
}
