//! Whatever is wrong with a database, the plugin says so: it neither falls over nor goes round in circles.

use crate::support::{OLD, SMALL, endpoint, fedora, open, packages, refusal};

#[test]
fn what_is_no_database_is_named() {
    for (content, expected) in [
        (b"".to_vec(), "it has 0 bytes"),
        (b"not a database".repeat(10), "it is no SQLite 3 database"),
        (SMALL[..100].to_vec(), "it is cut off"),
    ] {
        let message = refusal(endpoint(&content));
        assert!(message.contains(OLD) && message.contains(expected), "{message}");
    }
}

#[test]
fn a_database_that_is_cut_off_is_refused() {
    let sound = packages(&open(endpoint(SMALL)).unwrap());
    for length in (0..SMALL.len()).step_by(97) {
        // Only what nobody needs may be missing.
        if let Ok(scan) = open(endpoint(&SMALL[..length])) {
            assert_eq!(packages(&scan), sound, "{length}");
        }
    }
    assert!(refusal(endpoint(&SMALL[..SMALL.len() / 2])).contains(OLD));
}

#[test]
fn no_byte_brings_it_down() {
    let mut database = SMALL.to_vec();
    let mut refused = 0;
    for at in 0..database.len() {
        let sound = database[at];
        for byte in [0, 1, 0x7f, 0xff, sound ^ 0x10] {
            database[at] = byte;
            match open(endpoint(&database)) {
                Ok(scan) => assert!(scan.packages().len() <= 11 * 40, "{at}"),
                Err(_) => refused += 1,
            }
        }
        database[at] = sound;
    }
    assert!(refused > 1000, "only {refused} damages were noticed");
}

#[test]
fn pages_that_lead_to_each_other_are_refused() {
    // Every four bytes that look like the number of a page are made to lead to each page in turn.
    let database = SMALL.to_vec();
    let pages = u32::try_from(database.len() / 512).unwrap();
    for at in (0..database.len() - 4).step_by(2) {
        let number = u32::from_be_bytes(database[at..at + 4].try_into().unwrap());
        if (1..=pages).contains(&number) {
            for page in 0..=pages + 1 {
                let mut changed = database.clone();
                changed[at..at + 4].copy_from_slice(&page.to_be_bytes());
                let _ = open(endpoint(&changed));
            }
        }
    }
}

#[test]
fn a_damaged_header_ends_the_scan_with_its_number() {
    let mut database = fedora();
    // The name before the version: in the header, not in an index.
    let at = database.windows(12).position(|bytes| bytes == b"documents\x007\0").unwrap();
    database[at] = 0;
    let message = refusal(endpoint(&database));
    assert!(message.contains("package number 12 of the rpm database: the name is no word"), "{message}");
}
