//! Endpoints for native tests.

mod blob;
mod endpoint;
mod folder;
mod folder_root;
mod root;
mod tree;

pub use blob::FakeBlob;
pub use endpoint::{FakeEndpoint, Ran};
pub use folder_root::FolderRoot;
pub use root::FakeRoot;

use crate::{Error, Facts, File, Os, OsRelease};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use sha2::{Digest, Sha256};

/// The names of os-release(5) that a host tells, and how it calls them.
const OS_NAMES: [(&str, &str); 5] = [
    ("ID", "id"),
    ("VERSION_ID", "version-id"),
    ("VERSION_CODENAME", "version-codename"),
    ("VARIANT_ID", "variant-id"),
    ("PRETTY_NAME", "pretty-name"),
];

/// What an endpoint is: its os-release(5), and what a test adds.
fn os_of(facts: &dyn Facts, more: &[(String, String)]) -> Os {
    let mut known = Vec::new();
    if let Ok(release) = OsRelease::read(facts) {
        let named = OS_NAMES.iter().filter_map(|(name, fact)| release.get(name).map(|value| (fact, value)));
        known.extend(named.map(|(fact, value)| ((*fact).to_owned(), value.to_owned())));
    }
    known.extend_from_slice(more);
    Os::new(known)
}

/// SHA-256, in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes from `offset` on, at most `max`.
fn piece(bytes: &[u8], offset: u64, max: u32) -> Vec<u8> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let rest = &bytes[from..];
    rest[..rest.len().min(max as usize)].to_vec()
}

/// An open file.
struct FakeFile {
    content: Vec<u8>,
    at: usize,
}

impl FakeFile {
    fn new(content: Vec<u8>) -> Self {
        Self { content, at: 0 }
    }
}

impl File for FakeFile {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        let piece = piece(&self.content, self.at as u64, max);
        self.at += piece.len();
        Ok(piece)
    }

    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        Ok(piece(&self.content, offset, max))
    }
}
