//! The content of an update in a guest's hands: every byte that is passed on was hashed, and the hash is the policy's.

use super::time::in_time;
use super::types::BlobFile;
use super::world::{State, content};
use crate::world::types::Error;
use farrier_protocol::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable};

/// Bytes that are hashed, and passed on, at once.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of a label, at most: it is a file's name.
const MAX_LABEL_BYTES: usize = 200;

/// A file of an update that is not what the policy says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the content `{label}` {problem}")]
pub struct ContentError {
    /// What the policy calls it.
    pub label: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ContentError {
    fn new(label: &str, problem: impl Into<String>) -> Self {
        Self { label: label.escape_default().to_string(), problem: problem.into() }
    }

    fn altered(label: &str) -> Self {
        Self::new(label, "is not what the policy names: its SHA-256 differs")
    }

    fn unreadable(label: &str, error: &io::Error) -> Self {
        Self::new(label, format!("cannot be read: {error}"))
    }
}

/// A file of an update, open.
///
/// Whoever could change the file behind the host's back gains nothing: what is copied is hashed as it is copied, and what is
/// read is compared, block by block, with what was hashed as a whole.
#[derive(Debug, Clone)]
pub struct Content(Arc<OpenContent>);

#[derive(Debug)]
struct OpenContent {
    label: String,
    digest: Digest,
    length: u64,
    file: File,
    /// The hashes of its blocks, once it was hashed as a whole.
    blocks: OnceLock<Vec<[u8; 32]>>,
}

impl Content {
    /// Opens a file. Its bytes are verified when they are used.
    fn open(blob: &BlobFile) -> Result<Self, ContentError> {
        let BlobFile { label, path, digest, length } = blob;
        check_label(label)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).map_err(|_| ContentError::new(label, "cannot be opened here"))?;
        let unreadable = |error| ContentError::unreadable(label, &error);
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(ContentError::new(label, "is no regular file"));
        }
        if metadata.len() != *length {
            let found = metadata.len();
            return Err(ContentError::new(label, format!("has {found} bytes, and the policy says {length}")));
        }
        let (label, digest, length) = (label.clone(), *digest, *length);
        Ok(Self(Arc::new(OpenContent { label, digest, length, file, blocks: OnceLock::new() })))
    }

    /// What the policy calls it.
    pub(super) fn label(&self) -> &str {
        &self.0.label
    }

    /// Bytes of it, as the policy has them.
    pub(super) fn length(&self) -> u64 {
        self.0.length
    }

    /// Hands over this part, piece by piece, each of which was hashed. The part has to be inside. The whole is hashed before
    /// the first piece, if it is not yet; that ends when the time is up. For the pieces, whoever takes them looks at it.
    pub(super) fn pass_on_part<E: From<CopyError>>(
        &self,
        start: u64,
        length: u64,
        until: Instant,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = length;
        let block_bytes = BLOCK_BYTES as u64;
        let altered = || CopyError::Content(ContentError::altered(self.label()));
        let mut index = usize::try_from(start / block_bytes).map_err(|_| altered())?;
        let mut begin = usize::try_from(start % block_bytes).map_err(|_| altered())?;
        while left > 0 {
            let block = self.block(index, until)?;
            let piece = block.get(begin..).unwrap_or_default();
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let piece = piece.get(..most).filter(|piece| !piece.is_empty()).ok_or_else(altered)?;
            take(piece)?;
            left -= piece.len() as u64;
            (index, begin) = (index + 1, 0);
        }
        Ok(())
    }

    /// Its bytes from `offset` on, at most `most`.
    fn read(&self, offset: u64, most: usize, until: Instant) -> Result<Vec<u8>, CopyError> {
        let rest = self.0.length.saturating_sub(offset);
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(most);
        let mut bytes = Vec::with_capacity(length);
        self.pass_on_part(offset, length as u64, until, |piece| {
            bytes.extend_from_slice(piece);
            Ok::<_, CopyError>(())
        })?;
        Ok(bytes)
    }

    /// One block, as it was when the whole was hashed.
    fn block(&self, index: usize, until: Instant) -> Result<Vec<u8>, CopyError> {
        let label = self.label();
        let hash = self.blocks(until)?.get(index).ok_or_else(|| ContentError::altered(label))?;
        let block = self.read_block(index).map_err(|error| ContentError::unreadable(label, &error))?;
        if <[u8; 32]>::from(Sha256::digest(&block)) != *hash {
            return Err(ContentError::altered(label).into());
        }
        Ok(block)
    }

    /// The hashes of all blocks, of a whole that has the policy's digest.
    fn blocks(&self, until: Instant) -> Result<&[[u8; 32]], CopyError> {
        if let Some(blocks) = self.0.blocks.get() {
            return Ok(blocks);
        }
        let mut blocks = Vec::new();
        self.pass_on(until, |block| {
            blocks.push(Sha256::digest(block).into());
            Ok(())
        })?;
        Ok(self.0.blocks.get_or_init(|| blocks))
    }

    /// Copies it, and fails after the last byte if it was not what the policy names, or before that when the time is up: the
    /// copy must not be used then.
    pub(super) fn copy_to(&self, target: &mut File, until: Instant) -> Result<(), CopyError> {
        self.pass_on(until, |block| target.write_all(block))
    }

    /// Hands over block after block until the time is up, and compares the digest in the end.
    fn pass_on(&self, until: Instant, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), CopyError> {
        let OpenContent { label, digest, length, .. } = &*self.0;
        let mut hasher = Sha256::new();
        for index in 0..length.div_ceil(BLOCK_BYTES as u64) {
            in_time(index == 0, until).map_err(CopyError::Target)?;
            let index = usize::try_from(index).map_err(|_| ContentError::altered(label))?;
            let block = self.read_block(index).map_err(|error| ContentError::unreadable(label, &error))?;
            hasher.update(&block);
            take(&block).map_err(CopyError::Target)?;
        }
        if Digest(hasher.finalize().into()) == *digest { Ok(()) } else { Err(ContentError::altered(label).into()) }
    }

    /// A block as it is in the file now; only what belongs to the length.
    fn read_block(&self, index: usize) -> io::Result<Vec<u8>> {
        let offset = index as u64 * BLOCK_BYTES as u64;
        let bytes = self.0.length.saturating_sub(offset).min(BLOCK_BYTES as u64);
        let mut block = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.0.file.read_exact_at(&mut block, offset)?;
        Ok(block)
    }
}

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// It is not what it should be.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The copy could not be written, or not in time.
    #[error("a copy of it cannot be written")]
    Target(#[source] io::Error),
}

