//! The content cache: plugins, catalogs and chunks by their digest. A file's name is what it must hash to, so nothing in
//! the folder is believed: it is verified when it arrives, and again every time it is used.

use anyhow::{Context as _, ensure};
use farrier_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Bytes of the largest content there is.
const MAX_CONTENT_BYTES: usize = 16 * 1024 * 1024;
/// Ends the names of files that are not whole yet.
const PARTIAL: &str = ".partial";

/// The folder of content.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    folder: PathBuf,
}

/// Content that should be there and is not, or not as it was: the next poll fetches it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content {0} is missing or damaged on this client's disk; the next poll fetches it again")]
pub(crate) struct Unavailable(pub(crate) Digest);

/// Content on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    digest: Digest,
    hasher: Sha256,
    missing_bytes: u64,
}

impl Content {
    /// The cache in this folder, which is made where it is missing.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("the content folder {} cannot be made", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Whether it is there, intact.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        let Ok(file) = fs::metadata(self.path(digest)) else { return false };
        let length = usize::try_from(file.len()).unwrap_or(usize::MAX);
        length <= MAX_CONTENT_BYTES && self.read(digest, length, &mut Vec::with_capacity(length)).is_ok()
    }

    /// Reads content into `buffer`, whatever that held, and verifies it. What is damaged is removed.
    pub(crate) fn read(&self, digest: &Digest, max_bytes: usize, buffer: &mut Vec<u8>) -> Result<(), Unavailable> {
        buffer.clear();
        let path = self.path(digest);
        let read = File::open(&path).and_then(|file| file.take(max_bytes as u64 + 1).read_to_end(buffer));
        match read {
            Ok(bytes) if bytes <= max_bytes && Digest::of(buffer) == *digest => Ok(()),
            Ok(_) => {
                tracing::warn!(content.digest = %digest, "Content on disk is damaged");
                // If it stays, the next download replaces it.
                let _ = fs::remove_file(path);
                Err(Unavailable(*digest))
            }
            Err(_) => Err(Unavailable(*digest)),
        }
    }

    /// Begins to take in content of this digest and length.
    pub(crate) fn receive(&self, digest: &Digest, length: u64) -> io::Result<Incoming> {
        let path = self.path(digest);
        let partial = self.folder.join(format!("{digest}{PARTIAL}"));
        let file = File::create(&partial)?;
        Ok(Incoming { file, partial, path, digest: *digest, hasher: Sha256::new(), missing_bytes: length })
    }

    /// Removes every other file. A folder among them (`lost+found`) is not the cache's.
    pub(crate) fn retain(&self, keep: &BTreeSet<Digest>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let kept = digest.is_some_and(|digest| keep.contains(&digest));
            if !kept && !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }
}

impl Incoming {
    /// Takes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let left = self.missing_bytes.checked_sub(bytes.len() as u64);
        self.missing_bytes = left.with_context(|| format!("{} is longer than its signed length", self.digest))?;
        self.hasher.update(bytes);
        self.file.write_all(bytes).context("the disk does not take the content")
    }

    /// Verifies the whole and gives it its name; before, nobody uses it.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        ensure!(self.missing_bytes == 0, "{} ends {} bytes early", self.digest, self.missing_bytes);
        let digest = Digest(self.hasher.finalize_reset().into());
        ensure!(digest == self.digest, "the content sent as {} has another digest: it was tampered with", self.digest);
        let kept = self.file.sync_data().and_then(|()| fs::rename(&self.partial, &self.path));
        kept.context("the disk does not take the content")
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What has its name by now has this one no more; and on a full disk nothing else is to be in the way.
        let _ = fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> (tempfile::TempDir, Content) {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::open(&folder.path().join("content")).unwrap();
        (folder, content)
    }

    fn put(content: &Content, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut incoming = content.receive(&digest, bytes.len() as u64).unwrap();
        bytes.chunks(3).for_each(|piece| incoming.write(piece).unwrap());
        incoming.finish().unwrap();
        digest
    }

    #[test]
    fn content_comes_back_as_it_was_signed() {
        let (_folder, content) = content();
        let digest = put(&content, b"chunk of rules");
        let mut buffer = b"of the chunk before".to_vec();
        content.read(&digest, 100, &mut buffer).unwrap();
        assert_eq!(buffer, b"chunk of rules");
        assert!(content.has(&digest));
    }

    #[test]
    fn content_of_another_digest_or_length_is_never_stored() {
        let (_folder, content) = content();
        let digest = Digest::of(b"good");
        for (bytes, refusal) in [
            (&b"evil"[..], "another digest"),
            (b"goo", "ends 1 bytes early"),
            (b"good!", "longer than its signed length"),
        ] {
            let mut incoming = content.receive(&digest, 4).unwrap();
            let error = incoming.write(bytes).and_then(|()| incoming.finish()).unwrap_err();
            assert!(error.to_string().contains(refusal), "{error}");
            assert!(!content.has(&digest));
            assert_eq!(fs::read_dir(&content.folder).unwrap().count(), 0, "nothing of it stays");
        }
    }

    #[test]
    fn content_that_rots_on_disk_is_removed_instead_of_used() {
        let (_folder, content) = content();
        let digest = put(&content, b"rules");
        fs::write(content.path(&digest), b"rulez").unwrap();
        assert_eq!(content.read(&digest, 100, &mut Vec::new()), Err(Unavailable(digest)));
        assert!(!content.has(&digest));
        assert_eq!(content.read(&digest, 100, &mut Vec::new()), Err(Unavailable(digest)));
    }

    #[test]
    fn what_nobody_refers_to_is_removed() {
        let (_folder, content) = content();
        let (kept, removed) = (put(&content, b"a"), put(&content, b"b"));
        fs::write(content.folder.join(format!("{}{PARTIAL}", Digest::of(b"c"))), b"").unwrap();
        content.retain(&[kept].into()).unwrap();
        assert!(content.has(&kept) && !content.has(&removed));
        assert_eq!(fs::read_dir(&content.folder).unwrap().count(), 1);
    }

    #[test]
    fn a_stray_folder_keeps_nothing_from_being_removed() {
        let (_folder, content) = content();
        let removed = [put(&content, b"a"), put(&content, b"b")];
        fs::create_dir_all(content.folder.join("lost+found/deeper")).unwrap();
        content.retain(&BTreeSet::new()).unwrap();
        assert!(!removed.iter().any(|digest| content.has(digest)));
    }
}
