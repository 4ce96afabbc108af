//! Catalogs: the applicability rules of one upstream suite for one scope, cut into chunks.
//!
//! A catalog is a list of chunks by digest. A chunk is published compressed (zstd) and content-addressed: when a suite
//! changes, only the chunks with a changed rule have a new digest. What a rule says is between the publisher of the
//! catalog and the plugin; site and agent only carry the bytes.

use crate::{Digest, UpdateId};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Rules in one chunk, at most.
pub const MAX_CHUNK_RULES: usize = 4096;
/// Bytes of [`Chunk::rules`], at most.
pub const MAX_CHUNK_RULE_BYTES: usize = 64 * 1024;
/// Bytes of an encoded chunk before compression, at most; it bounds what the agent unpacks.
pub const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// Chunks of one catalog, at most.
pub const MAX_CHUNKS: usize = 16 * 1024;
/// Bytes of an encoded catalog, at most.
pub const MAX_CATALOG_BYTES: usize = MAX_CHUNKS * 48 + 1024;

/// The chunks of one catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The chunks, in order.
    pub chunks: Vec<ChunkEntry>,
}

/// One chunk of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// SHA-256 of the compressed chunk, its address in the repository.
    pub digest: Digest,
    /// Bytes of the compressed chunk.
    pub length: u32,
    /// How many rules it holds.
    pub rules: u32,
}

/// One chunk, borrowed from its unpacked bytes: parsing it copies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk<'a> {
    /// The ids of the updates, [`UpdateId::LENGTH`] bytes each, in the order of the rules.
    pub ids: &'a [u8],
    /// The rules, each behind its length as a little-endian `u16`.
    pub rules: &'a [u8],
    /// The names of the updates, one a line, in the order of the rules.
    pub names: &'a str,
}

impl<'a> Chunk<'a> {
    /// The ids of the updates, in the order of the rules.
    pub fn updates(&self) -> impl ExactSizeIterator<Item = UpdateId> + 'a {
        let (ids, _) = self.ids.as_chunks::<{ UpdateId::LENGTH }>();
        ids.iter().map(|id| UpdateId(*id))
    }

    /// The rules, without their lengths. Ends early where a length points past the end.
    pub fn rules(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.rules;
        core::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (rule, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = tail;
            Some(rule)
        })
    }

    /// Whether ids, rules and names are of the same number and within the limits.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let count = self.updates().len();
        self.ids.len() == count * UpdateId::LENGTH
            && count <= MAX_CHUNK_RULES
            && self.rules.len() <= MAX_CHUNK_RULE_BYTES
            && self.rules().count() == count
            && self.rules().map(|rule| rule.len() + 2).sum::<usize>() == self.rules.len()
            && line_count(self.names) == count
    }
}

/// As many as `lines()` gives, without looking at each of them: this runs over every name of every scan.
fn line_count(text: &str) -> usize {
    let ended = text.bytes().filter(|byte| *byte == b'\n').count();
    ended + usize::from(!text.is_empty() && !text.ends_with('\n'))
}
