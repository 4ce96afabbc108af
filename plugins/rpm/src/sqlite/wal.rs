//! The write-ahead log beside a database: newer pages, of transactions of which some are committed.
//!
//! rpm always works with one, and leaves transactions in it while anybody else has the database open. A reader without
//! it would see packages of last week.

use super::bytes::{read_at, u32_at};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts, File};

/// Bytes of the log's header.
pub const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// Frames of a log, at most. Each page that has one takes some bytes of the plugin's memory.
const MAX_FRAMES: u32 = 256 * 1024;

/// The committed part of a write-ahead log.
pub struct Wal {
    file: Box<dyn File>,
    path: String,
    page_bytes: usize,
    header: Vec<u8>,
    /// Where the newest content of a page is in the log.
    newest: BTreeMap<u32, u64>,
    committed: Position,
}

/// A place behind a frame.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// Where the next frame begins.
    offset: u64,
    /// The checksum up to there.
    sum: Sum,
    frames: u32,
    /// Pages of the database as of this commit; 0 before the first.
    pages: u32,
}

/// A frame: one page of a transaction.
struct Frame {
    page: u32,
    /// Pages of the database after the transaction that ends here; 0, if none does.
    pages: u32,
}

/// The running checksum of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u32, u32);

impl Wal {
    /// The log beside the database at this path; none, if there is none or it is empty.
    ///
    /// A header with another checksum than its own is no error: SQLite, too, takes such a log for an empty one.
    pub fn open(facts: &dyn Facts, database: &str, page_bytes: usize) -> Result<Option<Self>, Error> {
        let path = format!("{database}-wal");
        let file = match facts.open_file(&path) {
            Ok(file) => file,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = read_at(&*file, 0, WAL_HEADER_BYTES)?;
        let Some(sum) = check_header(&header) else { return Ok(None) };
        if u32_at(&header, 4) != Some(VERSION) {
            return Err(Error::Invalid(format!("{path}: a version of the log that is not known")));
        }
        if u32_at(&header, 8).is_none_or(|size| size as usize != page_bytes) {
            return Err(Error::Invalid(format!("{path}: its pages are not as large as those of the database")));
        }
        let committed = Position { offset: WAL_HEADER_BYTES as u64, sum, frames: 0, pages: 0 };
        let mut wal = Self { file, path, page_bytes, header, newest: BTreeMap::new(), committed };
        while wal.take_transaction()? {}
        Ok(Some(wal))
    }

    /// Whether a transaction is committed in the log.
    pub fn has_commit(&self) -> bool {
        self.committed.frames > 0
    }

    /// How many pages the database has after the last commit.
    pub fn pages(&self) -> Option<u32> {
        Some(self.committed.pages).filter(|pages| *pages > 0)
    }

    /// The newest committed content of a page, if the log has it.
    pub fn read(&self, page: u32) -> Result<Option<Vec<u8>>, Error> {
        match self.newest.get(&page) {
            Some(offset) => read_at(&*self.file, *offset, self.page_bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the log has been begun anew, or has another commit.
    pub fn has_newer_commit(&self, facts: &dyn Facts) -> Result<bool, Error> {
        let file = match facts.open_file(&self.path) {
            Ok(file) => file,
            Err(Error::NotFound(_)) => return Ok(true),
            Err(error) => return Err(error),
        };
        if read_at(&*file, 0, WAL_HEADER_BYTES)? != self.header {
            return Ok(true);
        }
        let mut at = self.committed;
        while let Some((frame, next)) = next_frame(&*file, &self.header, self.page_bytes, at)? {
            if frame.pages > 0 {
                return Ok(true);
            }
            at = self.bounded(next)?;
        }
        Ok(false)
    }

    /// Takes the frames of the next committed transaction, if there is one.
    fn take_transaction(&mut self) -> Result<bool, Error> {
        let mut pending = Vec::new();
        let mut at = self.committed;
        while let Some((frame, next)) = next_frame(&*self.file, &self.header, self.page_bytes, at)? {
            pending.push((frame.page, at.offset + FRAME_HEADER_BYTES as u64));
            at = self.bounded(next)?;
            if frame.pages > 0 {
                self.newest.extend(pending);
                self.committed = Position { pages: frame.pages, ..at };
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn bounded(&self, at: Position) -> Result<Position, Error> {
        if at.frames > MAX_FRAMES {
            return Err(Error::TooLarge(format!("{}: more than {MAX_FRAMES} pages in the log", self.path)));
        }
        Ok(at)
    }
}

/// The checksum behind a log's header, if it is a log and the header is whole.
fn check_header(header: &[u8]) -> Option<Sum> {
    if header.len() < WAL_HEADER_BYTES || u32_at(header, 0)? & !1 != MAGIC {
        return None;
    }
    let sum = Sum::default().add(&header[..24], is_big_endian(header));
    (Some(sum.0) == u32_at(header, 24) && Some(sum.1) == u32_at(header, 28)).then_some(sum)
}

/// Whether the words of checksums are big-endian: as on the machine that made the log.
fn is_big_endian(header: &[u8]) -> bool {
    header[3] & 1 == 1
}

/// The frame at this position and the position behind it. None, where the valid frames end: at the end of the file, or
/// at one of an older log, whose salts or checksum are others.
fn next_frame(
    file: &dyn File,
    header: &[u8],
    page_bytes: usize,
    at: Position,
) -> Result<Option<(Frame, Position)>, Error> {
    let length = FRAME_HEADER_BYTES + page_bytes;
    let bytes = read_at(file, at.offset, length)?;
    if bytes.len() < length || bytes[8..16] != header[16..24] {
        return Ok(None);
    }
    let sum = at.sum.add(&bytes[..8], is_big_endian(header));
    let sum = sum.add(&bytes[FRAME_HEADER_BYTES..], is_big_endian(header));
    let [page, pages, sum_0, sum_1] = [0, 4, 16, 20].map(|at| u32_at(&bytes, at).unwrap_or_default());
    if page == 0 || sum != Sum(sum_0, sum_1) {
        return Ok(None);
    }
    let next = Position { offset: at.offset + length as u64, sum, frames: at.frames + 1, pages: at.pages };
    Ok(Some((Frame { page, pages }, next)))
}

impl Sum {
    /// The sum with these bytes more; they are a multiple of eight.
    fn add(self, bytes: &[u8], big_endian: bool) -> Self {
        let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let (pairs, _) = bytes.as_chunks::<8>();
        pairs.iter().fold(self, |Self(one, two), [a, b, c, d, e, f, g, h]| {
            let one = one.wrapping_add(word([*a, *b, *c, *d])).wrapping_add(two);
            Self(one, two.wrapping_add(word([*e, *f, *g, *h])).wrapping_add(one))
        })
    }
}
