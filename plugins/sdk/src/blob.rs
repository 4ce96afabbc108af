//! The files of an update.

use crate::{Error, bindings::installer::farrier::policy as host};
use alloc::{string::String, vec::Vec};

/// A file of the update: read only, verified, and exactly what was signed.
#[derive(Debug)]
pub struct Blob<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Host(&'a host::content::Blob),
    #[cfg(not(target_arch = "wasm32"))]
    Fake(&'a crate::testing::FakeBlob),
}

impl<'a> Blob<'a> {
    pub(crate) fn of_host(blob: &'a host::content::Blob) -> Self {
        Self(Source::Host(blob))
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of_fake(blob: &'a crate::testing::FakeBlob) -> Self {
        Self(Source::Fake(blob))
    }

    /// What the policy calls it: `libssl3_3.0.17-1~deb12u2_amd64.deb`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.0 {
            Source::Host(blob) => blob.label(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.label().into(),
        }
    }

    /// SHA-256, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        match &self.0 {
            Source::Host(blob) => blob.digest(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.digest().into(),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.0 {
            Source::Host(blob) => blob.length(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => blob.bytes().len() as u64,
        }
    }

    /// The bytes from `offset` on, at most `max`; empty at the end. The host may give fewer than asked for.
    ///
    /// # Errors
    /// What the host says.
    pub fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Source::Host(blob) => blob.read(offset, max),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(blob) => Ok(blob.read(offset, max)),
        }
    }

    /// The host's own.
    pub(crate) fn as_host(&self) -> Result<&'a host::content::Blob, Error> {
        match self.0 {
            Source::Host(blob) => Ok(blob),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Fake(_) => Err(Error::Invalid("a fake blob was passed to a real host".into())),
        }
    }
}
