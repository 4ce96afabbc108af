//! The endpoint as a plugin sees it, read only: files below its root, what it is, facts of the platform; and only what is
//! granted.

mod os;
mod query;

use crate::endpoint::Endpoint;
use crate::grants::{Grants, normalize};
use crate::limits::Limits;
use crate::observe::{self, HostCall};
use crate::world::facts::{Fact, Host, HostFile, Kind, Status};
use crate::world::types::Error;
use farrier_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable};

/// Bytes that are hashed at once.
const BLOCK_BYTES: usize = 64 << 10;
/// The permission bits of a mode, with those for other users' rights.
const MODE_BITS: u32 = 0o7777;

/// A granted file in a guest's hands.
pub struct OpenFile {
    file: Arc<File>,
    path: String,
    size: u64,
    /// Where `read` goes on.
    at: u64,
}

/// The facts of one guest.
pub(crate) struct Facts {
    endpoint: Endpoint,
    grants: Grants,
    files: ResourceTable,
    bytes_left: u64,
    digest_bytes_left: u64,
    deadline: Instant,
    limits: Limits,
}

/// Outside: what ends the guest. Inside: what the guest is told.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Facts {
    pub(crate) fn new(endpoint: &Endpoint, grants: Grants, limits: &Limits) -> Self {
        let (endpoint, limits, deadline) = (endpoint.clone(), limits.clone(), Instant::now());
        let (files, bytes_left, digest_bytes_left) = (ResourceTable::new(), 0, 0);
        let mut facts = Self { endpoint, grants, files, bytes_left, digest_bytes_left, deadline, limits };
        facts.close_all();
        facts
    }

    /// Back to the beginning, for a new guest.
    pub(crate) fn close_all(&mut self) {
        self.files = ResourceTable::new();
        self.files.set_max_capacity(self.limits.open_files);
        self.bytes_left = self.limits.file_bytes;
        self.digest_bytes_left = self.limits.digest_bytes;
    }

    /// Until when the call that is about to begin may wait for files.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// When its time is up.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    fn granted(&mut self, path: &str) -> Result<String, Error> {
        let path = normalize(path).map_err(Error::Invalid)?;
        self.grants.check_logged(&path).map_err(|denial| Error::Denied(denial.to_string()))?;
        Ok(path)
    }

    fn open(&mut self, path: &str) -> Answer<Resource<OpenFile>> {
        let path = match self.granted(path) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let name = path.clone();
        let opened = self.endpoint.within(self.deadline, move |root| root.open_regular(&name))?;
        let (file, size) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(io_error(&path, &error))),
        };
        let too_many = format!("{path}: more than {} files open", self.limits.open_files);
        let file = OpenFile { file: Arc::new(file), path, size, at: 0 };
        Ok(self.files.push(file).map_err(|_| Error::TooLarge(too_many)))
    }

    /// The next bytes; whoever reads so does not ask from where.
    fn read_from(&mut self, file: &Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
        let at = self.files.get(file)?.at;
        let bytes = self.read_range(file, at, max)?;
        if let Ok(bytes) = &bytes {
            self.files.get_mut(file)?.at = at.saturating_add(bytes.len() as u64);
        }
        Ok(bytes)
    }

    fn read_range(&mut self, file: &Resource<OpenFile>, offset: u64, max: u32) -> Answer<Vec<u8>> {
        let OpenFile { file, path, size, .. } = self.files.get(file)?;
        let most = u64::from(max).min(self.limits.read_bytes as u64);
        if self.bytes_left == 0 {
            let limit = self.limits.file_bytes;
            return Ok(Err(Error::TooLarge(format!("{path}: more than {limit} bytes read from all files"))));
        }
        // No file goes on so far, and no system call takes a number beyond.
        if i64::try_from(offset.saturating_add(most)).is_err() {
            return Ok(Ok(Vec::new()));
        }
        let (file, most) = (Arc::clone(file), usize::try_from(most.min(self.bytes_left))?);
        // Files of the kernel say that they are empty: those get a page first.
        let guess = usize::try_from(size.saturating_sub(offset)).unwrap_or(most).clamp(most.min(4096), most);
        let read = self.endpoint.within(self.deadline, move |_| read_at(&file, offset, most, guess))?;
        if let Ok(bytes) = &read {
            self.bytes_left -= bytes.len() as u64;
        }
        Ok(read.map_err(|error| io_error(path, &error)))
    }

    fn list(&mut self, path: &str) -> Answer<Vec<String>> {
        let path = match self.granted(path) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let (name, most, most_bytes) = (path.clone(), self.limits.folder_entries, self.limits.folder_bytes);
        let names = self.endpoint.within(self.deadline, move |root| root.list(&name, most, most_bytes))?;
        Ok(match names {
            Ok(Some(names)) => Ok(names),
            Ok(None) => {
                Err(Error::TooLarge(format!("{path}: more than {most} entries or {most_bytes} bytes of names")))
            }
            Err(error) => Err(io_error(&path, &error)),
        })
    }

    fn status(&mut self, path: &str) -> Answer<Status> {
        let path = match self.granted(path) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let name = path.clone();
        let found = self.endpoint.within(self.deadline, move |root| root.metadata(&name))?;
        let status = |metadata: std::fs::Metadata| {
            let kind = match metadata.file_type() {
                kind if kind.is_file() => Kind::File,
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_symlink() => Kind::Link,
                _ => Kind::Other,
            };
            let size = if kind == Kind::File { metadata.len() } else { 0 };
            Status { kind, size, mode: metadata.mode() & MODE_BITS, modified: metadata.mtime() }
        };
        Ok(found.map(status).map_err(|error| io_error(&path, &error)))
    }

    fn hash(&mut self, path: &str) -> Answer<String> {
        let path = match self.granted(path) {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let (name, until, most) = (path.clone(), self.deadline, self.digest_bytes_left);
        let hashed = self.endpoint.within(self.deadline, move |root| {
            let (file, _) = root.open_regular(&name)?;
            hash_file(file, most, until)
        })?;
        let (digest, bytes) = match hashed {
            Ok(hashed) => hashed,
            Err(error) => return Ok(Err(io_error(&path, &error))),
        };
        self.digest_bytes_left = self.digest_bytes_left.saturating_sub(bytes);
        let limit = self.limits.digest_bytes;
        Ok(digest
            .ok_or_else(|| Error::TooLarge(format!("{path}: more than {limit} bytes in all files that are hashed"))))
    }
}

