//! The folder of the updates' files, by digest. A file has its name only once all of it was verified; it is verified
//! again before each use. The folder has a bound, and what makes room is what was not used for the longest time and no
//! pending installation needs.

use super::obstacle::Obstacle;
use anyhow::Context as _;
use farrier_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Ends the names of files that are not whole yet.
const PARTIAL: &str = ".partial";
/// What is left free on the disk: the endpoint needs some to install what was downloaded.
const RESERVED_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes read at once when a file is verified.
const BUFFER_BYTES: usize = 64 * 1024;
/// Buffers that are hashed before signals and timers have their turn.
const BUFFERS_PER_TURN: usize = 64;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct UpdateStore {
    folder: PathBuf,
    bound_bytes: u64,
}

/// A file on its way in.
#[derive(Debug)]
pub(super) struct Incoming {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    digest: Digest,
    hasher: Sha256,
    received: u64,
    length: u64,
    resumed: bool,
}

/// How a file that arrived whole turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// It is what was signed, and has its name now.
    Verified,
    /// It is not, and is gone. Part of it came from an earlier transfer, so this source may be innocent.
    MismatchAfterResuming,
    /// It is not, and is gone. All of it came from this source.
    Mismatch,
}

/// One file of the folder.
struct Entry {
    digest: Option<Digest>,
    path: PathBuf,
    bytes: u64,
    used_at: SystemTime,
}

impl UpdateStore {
    /// The files in this folder, which is made where it is missing.
    pub(crate) fn open(folder: &Path, bound_bytes: u64) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("the folder of updates {} cannot be made", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), bound_bytes })
    }

    /// Where the file is, if it is there.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Whether the file is there. Its bytes were verified when they came; [`verify`](Self::verify) does it again.
    pub(crate) fn has(&self, digest: &Digest, length: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|file| file.is_file() && file.len() == length)
    }

    /// How many bytes of the file are still missing.
    pub(crate) fn missing_bytes(&self, digest: &Digest, length: u64) -> u64 {
        if self.has(digest, length) {
            return 0;
        }
        length.saturating_sub(fs::metadata(self.partial(digest)).map_or(0, |file| file.len()))
    }

    /// Whether the file is there with every byte as it was signed. A damaged one is removed, and can be downloaded
    /// again.
    pub(crate) async fn verify(&self, digest: &Digest, length: u64) -> bool {
        if !self.has(digest, length) {
            return false;
        }
        let found = hash(&self.path(digest), length).await.map(|(hasher, _)| Digest(hasher.finalize().into()));
        if found.as_ref().is_ok_and(|found| found == digest) {
            self.touch(digest);
            return true;
        }
        let error = found.err().map(|error| error.to_string());
        tracing::warn!(content.digest = %digest, error, "A downloaded file is damaged: it is downloaded again");
        // If it stays, the next download replaces it.
        let _ = fs::remove_file(self.path(digest));
        false
    }

    /// Begins or goes on to take in a file.
    pub(super) async fn receive(&self, digest: &Digest, length: u64) -> Result<Incoming, Obstacle> {
        let partial = self.partial(digest);
        let present = fs::metadata(&partial).map_or(0, |file| file.len());
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(present > length);
        let mut file = options.open(&partial).map_err(|error| Obstacle::of_disk(&error, length))?;
        let (hasher, received) = hash(&partial, length).await.map_err(|error| Obstacle::of_disk(&error, length))?;
        file.seek(SeekFrom::Start(received)).map_err(|error| Obstacle::of_disk(&error, length))?;
        let (path, digest) = (self.path(digest), *digest);
        Ok(Incoming { file, partial, path, digest, hasher, received, length, resumed: received > 0 })
    }

    /// Makes room for `bytes` more by removing what was not used for the longest time, but nothing `pinned`.
    pub(super) fn make_room(&self, bytes: u64, pinned: &BTreeSet<Digest>) -> Result<(), Obstacle> {
        self.make_room_on(bytes, pinned, || free_bytes(&self.folder))
    }

    fn make_room_on(
        &self,
        bytes: u64,
        pinned: &BTreeSet<Digest>,
        free: impl Fn() -> io::Result<u64>,
    ) -> Result<(), Obstacle> {
        let mut entries = self.entries().map_err(|error| Obstacle::of_disk(&error, bytes))?;
        let mut used: u64 = entries.iter().map(|entry| entry.bytes).sum();
        entries.retain(|entry| entry.digest.is_none_or(|digest| !pinned.contains(&digest)));
        entries.sort_by_key(|entry| entry.used_at);
        let mut evictable = entries.into_iter();
        loop {
            let free = free().map_err(|error| Obstacle::of_disk(&error, bytes))?;
            let fits_bound = used.saturating_add(bytes) <= self.bound_bytes;
            if fits_bound && free >= bytes.saturating_add(RESERVED_BYTES) {
                return Ok(());
            }
            let Some(entry) = evictable.next() else {
                return Err(match fits_bound {
                    true => Obstacle::DiskFull { needed: bytes.saturating_add(RESERVED_BYTES), free },
                    false => Obstacle::CacheFull { needed: used.saturating_add(bytes), bound: self.bound_bytes },
                });
            };
            fs::remove_file(&entry.path).map_err(|error| Obstacle::of_disk(&error, bytes))?;
            tracing::debug!(file = %entry.path.display(), bytes = entry.bytes, "Removed to make room");
            used = used.saturating_sub(entry.bytes);
        }
    }

    /// Whoever is removed to make room, this file was used now.
    fn touch(&self, digest: &Digest) {
        let touched = File::open(self.path(digest)).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(%error, "The time of use could not be noted");
        }
    }

    /// A folder among the files (`lost+found`) is not ours.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let file = entry.metadata()?;
            if file.is_dir() {
                continue;
            }
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(PARTIAL).unwrap_or(name).parse().ok());
            entries.push(Entry { digest, path: entry.path(), bytes: file.len(), used_at: file.modified()? });
        }
        Ok(entries)
    }

    fn partial(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}{PARTIAL}"))
    }
}

