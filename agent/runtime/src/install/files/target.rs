//! A file or a block device that is written in place.

use super::ChangeError;
use super::change::parent;
use crate::endpoint::Root;
use crate::facts::read_at;
use crate::install::content::Content;
use crate::install::time::in_time;
use cap_std::fs::Dir;
use farrier_protocol::Digest;
use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;
use std::time::Instant;

/// Bytes that are read back at once.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of a file that is written in place, at most: who writes beyond has miscounted.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 40;

/// A file or a block device in a guest's hands, open to be written.
#[derive(Debug, Clone)]
pub struct OpenTarget {
    file: Arc<File>,
    path: Arc<str>,
    /// Bytes of a device, which does not grow; `None`, if it is a file.
    device_bytes: Option<u64>,
}

/// Opens a regular file that has no other name (one elsewhere is not covered by the grant), or a block device that nobody
/// uses.
pub(super) fn open(root: &Root, path: &str) -> io::Result<OpenTarget> {
    let (folder, name) = parent(root, path)?;
    // Looked at before it is opened: opening some devices does something.
    let seen = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_device = is_writable(&seen)?;
    let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if is_device {
        // The kernel refuses it then, if it is mounted or part of something that is.
        flags |= OFlags::EXCL;
    }
    let file = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::BUSY) => {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is in use: mounted, or part of what is"));
        }
        Err(error) => return Err(error.into()),
    };
    let found = rustix::fs::fstat(&file)?;
    if is_writable(&found)? != is_device || (seen.st_dev, seen.st_ino) != (found.st_dev, found.st_ino) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it was exchanged while it was opened"));
    }
    target(file, path, is_device)
}

/// Whether it is a block device, and an error if it is neither that nor a regular file with one name.
fn is_writable(status: &Stat) -> io::Result<bool> {
    match FileType::from_raw_mode(status.st_mode) {
        FileType::BlockDevice => Ok(true),
        FileType::RegularFile if status.st_nlink == 1 => Ok(false),
        FileType::RegularFile => Err(io::Error::new(ErrorKind::InvalidInput, "it has another name elsewhere")),
        FileType::Symlink => Err(io::Error::new(ErrorKind::InvalidInput, "it is a link")),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is neither a regular file nor a block device")),
    }
}

/// Makes a new, empty file.
pub(super) fn create(root: &Root, path: &str, mode: u32) -> io::Result<OpenTarget> {
    let (folder, name) = parent(root, path)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    let made = file.set_permissions(std::fs::Permissions::from_mode(mode)).and_then(|()| target(file, path, false));
    if made.is_err() {
        remove(&folder, name);
    }
    made
}

/// What could not be used is not left over; if it is, that is the lesser evil.
fn remove(folder: &Dir, name: &str) {
    let _ = folder.remove_file(name);
}

fn target(mut file: File, path: &str, is_device: bool) -> io::Result<OpenTarget> {
    let device_bytes = if is_device { Some(file.seek(SeekFrom::End(0))?) } else { None };
    Ok(OpenTarget { file: Arc::new(file), path: path.into(), device_bytes })
}

impl OpenTarget {
    /// Its path.
    pub(super) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Bytes it holds.
    pub(super) fn length(&self) -> io::Result<u64> {
        match self.device_bytes {
            Some(bytes) => Ok(bytes),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    /// Writes these bytes.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_room(offset, bytes.len() as u64)?;
        self.file.write_all_at(bytes, offset)
    }

    /// Writes a part of a content.
    pub(super) fn write_content(
        &self,
        offset: u64,
        content: &Content,
        start: u64,
        length: u64,
        until: Instant,
    ) -> Result<(), ChangeError> {
        self.check_room(offset, length)?;
        if start.checked_add(length).is_none_or(|end| end > content.length()) {
            let problem = format!("`{}` has {} bytes, not {length} from {start} on", content.label(), content.length());
            return Err(io::Error::new(ErrorKind::InvalidInput, problem).into());
        }
        let mut at = offset;
        content.pass_on_part(start, length, until, |piece| {
            in_time(at == offset, until)?;
            self.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
            Ok(())
        })
    }

    /// The bytes from this offset on, at most `most`.
    pub(super) fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.length()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(most);
        if left == 0 {
            return Ok(Vec::new());
        }
        read_at(&self.file, offset, left, left)
    }

    /// The digest of so many bytes, as they are on the medium.
    pub(super) fn digest(&self, offset: u64, length: u64, until: Instant) -> io::Result<String> {
        if offset.checked_add(length).is_none_or(|end| self.length().is_ok_and(|bytes| end > bytes)) {
            let problem = format!("it has {} bytes, not {length} from {offset} on", self.length()?);
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        }
        self.sync()?;
        // What is in memory only because it was written is forgotten, so that what is read comes from the medium. Where that
        // is not possible, it is the page cache that is read.
        if let Some(length) = NonZeroU64::new(length) {
            let _ = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
        let (mut hasher, mut block, mut done) = (Sha256::new(), vec![0; BLOCK_BYTES], 0_u64);
        while done < length {
            in_time(done == 0, until)?;
            let most = usize::try_from(length - done).unwrap_or(usize::MAX).min(BLOCK_BYTES);
            let piece = block.get_mut(..most).unwrap_or_default();
            self.file.read_exact_at(piece, offset + done)?;
            hasher.update(piece);
            done += most as u64;
        }
        Ok(Digest(hasher.finalize().into()).to_string())
    }

    /// Makes what was written survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// An error if there is no room for so many bytes from there on.
    fn check_room(&self, offset: u64, length: u64) -> io::Result<()> {
        let (has, bytes) = match self.device_bytes {
            Some(bytes) => ("the device has", bytes),
            None => ("a file has at most", MAX_FILE_BYTES),
        };
        if offset.checked_add(length).is_some_and(|end| end <= bytes) {
            return Ok(());
        }
        let problem = format!("{has} {bytes} bytes, not {length} from {offset} on");
        Err(io::Error::new(ErrorKind::FileTooLarge, problem))
    }
}
