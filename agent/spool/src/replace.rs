//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts `content` in the place of `file`: after a power cut there is the old content or the new one, never a piece.
/// The file's mode is 0600.
///
/// # Errors
/// When the disk does not take it; then the old content is still there.
pub fn replace_file(file: &Path, content: &[u8]) -> io::Result<()> {
    let unnamed = with_suffix(file, ".new");
    let written = write(&unnamed, content).and_then(|()| fs::rename(&unnamed, file));
    if written.is_err() {
        // On a full disk every byte counts; and what is left over harms nobody.
        let _ = fs::remove_file(&unnamed);
    }
    written.and_then(|()| sync_folder(file))
}

/// Moves a damaged file out of the way, beside where it was, and returns where it is now. An earlier one goes.
///
/// # Errors
/// When the disk does not take it.
pub fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(file, ".damaged");
    fs::rename(file, &aside)?;
    Ok(aside)
}

fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut handle = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    handle.write_all(content)?;
    handle.sync_all()
}

/// Makes the names in the folder of `file` durable.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

pub(crate) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
