//! What a plugin may read.

use crate::{Error, Lines, bindings::farrier::policy::facts};
use alloc::{boxed::Box, format, string::String, vec::Vec};

/// Bytes asked of the host in one read.
pub(crate) const READ_BYTES: u32 = 64 * 1024;

/// The endpoint as a plugin may see it: read only, and only what its manifest asks for and the site grants.
///
/// Paths are absolute paths of the endpoint.
pub trait Facts {
    /// Opens a file to read it piece by piece.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] where no grant covers the path, or what else the host says.
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error>;

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
}

/// A granted file, open for reading.
pub trait File {
    /// The file's size in bytes when it was opened.
    fn size(&self) -> u64;

    /// The next bytes, at most `max`; empty at the end.
    ///
    /// # Errors
    /// What the host says.
    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error>;
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
}

impl File for facts::File {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        Self::read(self, max)
    }
}
