//! The endpoint's files, read only, below its root, and only what is granted.

use crate::endpoint::Endpoint;
use crate::grants::{Grants, normalize};
use crate::limits::Limits;
use crate::world::facts::{Host, HostFile};
use crate::world::types::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable};

/// A granted file in a guest's hands.
pub struct OpenFile {
    file: Arc<File>,
    path: String,
    size: u64,
}

/// The facts of one guest.
pub(crate) struct Facts {
    endpoint: Endpoint,
    grants: Grants,
    files: ResourceTable,
    bytes_left: u64,
    deadline: Instant,
    limits: Limits,
}

/// Outside: what ends the guest. Inside: what the guest is told.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Facts {
    pub(crate) fn new(endpoint: &Endpoint, grants: Grants, limits: &Limits) -> Self {
        let (endpoint, limits, deadline) = (endpoint.clone(), limits.clone(), Instant::now());
        let mut facts = Self { endpoint, grants, files: ResourceTable::new(), bytes_left: 0, deadline, limits };
        facts.close_all();
        facts
    }

    /// Back to the beginning, for a new guest.
    pub(crate) fn close_all(&mut self) {
        self.files = ResourceTable::new();
        self.files.set_max_capacity(self.limits.open_files);
        self.bytes_left = self.limits.file_bytes;
    }

    /// Until when the call that is about to begin may wait for files.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
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
        let file = OpenFile { file: Arc::new(file), path, size };
        Ok(self.files.push(file).map_err(|_| Error::TooLarge(too_many)))
    }

    fn read_from(&mut self, file: &Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
        let OpenFile { file, path, size } = self.files.get(file)?;
        let most = u64::from(max).min(self.limits.read_bytes as u64);
        if self.bytes_left == 0 {
            let limit = self.limits.file_bytes;
            return Ok(Err(Error::TooLarge(format!("{path}: more than {limit} bytes read from all files"))));
        }
        let (file, most) = (Arc::clone(file), most.min(self.bytes_left));
        let mut bytes = Vec::with_capacity(usize::try_from(most.min(*size))?);
        let read = self.endpoint.within(self.deadline, move |_| {
            (&*file).take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        })?;
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
        let (name, most) = (path.clone(), self.limits.folder_entries);
        let names = self.endpoint.within(self.deadline, move |root| root.list(&name, most))?;
        Ok(match names {
            Ok(Some(names)) => Ok(names),
            Ok(None) => Err(Error::TooLarge(format!("{path}: more than {most} entries"))),
            Err(error) => Err(io_error(&path, &error)),
        })
    }
}

pub(crate) fn io_error(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotFound(format!("{path}: {error}")),
        ErrorKind::InvalidInput => Error::Invalid(format!("{path}: {error}")),
        _ => Error::Other(format!("{path}: {error}")),
    }
}

impl Host for Facts {
    fn open_file(&mut self, path: String) -> Answer<Resource<OpenFile>> {
        self.open(&path)
    }

    fn list_folder(&mut self, path: String) -> Answer<Vec<String>> {
        self.list(&path)
    }
}

impl HostFile for Facts {
    fn size(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<u64> {
        Ok(self.files.get(&file)?.size)
    }

    fn read(&mut self, file: Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
        self.read_from(&file, max)
    }

    fn drop(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<()> {
        self.files.delete(file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
