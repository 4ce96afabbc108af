//! Endpoints for native tests.

mod endpoint;

pub use endpoint::{FakeBlob, FakeEndpoint, Ran};

use crate::{Error, Facts, File};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// An endpoint in memory: only the files a test gives it.
#[derive(Debug, Clone, Default)]
pub struct FakeRoot {
    files: BTreeMap<String, Vec<u8>>,
}

impl FakeRoot {
    /// An endpoint without a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a file more, or another content of it.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The same without a file.
    #[must_use]
    pub fn without_file(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }
}

impl Facts for FakeRoot {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        let content = self.files.get(path).ok_or_else(|| not_found(path))?;
        Ok(Box::new(FakeFile { content: content.clone(), at: 0 }))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below = self.files.keys().filter_map(|file| file.strip_prefix(&prefix));
        let names: BTreeSet<_> = below.filter_map(|file| file.split('/').next()).map(str::to_owned).collect();
        if names.is_empty() { Err(not_found(path)) } else { Ok(names.into_iter().collect()) }
    }
}

/// An endpoint whose root is a folder of this machine; nothing is denied.
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
}

impl Facts for FolderRoot {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        let content = fs::read(self.resolve(path)).map_err(|error| explain(path, &error))?;
        Ok(Box::new(FakeFile { content, at: 0 }))
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
}

struct FakeFile {
    content: Vec<u8>,
    at: usize,
}

impl File for FakeFile {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        let rest = &self.content[self.at..];
        let piece = &rest[..rest.len().min(max as usize)];
        self.at += piece.len();
        Ok(piece.to_vec())
    }
}

fn not_found(path: &str) -> Error {
    Error::NotFound(path.to_string())
}

fn explain(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => not_found(path),
        io::ErrorKind::PermissionDenied => Error::Denied(path.to_string()),
        _ => Error::Other(format!("{path}: {error}")),
    }
}
