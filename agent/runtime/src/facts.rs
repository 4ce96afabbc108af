//! The endpoint's files, read only, below its root, and only what is granted.

use crate::grants::{Grants, normalize};
use crate::limits::Limits;
use crate::reader::{Blocked, Reader};
use crate::world::State;
use crate::world::facts::{Host, HostFile};
use crate::world::types::Error;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Resource, ResourceTable};

/// How often a path is resolved again when the tree changed underneath.
#[cfg(target_os = "linux")]
const MAX_RESOLVE_ATTEMPTS: usize = 16;

/// What is scanned: this machine (`/`), or whatever has its root in a folder.
///
/// Make one for the life of the process: it owns the thread that reads, and knows when that is stuck.
#[derive(Debug, Clone)]
pub struct Endpoint {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    folder: Dir,
    reader: Reader,
}

/// A root that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint's root `{}` cannot be opened", root.display())]
pub struct EndpointError {
    root: PathBuf,
    source: io::Error,
}

impl Endpoint {
    /// The endpoint with this root.
    ///
    /// # Errors
    /// When the root is no folder that can be opened.
    pub fn open(root: &Path) -> Result<Self, EndpointError> {
        match Dir::open_ambient_dir(root, ambient_authority()) {
            Ok(folder) => Ok(Self { root: Arc::new(Root { folder, reader: Reader::default() }) }),
            Err(source) => Err(EndpointError { root: root.to_owned(), source }),
        }
    }

    /// Does this with the root, in the thread that may block, until the deadline.
    fn within<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Root) -> io::Result<T> + Send + 'static,
    ) -> Result<io::Result<T>, Blocked> {
        let root = Arc::clone(&self.root);
        self.root.reader.run(deadline, move || work(&root))
    }
}

impl Root {
    /// The regular file with this normalized path, and its size.
    fn open_regular(&self, path: &str) -> io::Result<(File, u64)> {
        let file = self.open(path, OFlags::empty())?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((file, metadata.len()))
    }

    /// The sorted names in this folder, unless they are more than `most`.
    fn list(&self, path: &str, most: usize) -> io::Result<Option<Vec<String>>> {
        let folder = Dir::from_std_file(self.open(path, OFlags::DIRECTORY)?);
        let mut names = Vec::new();
        for entry in folder.entries()? {
            // A name that is not UTF-8 cannot be granted either.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
            if names.len() > most {
                return Ok(None);
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Opens what this normalized path names. Links are followed as they would be by a program whose root is the
    /// endpoint's, so also absolute ones; nothing leads out of it.
    fn open(&self, path: &str, kind: OFlags) -> io::Result<File> {
        // Neither a pipe nor a device may block the scan: what is not a regular file is refused after opening.
        let flags = kind | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        #[cfg(target_os = "linux")]
        for _ in 0..MAX_RESOLVE_ATTEMPTS {
            use rustix::fs::{Mode, ResolveFlags, openat2};
            use rustix::io::Errno;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match openat2(&self.folder, path, flags, Mode::empty(), resolve) {
                Ok(file) => return Ok(file.into()),
                Err(Errno::AGAIN) => {}
                // Kernels before 5.6, and containers that forbid what they do not know.
                Err(Errno::NOSYS | Errno::PERM) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.open_beneath(path, flags)
    }

    /// The same where the kernel does not help; here absolute links are refused.
    fn open_beneath(&self, path: &str, flags: OFlags) -> io::Result<File> {
        use cap_std::fs::{OpenOptions, OpenOptionsExt};
        let relative = match path.trim_start_matches('/') {
            "" => ".",
            relative => relative,
        };
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        Ok(self.folder.open_with(relative, OpenOptions::new().read(true).custom_flags(flags))?.into_std())
    }
}

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

    fn open_file(&mut self, path: &str) -> Answer<Resource<OpenFile>> {
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

    fn read(&mut self, file: &Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
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

    fn list_folder(&mut self, path: &str) -> Answer<Vec<String>> {
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

fn io_error(path: &str, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotFound(format!("{path}: {error}")),
        ErrorKind::InvalidInput => Error::Invalid(format!("{path}: {error}")),
        _ => Error::Other(format!("{path}: {error}")),
    }
}

impl Host for State {
    fn open_file(&mut self, path: String) -> Answer<Resource<OpenFile>> {
        self.facts.open_file(&path)
    }

    fn list_folder(&mut self, path: String) -> Answer<Vec<String>> {
        self.facts.list_folder(&path)
    }
}

impl HostFile for State {
    fn size(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<u64> {
        Ok(self.facts.files.get(&file)?.size)
    }

    fn read(&mut self, file: Resource<OpenFile>, max: u32) -> Answer<Vec<u8>> {
        self.facts.read(&file, max)
    }

    fn drop(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<()> {
        self.facts.files.delete(file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
