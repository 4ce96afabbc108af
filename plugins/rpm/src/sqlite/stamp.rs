//! Signs of a change: what is different when somebody wrote meanwhile.

use super::{bytes::read_at, header::HEADER_BYTES};
use alloc::{format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts};

/// Bytes of the log's index that change with every commit: the first copy of its header.
const INDEX_BYTES: usize = 48;

/// The first bytes of a roll-back journal in use.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// How the files of a database looked at one time. A commit changes at least one of these: the counter in the header,
/// the header of the log's index, or the log itself, which [`Wal`](super::wal::Wal) looks at.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified: i64,
    header: Vec<u8>,
    index: Option<Vec<u8>>,
}

impl Stamp {
    /// How the files look now.
    ///
    /// # Errors
    /// If they cannot be read, or if a transaction is going on or was broken off that has already changed the file.
    pub fn take(facts: &dyn Facts, path: &str) -> Result<Self, Error> {
        let header = start_of(facts, path, HEADER_BYTES)?.ok_or_else(|| Error::NotFound(path.into()))?;
        let status = facts.stat(path)?;
        let journal: String = format!("{path}-journal");
        if start_of(facts, &journal, JOURNAL_MAGIC.len())?.is_some_and(|start| start == JOURNAL_MAGIC) {
            let reason = "a transaction is going on or was broken off; a program that opens the database, such as \
                          `rpm -qa`, repairs the latter";
            return Err(Error::Other(format!("{journal}: {reason}")));
        }
        let index = start_of(facts, &format!("{path}-shm"), INDEX_BYTES)?;
        Ok(Self { size: status.size, modified: status.modified, header, index })
    }
}

/// The first bytes of a file; none, if there is no such file.
fn start_of(facts: &dyn Facts, path: &str, length: usize) -> Result<Option<Vec<u8>>, Error> {
    match facts.open_file(path) {
        Ok(file) => read_at(&*file, 0, length).map(Some),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
