//! The index and its verification.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::{Signature, VerifyingKey};
use farrier_protocol::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

/// Bytes of an encoded, signed index, at most.
pub const MAX_INDEX_BYTES: usize = 1024 * 1024;

/// Goes in front of what is signed, so that no other signature of the same key can be taken for an index.
pub(crate) const SIGNING_CONTEXT: &[u8] = b"farrier repository index 1\0";

/// The root of trust: SHA-256 of the repository's Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRoot(pub Digest);

/// What a repository holds at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Grows with every publication.
    pub version: u64,
    /// From this moment on no agent takes it any more.
    pub expires: UnixTime,
    /// The targets, sorted by name.
    pub targets: Vec<Target>,
}

/// One named, immutable piece of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `plugins/dpkg`, `catalogs/bookworm-security/amd64`.
    pub name: String,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Bytes of the content.
    pub length: u64,
}

/// An index with its signature, as it travels.
#[derive(Serialize, Deserialize)]
pub(crate) struct SignedIndex<'a> {
    pub(crate) key: [u8; 32],
    /// R and s of the Ed25519 signature (RFC 8032) over [`SIGNING_CONTEXT`] and `index`.
    pub(crate) signature: ([u8; 32], [u8; 32]),
    pub(crate) index: &'a [u8],
}

/// Why an index is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustError {
    /// The bytes are no index.
    Malformed,
    /// The key in it is not the one the enrolment token names.
    WrongKey,
    /// The signature does not fit the content.
    BadSignature,
    /// It is older than one already taken.
    Rollback {
        /// The version offered.
        offered: u64,
        /// The version taken before.
        floor: u64,
    },
    /// It expired.
    Expired {
        /// When.
        at: UnixTime,
    },
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the repository index is malformed"),
            Self::WrongKey => {
                f.write_str("the repository index is signed by a key that the enrolment token does not name")
            }
            Self::BadSignature => f.write_str("the signature of the repository index does not fit its content"),
            Self::Rollback { offered, floor } => {
                write!(f, "the repository index has version {offered}, but version {floor} was seen before")
            }
            Self::Expired { at } => write!(f, "the repository index expired at {at} (seconds since 1970)"),
        }
    }
}

impl core::error::Error for TrustError {}

/// An agent's view of a repository: its root, its floor and the index it trusts.
#[derive(Debug, Clone)]
pub struct Repository {
    root: RepositoryRoot,
    floor: u64,
    index: Option<Index>,
}

impl Repository {
    /// A repository of which nothing but the root and the version floor (0 at first) is known.
    #[must_use]
    pub fn new(root: RepositoryRoot, floor: u64) -> Self {
        Self { root, floor, index: None }
    }

    /// Verifies an index and takes it.
    ///
    /// # Errors
    /// When it must not be taken; the repository stays as it was.
    pub fn accept(&mut self, bytes: &[u8], now: UnixTime) -> Result<&Index, TrustError> {
        let index = self.verify(bytes)?;
        if index.expires <= now {
            return Err(TrustError::Expired { at: index.expires });
        }
        self.floor = index.version;
        Ok(self.index.insert(index))
    }

    /// Takes an index that was accepted before and stored: like [`accept`](Self::accept), but an index that expired
    /// meanwhile goes on selecting what is already known. Expiry blocks new content, not the offline client.
    ///
    /// # Errors
    /// When it is not signed, or older than the floor.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<&Index, TrustError> {
        let index = self.verify(bytes)?;
        Ok(self.index.insert(index))
    }

    /// The lowest version this repository takes: to be stored, and never to go below.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// The target of this name, if the trusted index has it with this digest.
    #[must_use]
    pub fn target(&self, name: &str, digest: &Digest) -> Option<&Target> {
        let targets = &self.index.as_ref()?.targets;
        targets.iter().find(|target| target.name == name && target.digest == *digest)
    }

    fn verify(&self, bytes: &[u8]) -> Result<Index, TrustError> {
        if bytes.len() > MAX_INDEX_BYTES {
            return Err(TrustError::Malformed);
        }
        let signed: SignedIndex<'_> = farrier_protocol::decode(bytes).map_err(|_| TrustError::Malformed)?;
        if Digest::of(&signed.key) != self.root.0 {
            return Err(TrustError::WrongKey);
        }
        let key = VerifyingKey::from_bytes(&signed.key).map_err(|_| TrustError::WrongKey)?;
        let signature = Signature::from_components(signed.signature.0, signed.signature.1);
        key.verify_strict(&signed_bytes(signed.index), &signature).map_err(|_| TrustError::BadSignature)?;

        let index: Index = farrier_protocol::decode(signed.index).map_err(|_| TrustError::Malformed)?;
        if index.version < self.floor {
            return Err(TrustError::Rollback { offered: index.version, floor: self.floor });
        }
        Ok(index)
    }
}

/// The exact bytes that are signed for an encoded index.
pub(crate) fn signed_bytes(index: &[u8]) -> Vec<u8> {
    [SIGNING_CONTEXT, index].concat()
}
