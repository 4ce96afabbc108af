//! The site's side: keys that sign metadata and statements.

use crate::assignment::signed_bytes;
use crate::hex;
use crate::keys::Key;
use crate::metadata::Draft;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use ed25519_dalek::{Signer, VerifyingKey};
use farrier_protocol::poll::{MAX_STATEMENT_SIGNATURES, PollReply, Statement, StatementSignature};

/// An Ed25519 key that signs.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// The public half of a [`SigningKey`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// What is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Ed25519 key is 32 bytes, a public one in 64 hexadecimal digits")
    }
}

impl core::error::Error for InvalidKey {}

impl SigningKey {
    /// The key with these secret bytes (RFC 8032, section 5.1.5), which come from the system's random generator or from
    /// a key file.
    ///
    /// # Errors
    /// When `secret` does not have 32 bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, InvalidKey> {
        let secret: &[u8; 32] = secret.try_into().map_err(|_| InvalidKey)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(secret)))
    }

    /// The secret bytes.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The id that metadata call it by.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.public().key_id()
    }

    /// Its signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    /// Shows the public half only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

impl PublicKey {
    /// The key with these bytes (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// When they are no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| InvalidKey)?;
        VerifyingKey::from_bytes(&bytes).map_err(|_| InvalidKey)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id that metadata call it by.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.to_key().id()
    }

    /// The key as metadata hold it.
    #[must_use]
    pub fn to_key(&self) -> Key {
        Key::ed25519(&self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::from_bytes(&hex::decode(text).ok_or(InvalidKey)?)
    }
}

impl Draft {
    /// Signs it.
    pub fn sign(&mut self, key: &SigningKey) {
        self.add_signature(&key.key_id(), &key.sign(&self.signed_bytes()));
    }
}

/// A statement with its signatures, ready for a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// The encoded statement.
    pub statement: Vec<u8>,
    /// Its signatures.
    pub signatures: heapless::Vec<StatementSignature, MAX_STATEMENT_SIGNATURES>,
}

impl SignedStatement {
    /// The reply with it, and with the encoded assignment where the client does not have it.
    #[must_use]
    pub fn reply<'a>(&'a self, assignment: Option<&'a [u8]>) -> PollReply<'a> {
        PollReply { statement: &self.statement, signatures: self.signatures.clone(), assignment }
    }
}

/// Signs a statement with the first [`MAX_STATEMENT_SIGNATURES`] of these keys.
#[must_use]
pub fn sign_statement(statement: &Statement, keys: &[SigningKey]) -> SignedStatement {
    let statement = farrier_protocol::encode(statement).unwrap_or_default();
    let message = signed_bytes(&statement).unwrap_or_default();
    let sign = |key: &SigningKey| {
        let signature = key.0.sign(&message);
        StatementSignature { key: *key.public().as_bytes(), signature: (*signature.r_bytes(), *signature.s_bytes()) }
    };
    let signatures = keys.iter().take(MAX_STATEMENT_SIGNATURES).map(sign).collect();
    SignedStatement { statement, signatures }
}
