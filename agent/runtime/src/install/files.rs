//! Changes to the endpoint's files: below its root, where granted, and through no link.

use super::content::{Content, ContentError, CopyError};
use super::time::Time;
use super::world::{State, files};
use crate::endpoint::{Endpoint, Root};
use crate::facts::io_error;
use crate::grants::{Grants, normalize};
use crate::world::types::Error;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::component::Resource;

/// The permission bits a plugin may set: it makes no program that runs as somebody else.
const PERMISSION_BITS: u32 = 0o777;

/// Outside: what ends the guest. Inside: what the guest is told.
type Answer = wasmtime::Result<Result<(), Error>>;

/// What one guest may write.
pub(crate) struct Writer {
    endpoint: Endpoint,
    grants: Grants,
}

/// What a file is replaced with.
enum Source {
    Bytes(Vec<u8>),
    Content(Content),
}

/// Why a file was not changed.
enum ChangeError {
    /// The guest is told.
    Io(io::Error),
    /// The content is not what it should be: that ends the guest.
    Content(ContentError),
}

impl From<io::Error> for ChangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Writer {
    pub(super) fn new(endpoint: &Endpoint, grants: Grants) -> Self {
        Self { endpoint: endpoint.clone(), grants }
    }

    /// The path, normalized, if it may be written.
    fn granted(&self, path: &str) -> Result<String, Error> {
        let path = normalize(path).map_err(Error::Invalid)?;
        self.grants.check_logged(&path).map_err(|denial| Error::Denied(denial.to_string()))?;
        Ok(path)
    }

    /// Does this to a granted path, in the thread that may block.
    fn change(
        &self,
        path: &str,
        time: &Time,
        work: impl FnOnce(&Root, &str) -> Result<(), ChangeError> + Send + 'static,
    ) -> Answer {
        let path = match self.granted(path) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let name = path.clone();
        let done = self.endpoint.within(time.last_end(), move |root| Ok(work(root, &name)))?;
        match done.unwrap_or_else(|error| Err(error.into())) {
            Ok(()) => Ok(Ok(())),
            Err(ChangeError::Content(error)) => Err(error.into()),
            Err(ChangeError::Io(error)) => Ok(Err(io_error(&path, &error))),
        }
    }

    fn replace(&self, path: &str, source: Source, mode: u32, time: &Time) -> Answer {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        self.change(path, time, move |root, path| replace(root, path, &source, mode))
    }

    fn rename(&self, old: &str, new: &str, time: &Time) -> Answer {
        let new = match self.granted(new) {
            Ok(new) => new,
            Err(error) => return Ok(Err(error)),
        };
        self.change(old, time, move |root, old| {
            let ((old_folder, old), (new_folder, new)) = (parent(root, old)?, parent(root, &new)?);
            no_folder(&old_folder, old)?;
            old_folder.rename(old, &new_folder, new)?;
            Ok(sync(&new_folder).and_then(|()| sync(&old_folder))?)
        })
    }

    fn make_folder(&self, path: &str, mode: u32, time: &Time) -> Answer {
        if let Err(error) = check_mode(mode) {
            return Ok(Err(error));
        }
        let grants = self.grants.clone();
        self.change(path, time, move |root, path| {
            let mut folder = root.folder().try_clone()?;
            for (end, name) in parts(path) {
                folder = match enter(&folder, name) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        let above = path.get(..end).unwrap_or(path);
                        grants.check(above).map_err(|denial| io::Error::other(denial.to_string()))?;
                        make(&folder, name, mode)?
                    }
                    entered => entered?,
                };
            }
            Ok(())
        })
    }
}

/// The names of a normalized path, each with the end of the path up to it.
fn parts(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    path.split('/').filter(|name| !name.is_empty()).map(move |name| {
        end += "/".len() + name.len();
        (end, name)
    })
}

/// The folder in which this path's last name is, and that name. No link is followed on the way.
fn parent<'a>(root: &Root, path: &'a str) -> io::Result<(Dir, &'a str)> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the root itself cannot be changed"));
    }
    let mut folder = root.folder().try_clone()?;
    for part in above.split('/').filter(|part| !part.is_empty()) {
        folder = enter(&folder, part)?;
    }
    Ok((folder, name))
}