/// A label that is a plain file name, of characters that mean nothing to any program that reads its arguments.
fn check_label(label: &str) -> Result<(), ContentError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~%=:@-".contains(c);
    let begins_well = |label: &str| label.starts_with(|c: char| c.is_ascii_alphanumeric());
    if label.len() > MAX_LABEL_BYTES || !begins_well(label) || !label.chars().all(plain) {
        return Err(ContentError::new(
            label,
            format!(
                "has a label that is no file name: it has to begin with a letter or digit, and to be at most \
                 {MAX_LABEL_BYTES} letters, digits and `._+~%=:@-`"
            ),
        ));
    }
    Ok(())
}

/// The files of one call.
pub(crate) struct Contents {
    contents: Vec<Content>,
    handles: ResourceTable,
}

impl Contents {
    /// Opens all of them.
    pub(super) fn open(blobs: &[BlobFile]) -> Result<Self, ContentError> {
        let mut labels = BTreeSet::new();
        if let Some(twice) = blobs.iter().find(|blob| !labels.insert(&blob.label)) {
            return Err(ContentError::new(&twice.label, "is there twice: every label stands for one file"));
        }
        let contents = blobs.iter().map(Content::open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { contents, handles: ResourceTable::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.contents.len()
    }

    /// A handle of each for the guest, which owns them.
    pub(super) fn hand_over(&mut self) -> wasmtime::Result<Vec<Resource<Content>>> {
        let Self { contents, handles } = self;
        contents.iter().map(|content| Ok(handles.push(content.clone())?)).collect()
    }

    /// The content behind a handle.
    pub(super) fn get(&self, handle: &Resource<Content>) -> wasmtime::Result<&Content> {
        Ok(self.handles.get(handle)?)
    }
}

impl content::Host for State {}

impl content::HostBlob for State {
    fn label(&mut self, blob: Resource<Content>) -> wasmtime::Result<String> {
        Ok(self.contents.get(&blob)?.0.label.clone())
    }

    fn digest(&mut self, blob: Resource<Content>) -> wasmtime::Result<String> {
        Ok(self.contents.get(&blob)?.0.digest.to_string())
    }

    fn length(&mut self, blob: Resource<Content>) -> wasmtime::Result<u64> {
        Ok(self.contents.get(&blob)?.0.length)
    }

    fn read(&mut self, blob: Resource<Content>, offset: u64, max: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let content = self.contents.get(&blob)?.clone();
        let (label, most) = (content.label().to_owned(), self.limits.read_bytes.min(max as usize));
        // What is not what it should be ends the guest: nothing good can come of it.
        let answer = self.writer.within(&label, &self.time, move |_, until| Ok(content.read(offset, most, until)?));
        self.time.returned();
        answer
    }

    fn drop(&mut self, blob: Resource<Content>) -> wasmtime::Result<()> {
        self.contents.handles.delete(blob)?;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
