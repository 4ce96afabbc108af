//! An endpoint in a folder.

use super::{FakeFile, os_of, sha256};
use crate::{Error, Facts, File, Kind, Os, Status};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// An endpoint whose root is a folder of this machine; nothing is denied. It has no facts to query.
#[derive(Debug, Clone)]
pub struct FolderRoot {
    root: PathBuf,
}

impl FolderRoot {
    /// The endpoint below this folder; `/` is this machine.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        fs::read(self.resolve(path)).map_err(|error| explain(path, &error))
    }
}

impl Facts for FolderRoot {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        Ok(Box::new(FakeFile::new(self.read(path)?)))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(self.resolve(path)).map_err(|error| explain(path, &error))?;
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| explain(path, &error))?;
        names.sort();
        Ok(names)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        let metadata = fs::symlink_metadata(self.resolve(path)).map_err(|error| explain(path, &error))?;
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        let age = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified = age.and_then(|age| i64::try_from(age.as_secs()).ok()).unwrap_or(0);
        let size = if kind == Kind::File { metadata.len() } else { 0 };
        Ok(Status { kind, size, mode: mode(&metadata), modified })
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.read(path).map(|bytes| sha256(&bytes))
    }

    fn os(&self) -> Os {
        let machine = (self.root == Path::new("/")).then(|| ("machine".to_owned(), env::consts::ARCH.to_owned()));
        os_of(self, machine.as_slice())
    }

    fn query(&self, name: &str, _: &str) -> Result<String, Error> {
        Err(Error::NotFound(format!("{name}: a folder has no facts to query")))
    }
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0o644
}

fn explain(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(path.to_string()),
        io::ErrorKind::PermissionDenied => Error::Denied(path.to_string()),
        _ => Error::Other(format!("{path}: {error}")),
    }
}
