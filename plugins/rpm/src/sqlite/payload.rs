//! The content of a row, as much of it as somebody wants.

use super::{
    bytes::{damaged, u32_at},
    pages::Pages,
};
use alloc::{format, vec::Vec};
use farrier_plugin_sdk::Error;

/// Bytes of one row that are read, at most. Of what rpm keeps of a package, the names are at the front.
pub const MAX_PREFIX_BYTES: usize = 4 << 20;

/// Something of which the first bytes can be had.
pub trait Prefix {
    /// How many bytes it has altogether.
    fn length(&self) -> u64;

    /// The first `count` bytes.
    ///
    /// # Errors
    /// If it has fewer, if that is more than anybody should need, or if they cannot be read.
    fn prefix(&mut self, count: usize) -> Result<&[u8], Error>;
}

/// The content of a row: what its leaf has, and the pages that follow.
pub struct Payload<'a> {
    pages: &'a mut Pages,
    leaf: u32,
    length: u64,
    next: u32,
    bytes: Vec<u8>,
}

impl<'a> Payload<'a> {
    /// The content of this length that begins with `local` and goes on at the page `next`.
    pub fn new(pages: &'a mut Pages, leaf: u32, length: u64, local: &[u8], next: u32) -> Self {
        Self { pages, leaf, length, next, bytes: local.to_vec() }
    }

    /// An error about this row.
    pub fn damaged(&self, what: &str) -> Error {
        damaged(self.pages.path(), self.leaf, what)
    }
}

impl Prefix for Payload<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn prefix(&mut self, count: usize) -> Result<&[u8], Error> {
        if count as u64 > self.length {
            return Err(self.damaged("a row is shorter than its content says"));
        }
        if count > MAX_PREFIX_BYTES {
            let path = self.pages.path();
            let reason = format!("{path}: more than {MAX_PREFIX_BYTES} bytes of a row are needed to understand it");
            return Err(Error::TooLarge(reason));
        }
        while self.bytes.len() < count {
            let page = self.pages.read(self.next)?;
            // The number of the next page, then content.
            self.next = u32_at(&page, 0).ok_or_else(|| self.damaged("a row is cut off"))?;
            self.bytes.extend_from_slice(&page[4..]);
        }
        Ok(&self.bytes[..count])
    }
}