/// The folder of this name in another; a link to one is refused, whatever it leads to.
pub(super) fn enter(folder: &Dir, name: &str) -> io::Result<Dir> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(entered) => Ok(Dir::from_std_file(entered.into())),
        Err(error) if is_link(folder, name) => {
            let problem = format!("`{name}` on the way is a link, and nothing is written through links ({error})");
            Err(io::Error::new(ErrorKind::InvalidInput, problem))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_link(folder: &Dir, name: &str) -> bool {
    folder.symlink_metadata(name).is_ok_and(|metadata| metadata.is_symlink())
}

/// Makes a folder and enters it.
fn make(folder: &Dir, name: &str, mode: u32) -> io::Result<Dir> {
    folder.create_dir_with(name, DirBuilder::new().mode(mode))?;
    let made = enter(folder, name)?;
    // What the process would mask is meant.
    rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))?;
    sync(folder)?;
    Ok(made)
}

/// An error if this is a folder: files are changed here, not trees.
fn no_folder(folder: &Dir, name: &str) -> io::Result<()> {
    if folder.symlink_metadata(name)?.is_dir() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a folder"));
    }
    Ok(())
}

fn replace(root: &Root, path: &str, source: &Source, mode: u32) -> Result<(), ChangeError> {
    let (folder, name) = parent(root, path)?;
    match no_folder(&folder, name) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let (partial, file) = new_file(&folder)?;
    let replaced = write(file, source, mode).and_then(|()| Ok(folder.rename(&partial, &folder, name)?));
    if replaced.is_err() {
        // It was not given its name; that it is left over is the lesser evil.
        let _ = folder.remove_file(&partial);
    }
    replaced?;
    Ok(sync(&folder)?)
}

fn write(mut file: File, source: &Source, mode: u32) -> Result<(), ChangeError> {
    match source {
        Source::Bytes(bytes) => file.write_all(bytes)?,
        Source::Content(content) => content.copy_to(&mut file).map_err(|error| match error {
            CopyError::Content(error) => ChangeError::Content(error),
            CopyError::Target(error) => ChangeError::Io(error),
        })?,
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(file.sync_all()?)
}

/// A new, empty file of a name that nothing had.
fn new_file(folder: &Dir) -> io::Result<(String, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".farrier-{}-{number}.partial", std::process::id());
        match folder.open_with(&name, OpenOptions::new().write(true).create_new(true).mode(0o600)) {
            Ok(file) => return Ok((name, file.into_std())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sets the permission bits of a regular file that has no other name: one elsewhere is not covered by the grant.
fn set_mode(root: &Root, path: &str, mode: u32) -> io::Result<()> {
    let (folder, name) = parent(root, path)?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(_) if is_link(&folder, name) => return Err(io::Error::new(ErrorKind::InvalidInput, "it is a link")),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file with one name"));
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn remove(root: &Root, path: &str) -> io::Result<()> {
    let (folder, name) = parent(root, path)?;
    no_folder(&folder, name)?;
    folder.remove_file(name)?;
    sync(&folder)
}

/// Makes what was done in a folder survive a power cut.
fn sync(folder: &Dir) -> io::Result<()> {
    Ok(rustix::fs::fsync(folder)?)
}

fn check_mode(mode: u32) -> Result<(), Error> {
    if mode & !PERMISSION_BITS == 0 {
        return Ok(());
    }
    Err(Error::Invalid(format!("the mode 0o{mode:o} has more than permission bits (0o{PERMISSION_BITS:o})")))
}

impl files::Host for State {
    fn replace(&mut self, path: String, bytes: Vec<u8>, mode: u32) -> Answer {
        let answer = self.writer.replace(&path, Source::Bytes(bytes), mode, &self.time);
        self.time.returned();
        answer
    }

    fn replace_with_blob(&mut self, path: String, blob: Resource<Content>, mode: u32) -> Answer {
        let content = self.contents.get(&blob)?.clone();
        let answer = self.writer.replace(&path, Source::Content(content), mode, &self.time);
        self.time.returned();
        answer
    }

    fn rename(&mut self, old: String, new: String) -> Answer {
        let answer = self.writer.rename(&old, &new, &self.time);
        self.time.returned();
        answer
    }

    fn remove(&mut self, path: String) -> Answer {
        let answer = self.writer.change(&path, &self.time, |root, path| Ok(remove(root, path)?));
        self.time.returned();
        answer
    }

    fn set_mode(&mut self, path: String, mode: u32) -> Answer {
        let answer = match check_mode(mode) {
            Ok(()) => self.writer.change(&path, &self.time, move |root, path| Ok(set_mode(root, path, mode)?)),
            Err(error) => Ok(Err(error)),
        };
        self.time.returned();
        answer
    }

    fn make_folder(&mut self, path: String, mode: u32) -> Answer {
        let answer = self.writer.make_folder(&path, mode, &self.time);
        self.time.returned();
        answer
    }
}

#[cfg(test)]
mod tests;
