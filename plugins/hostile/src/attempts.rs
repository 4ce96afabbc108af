//! Attempts at what no grant covers. Each has to be refused; the guest tells which was not.

use alloc::{format, string::String};
use farrier_plugin_sdk::{Error, Facts};

/// Paths that are not granted, or are none.
const PATHS: [&str; 14] = [
    "/",
    "/etc",
    "/etc/passwd",
    "/etc/hostile2",
    "/etc/hostile/x",
    "/etc/../etc/passwd",
    "/etc/hostile/../passwd",
    "//etc//passwd",
    "/etc/./passwd",
    "etc/hostile",
    "../etc/hostile",
    "",
    "/etc/hostile\0",
    "/proc/self/root/etc/passwd",
];
/// Facts that are not granted, or are none.
const FACTS: [&str; 6] = ["registry", "", "disk-space2", "/disk-space", "DISK-SPACE", "disk-space\0"];
/// What the file that says what to do begins with, at most.
const MANY_BYTES: u32 = 4096;

/// Tries to learn of what is not granted.
pub fn look_around(facts: &dyn Facts) -> Result<(), Error> {
    for path in PATHS {
        refused("open", path, facts.open_file(path).map(drop))?;
        refused("list", path, facts.list_folder(path).map(drop))?;
        refused("stat", path, facts.stat(path).map(drop))?;
        refused("digest", path, facts.digest(path).map(drop))?;
    }
    for name in FACTS {
        refused("query", name, facts.query(name, "/").map(drop))?;
    }
    for path in ["etc", "/..", "", "/\0"] {
        refused("disk-space of", path, facts.query("disk-space", path).map(drop))?;
    }
    Ok(())
}

fn refused(what: &str, name: &str, answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::Denied(_) | Error::Invalid(_)) => Ok(()),
        Ok(()) => Err(Error::Other(format!("{what} {name} was let through"))),
        Err(error) => Err(Error::Other(format!("{what} {name} was let through, but failed: {}", error.message()))),
    }
}

/// Reads where there is nothing, and more than there is.
pub fn read_at_edges(facts: &dyn Facts) -> Result<(), Error> {
    let mut file = facts.open_file("/etc/hostile")?;
    let whole = file.read_at(0, u32::MAX)?;
    let ends = [file.size(), u64::MAX, u64::MAX - 1, i64::MAX as u64, i64::MAX as u64 + 1];
    for offset in ends {
        for max in [0, 1, MANY_BYTES, u32::MAX] {
            let bytes = file.read_at(offset, max)?;
            expect(bytes.is_empty(), format!("{} bytes at {offset}", bytes.len()))?;
        }
    }
    expect(file.read_at(1, 0)?.is_empty(), "bytes where none were asked for".into())?;
    // None of it moved what is read next.
    expect(file.read(u32::MAX)? == whole, "something else than the whole".into())?;
    expect(file.read(u32::MAX)?.is_empty(), "something behind the end".into())
}

fn expect(holds: bool, found: String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Other(format!("there was {found}"))) }
}
