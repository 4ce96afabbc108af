//! A target that was found, and verifying its bytes while they come.

use crate::TrustError;
use crate::hex;
use crate::metadata::{Hashes, TargetFile};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use farrier_protocol::Digest;
use sha2::{Digest as _, Sha256, Sha512};

/// A target that the repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its path: `plugins/dpkg/0.1.0`.
    pub path: String,
    /// Its bytes.
    pub length: u64,
    /// Its digests by their kind. All of them must fit; other kinds than `sha256` and `sha512` never do.
    pub hashes: Hashes,
    /// The role whose metadata name it.
    pub role: String,
    consistent_snapshot: bool,
}

impl Target {
    pub(crate) fn new(path: &str, role: &str, file: &TargetFile, consistent_snapshot: bool) -> Self {
        let (path, role, hashes) = (path.into(), role.into(), file.hashes.clone());
        Self { path, length: file.length, hashes, role, consistent_snapshot }
    }

    /// Its SHA-256, if it is named by that.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        self.hashes.get("sha256")?.parse().ok()
    }

    /// The path of its file in the repository: `plugins/dpkg/{sha256}.0.1.0`, or its path as it is where the
    /// repository has no consistent snapshots.
    #[must_use]
    pub fn file(&self) -> String {
        let hash = self.hashes.get("sha256").or_else(|| self.hashes.values().next());
        match (hash, self.path.rsplit_once('/')) {
            (Some(hash), Some((folder, name))) if self.consistent_snapshot => format!("{folder}/{hash}.{name}"),
            (Some(hash), None) if self.consistent_snapshot => format!("{hash}.{}", self.path),
            _ => self.path.clone(),
        }
    }

    /// Verifies its bytes as they come.
    #[must_use]
    pub fn verifier(&self) -> TargetVerifier {
        TargetVerifier::new(&self.path, Some(self.length), Some(&self.hashes))
    }
}

/// Verifies length and digests of bytes that come one after the other.
#[derive(Clone)]
pub struct TargetVerifier {
    name: String,
    length: Option<u64>,
    hashes: Hashes,
    read: u64,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

impl TargetVerifier {
    pub(crate) fn new(name: &str, length: Option<u64>, hashes: Option<&Hashes>) -> Self {
        let hashes = hashes.cloned().unwrap_or_default();
        let sha256 = hashes.contains_key("sha256").then(Sha256::new);
        let sha512 = hashes.contains_key("sha512").then(Sha512::new);
        Self { name: name.into(), length, hashes, read: 0, sha256, sha512 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as there are more than there should be.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        self.read = self.read.saturating_add(bytes.len() as u64);
        match self.length {
            Some(length) if self.read > length => Err(TrustError::TooLong { role: self.name.clone(), limit: length }),
            _ => {
                self.sha256.iter_mut().for_each(|digest| digest.update(bytes));
                self.sha512.iter_mut().for_each(|digest| digest.update(bytes));
                Ok(())
            }
        }
    }

    /// Says whether these were all the bytes, and the right ones.
    ///
    /// # Errors
    /// When they are not, or when a digest is of a kind that cannot be checked.
    pub fn finish(mut self) -> Result<(), TrustError> {
        let name = core::mem::take(&mut self.name);
        if let Some(expected) = self.length
            && self.read != expected
        {
            return Err(TrustError::WrongLength { role: name, offered: self.read, expected });
        }
        for (algorithm, expected) in &self.hashes {
            let algorithm = algorithm.clone();
            let found = match algorithm.as_str() {
                "sha256" => self.sha256.take().map(|digest| hex::encode(&digest.finalize())),
                "sha512" => self.sha512.take().map(|digest| hex::encode(&digest.finalize())),
                _ => None,
            };
            match found {
                None => return Err(TrustError::UnknownHash { role: name, algorithm }),
                Some(found) if found != *expected => return Err(TrustError::WrongHash { role: name, algorithm }),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TargetVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetVerifier").field("name", &self.name).field("read", &self.read).finish_non_exhaustive()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> Hashes {
    [("sha256".into(), Digest::of(bytes).to_string())].into()
}