impl Incoming {
    /// How many bytes are here.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes it has when it is whole.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), Obstacle> {
        let restarted = self.file.set_len(0).and_then(|()| self.file.rewind());
        restarted.map_err(|error| Obstacle::of_disk(&error, self.length))?;
        (self.hasher, self.received, self.resumed) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Takes the next bytes, of which there are never more than are missing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Obstacle> {
        self.file.write_all(bytes).map_err(|error| Obstacle::of_disk(&error, self.length - self.received))?;
        self.hasher.update(bytes);
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Verifies the whole and gives it its name; before, nobody uses it.
    pub(super) fn finish(self) -> Result<Received, Obstacle> {
        let failed = |error: io::Error| Obstacle::of_disk(&error, 0);
        if Digest(self.hasher.finalize().into()) != self.digest {
            fs::remove_file(&self.partial).map_err(failed)?;
            return Ok(if self.resumed { Received::MismatchAfterResuming } else { Received::Mismatch });
        }
        self.file.sync_data().and_then(|()| fs::rename(&self.partial, &self.path)).map_err(failed)?;
        let folder = self.path.parent().map(File::open).transpose().map_err(failed)?;
        folder.map_or(Ok(()), |folder| folder.sync_all()).map_err(failed)?;
        Ok(Received::Verified)
    }
}

/// The hash of the first `most` bytes of a file, and how many there are. Signals and timers have their turn meanwhile.
async fn hash(path: &Path, most: u64) -> io::Result<(Sha256, u64)> {
    let mut file = File::open(path)?.take(most);
    let (mut hasher, mut total) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        for _ in 0..BUFFERS_PER_TURN {
            let bytes = file.read(&mut buffer)?;
            if bytes == 0 {
                return Ok((hasher, total));
            }
            hasher.update(&buffer[..bytes]);
            total += bytes as u64;
        }
        tokio::task::yield_now().await;
    }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::wait;
    use std::time::Duration;

    const PLENTY: u64 = 1 << 40;