/// As many bytes as are there from this offset on, at most `most`.
pub(crate) fn read_at(file: &File, offset: u64, most: usize, guess: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; guess.min(most)];
    let mut length = 0;
    loop {
        if length == bytes.len() {
            if length == most {
                return Ok(bytes);
            }
            bytes.resize(length.saturating_mul(2).clamp(length + 1, most), 0);
        }
        let free = bytes.get_mut(length..).unwrap_or_default();
        match file.read_at(free, offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Half of it is worth more than an error; the next read meets that again.
            Err(_) if length > 0 => break,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The digest, unless there are more bytes than `most`, and how many bytes were read.
fn hash_file(mut file: File, most: u64, until: Instant) -> io::Result<(Option<String>, u64)> {
    let (mut hasher, mut block, mut bytes) = (Sha256::new(), vec![0; BLOCK_BYTES], 0_u64);
    loop {
        if Instant::now() >= until {
            return Err(io::Error::new(ErrorKind::TimedOut, "it is too large to be hashed in time"));
        }
        match file.read(&mut block) {
            Ok(0) => return Ok((Some(Digest(hasher.finalize().into()).to_string()), bytes)),
            Ok(read) => {
                hasher.update(block.get(..read).unwrap_or_default());
                bytes += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if bytes > most {
            return Ok((None, bytes));
        }
    }
}

pub(crate) fn io_error(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotFound(format!("{path}: {error}")),
        ErrorKind::InvalidInput => Error::Invalid(format!("{path}: {error}")),
        ErrorKind::FileTooLarge => Error::TooLarge(format!("{path}: {error}")),
        _ => Error::Other(format!("{path}: {error}")),
    }
}

/// An error as observers are told it.
pub(crate) fn error_text(error: &Error) -> String {
    let (case, text) = match error {
        Error::NotFound(text) => ("not-found", text),
        Error::Denied(text) => ("denied", text),
        Error::TooLarge(text) => ("too-large", text),
        Error::Invalid(text) => ("invalid", text),
        Error::Other(text) => ("other", text),
    };
    format!("{case}: {text}")
}

/// An answer as observers are told it: what was answered, or the error.
pub(crate) fn told<T, U>(answer: &Result<T, Error>, show: impl FnOnce(&T) -> U) -> Result<U, String> {
    answer.as_ref().map(show).map_err(error_text)
}

impl Host for Facts {
    fn open_file(&mut self, path: String) -> Answer<Resource<OpenFile>> {
        let answer = self.open(&path)?;
        if self.endpoint.is_observed() {
            let size = match &answer {
                Ok(file) => Ok(self.files.get(file)?.size),
                Err(error) => Err(error_text(error)),
            };
            let result = size.as_ref().copied().map_err(String::as_str);
            self.endpoint.observe(|| HostCall::Open { path: &path, result });
        }
        Ok(answer)
    }

    fn list_folder(&mut self, path: String) -> Answer<Vec<String>> {
        let answer = self.list(&path)?;
        if self.endpoint.is_observed() {
            let error = answer.as_ref().err().map(error_text).unwrap_or_default();
            let result = answer.as_deref().map_err(|_| error.as_str());
            self.endpoint.observe(|| HostCall::List { path: &path, result });
        }
        Ok(answer)
    }

    fn stat(&mut self, path: String) -> Answer<Status> {
        let answer = self.status(&path)?;
        if self.endpoint.is_observed() {
            let told = told(&answer, |status| observe::Status {
                kind: kind_word(status.kind),
                size: status.size,
                mode: status.mode,
                modified: status.modified,
            });
            let result = told.as_ref().copied().map_err(String::as_str);
            self.endpoint.observe(|| HostCall::Stat { path: &path, result });
        }
        Ok(answer)
    }

    fn digest(&mut self, path: String) -> Answer<String> {
        let answer = self.hash(&path)?;
        if self.endpoint.is_observed() {
            let told = told(&answer, Clone::clone);
            let result = told.as_deref().map_err(String::as_str);
            self.endpoint.observe(|| HostCall::Digest { path: &path, result });
        }
        Ok(answer)
    }

    fn os(&mut self) -> wasmtime::Result<Vec<Fact>> {
        let facts = match self.endpoint.os() {
            Some(facts) => facts.to_vec(),
            // An endpoint without such a file is one of which nothing is known.
            None => self.endpoint.within(self.deadline, |root| Ok(os::of(root)))?.unwrap_or_default(),
        };
        self.endpoint.observe(|| HostCall::Os { facts: &facts });
        Ok(facts.into_iter().map(|(name, value)| Fact { name, value }).collect())
    }

    fn query(&mut self, name: String, argument: String) -> Answer<String> {
        let answer = self.answer(&name, &argument)?;
        if self.endpoint.is_observed() {
            let told = told(&answer, Clone::clone);
            let result = told.as_deref().map_err(String::as_str);
            self.endpoint.observe(|| HostCall::Query { name: &name, argument: &argument, result });
        }
        Ok(answer)
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Other => "other",
    }
}

impl Facts {
    /// Shows a read to whoever watches.
    fn observe_read(
        &self,
        file: &Resource<OpenFile>,
        offset: u64,
        answer: &Result<Vec<u8>, Error>,
    ) -> wasmtime::Result<()> {
        if self.endpoint.is_observed() {
            let path = self.files.get(file)?.path.as_str();
            match answer {
                Ok(bytes) => self.endpoint.observe(|| HostCall::Read { path, offset, bytes }),
                Err(error) => {
                    let error = &error_text(error);
                    self.endpoint.observe(|| HostCall::ReadFailed { path, offset, error });
                }
            }
        }
        Ok(())
    }
}

impl HostFile for Facts {
    fn size(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<u64> {
        Ok(self.files.get(&file)?.size)
    }

    fn read(&mut self, file: Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
        let offset = self.files.get(&file)?.at;
        let answer = self.read_from(&file, max)?;
        self.observe_read(&file, offset, &answer)?;
        Ok(answer)
    }

    fn read_at(&mut self, file: Resource<OpenFile>, offset: u64, max: u32) -> Answer<Vec<u8>> {
        let answer = self.read_range(&file, offset, max)?;
        self.observe_read(&file, offset, &answer)?;
        Ok(answer)
    }

    fn drop(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<()> {
        self.files.delete(file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
