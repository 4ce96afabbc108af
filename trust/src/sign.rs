//! The site's side: the key that signs the index.

use crate::index::{SignedIndex, signed_bytes};
use crate::{Index, RepositoryRoot};
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::{Signer, SigningKey};
use farrier_protocol::Digest;

/// The Ed25519 key of a repository.
pub struct RepositoryKey(SigningKey);

/// Bytes that are not the 32 bytes of an Ed25519 secret key (RFC 8032, section 5.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a repository key is 32 bytes of an Ed25519 secret key")
    }
}

impl core::error::Error for InvalidKey {}

impl RepositoryKey {
    /// The key with these secret bytes, which come from the system's random generator or from a key file.
    ///
    /// # Errors
    /// When `secret` does not have 32 bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, InvalidKey> {
        let secret: &[u8; 32] = secret.try_into().map_err(|_| InvalidKey)?;
        Ok(Self(SigningKey::from_bytes(secret)))
    }

    /// What an agent must know to verify the signatures of this key.
    #[must_use]
    pub fn root(&self) -> RepositoryRoot {
        RepositoryRoot(Digest::of(self.0.verifying_key().as_bytes()))
    }

    /// The signed form of an index, which [`Repository::accept`](crate::Repository::accept) takes.
    ///
    /// # Errors
    /// Never; postcard's signature has one.
    pub fn sign(&self, index: &Index) -> Result<Vec<u8>, postcard::Error> {
        let encoded = farrier_protocol::encode(index)?;
        let signature = self.0.sign(&signed_bytes(&encoded));
        farrier_protocol::encode(&SignedIndex {
            key: self.0.verifying_key().to_bytes(),
            signature: (*signature.r_bytes(), *signature.s_bytes()),
            index: &encoded,
        })
    }
}

impl fmt::Debug for RepositoryKey {
    /// Shows the public root only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RepositoryKey").field(&self.root()).finish()
    }
}
