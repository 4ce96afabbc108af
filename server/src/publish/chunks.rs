//! Cutting a catalog into chunks.
//!
//! Where a chunk ends depends on the updates around the cut and on nothing else, so that a changed update changes its
//! own chunk and, at most, the next one; all others keep their digests and are not fetched again.

use crate::repository::RepositoryFolder;
use anyhow::Context as _;
use farrier_protocol::UpdateId;
use farrier_protocol::catalog::{Chunk, ChunkEntry, MAX_CHUNK_BYTES, MAX_CHUNK_RULE_BYTES, MAX_CHUNK_RULES};

/// A chunk below this size is not cut.
const MIN_RULE_BYTES: usize = 24 * 1024;
/// Above it, one update in so many ends its chunk.
const CUT_ONE_IN: u16 = 256;
/// What ids, names and the lengths in front of them add to the rules of an encoded chunk, at most.
const MAX_NAMES_BYTES: usize = MAX_CHUNK_BYTES - MAX_CHUNK_RULE_BYTES - MAX_CHUNK_RULES * UpdateId::LENGTH - 64;
/// Fixed, like the compressor's version in Cargo.lock: equal rules have to become equal bytes.
const COMPRESSION_LEVEL: i32 = 12;

/// Collects rules and stores a chunk whenever one is full.
pub(super) struct ChunkWriter<'a> {
    repository: &'a RepositoryFolder,
    ids: Vec<u8>,
    rules: Vec<u8>,
    names: String,
    finished: Vec<ChunkEntry>,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(repository: &'a RepositoryFolder) -> Self {
        Self { repository, ids: Vec::new(), rules: Vec::new(), names: String::new(), finished: Vec::new() }
    }

    /// Adds a rule, which is shorter than a chunk.
    pub(super) fn push(&mut self, update: UpdateId, name: &str, rule: &[u8]) -> anyhow::Result<()> {
        let length = u16::try_from(rule.len()).context("a rule has 64 KiB or more")?;
        let is_full = self.rules.len() + 2 + rule.len() > MAX_CHUNK_RULE_BYTES
            || self.ids.len() >= MAX_CHUNK_RULES * UpdateId::LENGTH
            || self.names.len() + name.len() >= MAX_NAMES_BYTES;
        if is_full {
            self.cut()?;
        }
        self.ids.extend_from_slice(update.as_bytes());
        self.rules.extend_from_slice(&length.to_le_bytes());
        self.rules.extend_from_slice(rule);
        self.names.push_str(name);
        self.names.push('\n');
        let [first, second, ..] = update.0;
        if self.rules.len() >= MIN_RULE_BYTES && u16::from_le_bytes([first, second]).is_multiple_of(CUT_ONE_IN) {
            self.cut()?;
        }
        Ok(())
    }

    /// Stores what is left and returns the chunks.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<ChunkEntry>> {
        self.cut()?;
        Ok(self.finished)
    }

    fn cut(&mut self) -> anyhow::Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let chunk = Chunk { ids: &self.ids, rules: &self.rules, names: &self.names };
        let rules = u32::try_from(chunk.updates().len())?;
        let compressed = zstd::bulk::compress(&farrier_protocol::encode(&chunk)?, COMPRESSION_LEVEL)?;
        let digest = self.repository.put(&compressed)?;
        self.finished.push(ChunkEntry { digest, length: u32::try_from(compressed.len())?, rules });
        self.ids.clear();
        self.rules.clear();
        self.names.clear();
        Ok(())
    }
}
