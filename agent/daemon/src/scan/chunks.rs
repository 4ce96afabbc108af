//! Catalogs and chunks out of the content cache, one chunk at a time, in buffers that are used again.

use crate::content::{Content, Unavailable};
use anyhow::Context as _;
use farrier_protocol::Digest;
use farrier_protocol::catalog::{Catalog, Chunk, ChunkEntry, MAX_CATALOG_BYTES, MAX_CHUNK_BYTES, MAX_CHUNKS};
use zstd::bulk::Decompressor;

/// Why a catalog or a chunk cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChunkError {
    /// It is not there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It is signed, and yet not what it should be.
    #[error("{0} is malformed: the site published something that this agent does not understand")]
    Malformed(Digest),
}

/// Reads chunks.
pub(crate) struct Chunks<'a> {
    content: &'a Content,
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
    plain: Vec<u8>,
}

impl<'a> Chunks<'a> {
    /// A reader of this content.
    pub(crate) fn new(content: &'a Content) -> anyhow::Result<Self> {
        let decompressor = Decompressor::new().context("no memory to decompress with")?;
        // The bound of what a chunk unpacks to; the system gives only the pages that are written.
        let plain = Vec::with_capacity(MAX_CHUNK_BYTES);
        Ok(Self { content, decompressor, compressed: Vec::new(), plain })
    }

    /// The catalog with this digest.
    pub(crate) fn catalog(&mut self, digest: &Digest) -> Result<Catalog, ChunkError> {
        self.content.read(digest, MAX_CATALOG_BYTES, &mut self.compressed)?;
        let catalog: Catalog =
            farrier_protocol::decode(&self.compressed).map_err(|_| ChunkError::Malformed(*digest))?;
        let fits = |chunk: &ChunkEntry| chunk.length as usize <= MAX_CHUNK_BYTES;
        if catalog.chunks.len() > MAX_CHUNKS || !catalog.chunks.iter().all(fits) {
            return Err(ChunkError::Malformed(*digest));
        }
        Ok(catalog)
    }

    /// The chunk of this entry, in place.
    pub(crate) fn chunk(&mut self, entry: &ChunkEntry) -> Result<Chunk<'_>, ChunkError> {
        let malformed = || ChunkError::Malformed(entry.digest);
        self.content.read(&entry.digest, entry.length as usize, &mut self.compressed)?;
        self.decompressor.decompress_to_buffer(&self.compressed, &mut self.plain).map_err(|_| malformed())?;
        let chunk: Chunk<'_> = farrier_protocol::decode(&self.plain).map_err(|_| malformed())?;
        if chunk.is_consistent() { Ok(chunk) } else { Err(malformed()) }
    }
}
