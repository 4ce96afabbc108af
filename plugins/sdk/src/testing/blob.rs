//! Files of an update.

use super::{piece, sha256};
use crate::{Blob, Entry};
use alloc::{borrow::ToOwned, string::String, vec::Vec};

/// A file of an update, for native tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeBlob {
    label: String,
    digest: String,
    bytes: Vec<u8>,
}

impl FakeBlob {
    /// A file with this label and these bytes, and their digest.
    #[must_use]
    pub fn new(label: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { label: label.to_owned(), digest: sha256(&bytes), bytes }
    }

    /// The same with this digest.
    #[must_use]
    pub fn with_digest(mut self, digest: &str) -> Self {
        self.digest = digest.to_owned();
        self
    }

    /// As a plugin sees it.
    #[must_use]
    pub fn as_blob(&self) -> Blob<'_> {
        Blob::of_fake(self)
    }

    /// Several, as a plugin sees them.
    #[must_use]
    pub fn as_blobs(blobs: &[Self]) -> Vec<Blob<'_>> {
        blobs.iter().map(Blob::of_fake).collect()
    }

    /// As an [`Update`](crate::Update) names it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry { label: self.label.clone(), digest: self.digest.clone(), length: self.bytes.len() as u64 }
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// SHA-256, in lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn read(&self, offset: u64, max: u32) -> Vec<u8> {
        piece(&self.bytes, offset, max)
    }
}
