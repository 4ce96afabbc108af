//! The pages of a database: from its write-ahead log where that has them, else from its file.

use super::{
    bytes::{damaged, read_at},
    header::{HEADER_BYTES, Header},
    wal::Wal,
};
use alloc::{borrow::ToOwned, boxed::Box, collections::VecDeque, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts, File};

/// Bytes that are read of the file at once. A header of rpm has its names in its first few pages, and those mostly
/// follow one another.
const WINDOW_BYTES: usize = 16 * 1024;

/// Windows that are kept.
const WINDOWS: usize = 4;

/// The pages of one state of a database.
pub struct Pages {
    file: Box<dyn File>,
    path: String,
    header: Header,
    wal: Option<Wal>,
    pages: u32,
    /// How many pages may still be looked at. Nobody needs one twice but the table of tables, so whoever asks for more
    /// goes round in circles.
    left: u64,
    windows: VecDeque<Window>,
}

/// Consecutive pages of the file.
struct Window {
    first: u32,
    bytes: Vec<u8>,
}

impl Pages {
    /// The pages of the database at this absolute path of the endpoint.
    pub fn open(facts: &dyn Facts, path: &str) -> Result<Self, Error> {
        let file = facts.open_file(path)?;
        let invalid = |what: String| Error::Invalid(format!("{path}: {what}"));
        let header = Header::parse(&read_at(&*file, 0, HEADER_BYTES)?).map_err(invalid)?;
        let wal = Wal::open(facts, path, header.page_bytes)?;
        let windows = VecDeque::with_capacity(WINDOWS);
        let mut pages = Self { file, path: path.to_owned(), header, wal, pages: u32::MAX, left: 2, windows };
        pages.count()?;
        Ok(pages)
    }

    /// Learns how many pages there are: from the last commit, else from the first page, else from the file's size.
    fn count(&mut self) -> Result<(), Error> {
        // With a write-ahead log, its first page counts.
        let page_bytes = self.header.page_bytes;
        let first = self.read(1)?;
        self.header = Header::parse(&first).map_err(|what| Error::Invalid(format!("{}: {what}", self.path)))?;
        if self.header.page_bytes != page_bytes {
            return Err(damaged(&self.path, 1, "the write-ahead log has another page size"));
        }
        let in_file = u32::try_from(self.file.size() / page_bytes as u64).unwrap_or(u32::MAX);
        let committed = self.wal.as_ref().and_then(Wal::pages);
        self.pages = committed.or(self.header.pages).unwrap_or(in_file);
        self.left = u64::from(self.pages).saturating_mul(2);
        Ok(())
    }

    /// The database's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes of a page that hold content.
    pub fn usable_bytes(&self) -> usize {
        self.header.usable_bytes
    }

    /// The content of a page.
    pub fn read(&mut self, page: u32) -> Result<Vec<u8>, Error> {
        if page == 0 || page > self.pages {
            return Err(damaged(&self.path, page, "there is no such page, but something leads to it"));
        }
        self.left =
            self.left.checked_sub(1).ok_or_else(|| damaged(&self.path, page, "its pages go round in circles"))?;
        let (page_bytes, usable) = (self.header.page_bytes, self.header.usable_bytes);
        let mut bytes = match self.wal.as_ref().map(|wal| wal.read(page)).transpose()?.flatten() {
            Some(bytes) => bytes,
            None => self.read_file(page)?,
        };
        if bytes.len() < page_bytes {
            return Err(damaged(&self.path, page, "it is cut off"));
        }
        bytes.truncate(usable);
        Ok(bytes)
    }

    /// What the file has of a page.
    fn read_file(&mut self, page: u32) -> Result<Vec<u8>, Error> {
        let page_bytes = self.header.page_bytes;
        let in_window = |window: &Window| {
            let from = usize::try_from(page.checked_sub(window.first)?).ok()?.checked_mul(page_bytes)?;
            window.bytes.get(from..from.checked_add(page_bytes)?).map(<[u8]>::to_vec)
        };
        if let Some(bytes) = self.windows.iter().find_map(in_window) {
            return Ok(bytes);
        }
        let offset = u64::from(page - 1) * page_bytes as u64;
        let bytes = read_at(&*self.file, offset, WINDOW_BYTES.max(page_bytes))?;
        let content = bytes[..bytes.len().min(page_bytes)].to_vec();
        if self.windows.len() == WINDOWS {
            self.windows.pop_front();
        }
        self.windows.push_back(Window { first: page, bytes });
        Ok(content)
    }

    /// Whether the write-ahead log has a commit that these pages do not know of.
    pub fn has_newer_commit(&self, facts: &dyn Facts) -> Result<bool, Error> {
        match &self.wal {
            Some(wal) => wal.has_newer_commit(facts),
            None => Ok(Wal::open(facts, &self.path, self.header.page_bytes)?.is_some_and(|wal| wal.has_commit())),
        }
    }
}
