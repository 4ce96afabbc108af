//! What is done to names: below a root, from folder to folder, and through no link.

use super::{ChangeError, Source};
use crate::endpoint::Root;
use crate::install::time::{Time, in_time};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The names of a normalized path, each with the end of the path up to it.
pub(super) fn parts(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    path.split('/').filter(|name| !name.is_empty()).map(move |name| {
        end += "/".len() + name.len();
        (end, name)
    })
}

/// The folder at this normalized path. No link is followed on the way.
pub(super) fn folder(root: &Root, path: &str) -> io::Result<Dir> {
    let mut folder = root.folder().try_clone()?;
    for (_, name) in parts(path) {
        folder = enter(&folder, name)?;
    }
    Ok(folder)
}

/// The folder in which this path's last name is, and that name. No link is followed on the way.
pub(super) fn parent<'a>(root: &Root, path: &'a str) -> io::Result<(Dir, &'a str)> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the root itself cannot be changed"));
    }
    Ok((folder(root, above)?, name))
}

/// The folder of this name in another; a link to one is refused, whatever it leads to.
pub(in crate::install) fn enter(folder: &Dir, name: &str) -> io::Result<Dir> {
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

pub(super) fn is_link(folder: &Dir, name: &str) -> bool {
    folder.symlink_metadata(name).is_ok_and(|metadata| metadata.is_symlink())
}

/// Makes a folder, and those above it that may be made.
pub(super) fn make_folders(
    root: &Root,
    path: &str,
    mode: u32,
    may_make: &dyn Fn(&str) -> Result<(), ChangeError>,
) -> Result<(), ChangeError> {
    let mut folder = root.folder().try_clone()?;
    for (end, name) in parts(path) {
        folder = match enter(&folder, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                may_make(path.get(..end).unwrap_or(path))?;
                make(&folder, name, mode)?
            }
            entered => entered?,
        };
    }
    Ok(())
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

fn is_folder(folder: &Dir, name: &str) -> io::Result<bool> {
    Ok(folder.symlink_metadata(name)?.is_dir())
}

/// An error if this is a folder.
fn no_folder(folder: &Dir, name: &str) -> io::Result<()> {
    if is_folder(folder, name)? {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a folder"));
    }
    Ok(())
}

/// Nothing that is not there is an error here.
fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Renames. A folder only if `whole` lets it: what is in it goes with it.
pub(super) fn rename(
    root: &Root,
    [old, new]: [&str; 2],
    whole: &dyn Fn() -> Result<(), ChangeError>,
) -> Result<(), ChangeError> {
    let ((old_folder, old), (new_folder, new)) = (parent(root, old)?, parent(root, new)?);
    if is_folder(&old_folder, old)? {
        whole()?;
    }
    if_there(no_folder(&new_folder, new))?;
    old_folder.rename(old, &new_folder, new)?;
    Ok(sync(&new_folder).and_then(|()| sync(&old_folder))?)
}

/// Exchanges two names. Folders only if `whole` lets them.
pub(super) fn exchange(
    root: &Root,
    [one, other]: [&str; 2],
    whole: &dyn Fn() -> Result<(), ChangeError>,
) -> Result<(), ChangeError> {
    let ((one_folder, one), (other_folder, other)) = (parent(root, one)?, parent(root, other)?);
    if is_folder(&one_folder, one)? | is_folder(&other_folder, other)? {
        whole()?;
    }
    rustix::fs::renameat_with(&one_folder, one, &other_folder, other, RenameFlags::EXCHANGE)
        .map_err(io::Error::from)?;
    Ok(sync(&other_folder).and_then(|()| sync(&one_folder))?)
}

/// Puts a file in the place of another, if it is written in time.
pub(super) fn replace(root: &Root, path: &str, source: &Source, mode: u32, time: &Time) -> Result<(), ChangeError> {
    let (folder, name) = parent(root, path)?;
    if_there(no_folder(&folder, name))?;
    let (partial, file) = new_file(&folder)?;
    let replaced = write(file, source, mode, time.end()).and_then(|()| {
        // After that nobody waits for it, and the call was said to have failed.
        in_time(false, time.last_end())?;
        Ok(folder.rename(&partial, &folder, name)?)
    });
    if replaced.is_err() {
        // It was not given its name; that it is left over is the lesser evil.
        let _ = folder.remove_file(&partial);
    }
    replaced?;
    Ok(sync(&folder)?)
}

fn write(mut file: File, source: &Source, mode: u32, until: Instant) -> Result<(), ChangeError> {
    match source {
        Source::Bytes(bytes) => file.write_all(bytes)?,
        Source::Content(content) => content.copy_to(&mut file, until)?,
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
pub(super) fn set_mode(root: &Root, path: &str, mode: u32) -> io::Result<()> {
    let (folder, name) = parent(root, path)?;
    let refused = || io::Error::new(ErrorKind::InvalidInput, "it is no regular file with one name");
    if is_link(&folder, name) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a link"));
    }
    // Looked at before it is opened: opening some devices does something.
    if !folder.symlink_metadata(name)?.is_file() {
        return Err(refused());
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(&folder, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(refused());
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Removes a file, a link itself, or an empty folder.
pub(super) fn remove(root: &Root, path: &str) -> io::Result<()> {
    let (folder, name) = parent(root, path)?;
    let flags = if is_folder(&folder, name)? { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    rustix::fs::unlinkat(&folder, name, flags)?;
    sync(&folder)
}

/// Makes what was done in a folder survive a power cut.
pub(super) fn sync(folder: &Dir) -> io::Result<()> {
    Ok(rustix::fs::fsync(folder)?)
}
