//! What a plugin may read.

use crate::{Error, Lines, Os, bindings::farrier::policy::facts};
use alloc::{boxed::Box, format, rc::Rc, string::String, vec::Vec};
use core::{fmt, ops::Deref};

#[doc(inline)]
pub use facts::{Kind, Status};

/// Bytes asked of the host in one read.
pub(crate) const READ_BYTES: u32 = 64 * 1024;

/// The endpoint as a plugin may see it: read only, and only what its manifest asks for and the site grants.
///
/// Paths are absolute paths of the endpoint.
pub trait Facts {
    /// Opens a file to read it piece by piece. Links are followed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] where no grant covers the path, or what else the host says.
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error>;

    /// What is at a path; of a link, the link itself.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn stat(&self, path: &str) -> Result<Status, Error>;

    /// SHA-256 of a file, in lower-case hexadecimal. The host reads it: no byte of it comes into the plugin's memory.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn digest(&self, path: &str) -> Result<String, Error>;

    /// What the endpoint is; needs no grant.
    fn os(&self) -> Os;

    /// A structured fact of the platform, as JSON. Its name has to be granted. `disk-space` has the argument of an
    /// absolute path and the answer `{"total_bytes":N,"free_bytes":N}`.
    ///
    /// # Errors
    /// [`Error::NotFound`], naming the facts this host has, and as [`open_file`](Self::open_file).
    fn query(&self, name: &str, argument: &str) -> Result<String, Error>;

    /// Whether there is anything at a path.
    ///
    /// # Errors
    /// As [`stat`](Self::stat), but for [`Error::NotFound`]. What may not be seen is an error, not absent.
    fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A whole file. For a large one prefer [`lines`](Self::lines): a plugin's memory is bounded.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn read_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut file = self.open_file(path)?;
        let mut content = file.read(READ_BYTES)?;
        content.reserve_exact(usize::try_from(file.size()).unwrap_or(0).saturating_sub(content.len()));
        loop {
            match file.read(READ_BYTES)? {
                end if end.is_empty() => return Ok(content),
                piece => content.extend_from_slice(&piece),
            }
        }
    }

    /// A whole file that must be text.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file), and [`Error::Invalid`] if it is not UTF-8.
    fn read_text(&self, path: &str) -> Result<String, Error> {
        String::from_utf8(self.read_file(path)?).map_err(|_| Error::Invalid(format!("{path} is not UTF-8")))
    }

    /// The lines of a file, however large it is.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn lines(&self, path: &str) -> Result<Lines, Error> {
        Ok(Lines::new(path, self.open_file(path)?))
    }

    /// The same, to be kept and handed around. For tests: the agent hands a plugin its own.
    fn shared(self) -> SharedFacts
    where
        Self: Sized + 'static,
    {
        SharedFacts::new(self)
    }
}

/// A granted file, open for reading.
pub trait File {
    /// The file's size in bytes when it was opened.
    fn size(&self) -> u64;

    /// The next bytes, at most `max`; empty at the end. The host may give fewer than asked for.
    ///
    /// # Errors
    /// What the host says.
    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error>;

    /// The bytes from `offset` on, at most `max`; empty at the end. It does not move what [`read`](Self::read) gives
    /// next.
    ///
    /// # Errors
    /// What the host says.
    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error>;
}

/// Facts that a scan may keep, to read more when a rule asks for it. A clone is another handle to the same endpoint.
#[derive(Clone)]
pub struct SharedFacts(Rc<dyn Facts>);

impl SharedFacts {
    /// A handle to these facts.
    #[must_use]
    pub fn new(facts: impl Facts + 'static) -> Self {
        Self(Rc::new(facts))
    }

    /// The same as [`new`](Self::new).
    #[must_use]
    pub fn from(facts: impl Facts + 'static) -> Self {
        Self::new(facts)
    }
}

impl Deref for SharedFacts {
    type Target = dyn Facts;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for SharedFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedFacts")
    }
}

impl Facts for SharedFacts {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        self.0.open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.0.list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        self.0.stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.0.digest(path)
    }

    fn os(&self) -> Os {
        self.0.os()
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        self.0.query(name, argument)
    }
}

/// The facts of the agent that runs the plugin.
pub(crate) struct HostFacts;

impl Facts for HostFacts {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        Ok(Box::new(facts::open_file(path)?))
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        facts::list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        facts::stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        facts::digest(path)
    }

    fn os(&self) -> Os {
        Os::new(facts::os().into_iter().map(|fact| (fact.name, fact.value)).collect())
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        facts::query(name, argument)
    }
}

impl File for facts::File {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        Self::read(self, max)
    }

    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        Self::read_at(self, offset, max)
    }
}