    fn store(bound_bytes: u64) -> (tempfile::TempDir, UpdateStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = UpdateStore::open(&folder.path().join("updates"), bound_bytes).unwrap();
        (folder, store)
    }

    fn put(store: &UpdateStore, bytes: &[u8], age_seconds: u64) -> Digest {
        let digest = Digest::of(bytes);
        let mut incoming = wait(store.receive(&digest, bytes.len() as u64)).unwrap();
        incoming.write(bytes).unwrap();
        assert_eq!(incoming.finish().unwrap(), Received::Verified);
        let used_at = SystemTime::now() - Duration::from_secs(age_seconds);
        File::open(store.path(&digest)).unwrap().set_modified(used_at).unwrap();
        digest
    }

    #[test]
    fn a_file_goes_on_where_it_stopped() {
        let (_folder, store) = store(PLENTY);
        let digest = Digest::of(b"0123456789");
        let mut incoming = wait(store.receive(&digest, 10)).unwrap();
        incoming.write(b"0123").unwrap();
        drop(incoming);
        assert_eq!((store.has(&digest, 10), store.missing_bytes(&digest, 10)), (false, 6));
        let mut incoming = wait(store.receive(&digest, 10)).unwrap();
        assert_eq!(incoming.received(), 4);
        incoming.write(b"456789").unwrap();
        assert_eq!(incoming.finish().unwrap(), Received::Verified);
        assert!(wait(store.verify(&digest, 10)));
    }

    #[test]
    fn what_is_not_what_was_signed_gets_no_name() {
        let (_folder, store) = store(PLENTY);
        let digest = Digest::of(b"good");
        let mut incoming = wait(store.receive(&digest, 4)).unwrap();
        incoming.write(b"ev").unwrap();
        drop(incoming);
        let mut incoming = wait(store.receive(&digest, 4)).unwrap();
        incoming.write(b"il").unwrap();
        assert_eq!(incoming.finish().unwrap(), Received::MismatchAfterResuming);
        let mut incoming = wait(store.receive(&digest, 4)).unwrap();
        assert_eq!(incoming.received(), 0, "what was wrong is gone");
        incoming.write(b"evil").unwrap();
        assert_eq!(incoming.finish().unwrap(), Received::Mismatch);
        assert!(!store.has(&digest, 4));
    }

    #[test]
    fn what_rots_on_disk_is_removed_instead_of_used() {
        let (_folder, store) = store(PLENTY);
        let digest = put(&store, b"rules", 0);
        fs::write(store.path(&digest), b"rulez").unwrap();
        assert!(!wait(store.verify(&digest, 5)));
        assert!(!store.has(&digest, 5));
    }

    #[test]
    fn the_longest_unused_makes_room_and_nothing_that_is_pending() {
        let (_folder, store) = store(12);
        let (pending, old, young) = (put(&store, b"pend", 300), put(&store, b"oldd", 200), put(&store, b"young", 100));
        fs::create_dir(store.folder.join("lost+found")).unwrap();
        let pinned = [pending].into();
        store.make_room_on(3, &pinned, || Ok(PLENTY)).unwrap();
        assert!(store.has(&pending, 4) && !store.has(&old, 4) && store.has(&young, 5));
        let full = store.make_room_on(9, &pinned, || Ok(PLENTY)).unwrap_err();
        assert!(matches!(full, Obstacle::CacheFull { needed: 13, bound: 12 }), "{full}");
        assert!(store.has(&pending, 4));
    }

    #[test]
    fn a_full_disk_is_named_with_what_is_needed() {
        let (_folder, store) = store(PLENTY);
        let old = put(&store, b"old", 100);
        let full = store.make_room_on(1_000, &BTreeSet::new(), || Ok(500)).unwrap_err();
        assert!(matches!(full, Obstacle::DiskFull { free: 500, .. }), "{full}");
        assert!(!store.has(&old, 3), "everything that could go went first");
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(Obstacle::of_disk(&error, 7), Obstacle::DiskFull { needed: 7, free: 0 }));
    }
}
