//! Public keys as metadata hold them (TUF 1.0.34, section 4.2.2), and what verifies with them.

mod foreign;

use crate::hex;
use crate::json::{Members, Value, canonical};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ed25519_dalek::{Signature, VerifyingKey};
use farrier_protocol::Digest;

/// The types of keys that the specification describes.
const KNOWN_TYPES: [&str; 4] = ["ed25519", "ecdsa", "ecdsa-sha2-nistp256", "rsa"];

/// A public key as metadata hold it, with all its members. Keys of a kind that is not known here may be held, but
/// never count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Members);

impl Key {
    /// An Ed25519 key.
    #[must_use]
    pub fn ed25519(public: &[u8; 32]) -> Self {
        let keyval = Value::Object([("public".into(), Value::String(hex::encode(public)))].into());
        Self(
            [("keytype".into(), "ed25519".into()), ("scheme".into(), "ed25519".into()), ("keyval".into(), keyval)]
                .into(),
        )
    }

    /// The id that a key gets: SHA-256 of its canonical form. What metadata call it may differ, and counts.
    #[must_use]
    pub fn id(&self) -> String {
        Digest::of(&canonical(&self.0)).to_string()
    }

    /// The 32 bytes of the key, if it is a usable Ed25519 key.
    #[must_use]
    pub fn to_ed25519(&self) -> Option<[u8; 32]> {
        match (self.text("keytype"), self.text("scheme")) {
            ("ed25519", "ed25519") => hex::decode(self.public())?.try_into().ok(),
            _ => None,
        }
    }

    /// Reads a key object.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn read(value: Value) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err("the key is no object".into()) };
        let key = Self(members);
        for name in ["keytype", "scheme"] {
            if !matches!(key.0.get(name), Some(Value::String(_))) {
                return Err(format!("the key has no {name:?}"));
            }
        }
        let Some(Value::Object(keyval)) = key.0.get("keyval") else { return Err("the key has no \"keyval\"".into()) };
        if KNOWN_TYPES.contains(&key.text("keytype")) && !matches!(keyval.get("public"), Some(Value::String(_))) {
            return Err("the key has no \"public\"".into());
        }
        Ok(key)
    }

    #[cfg(feature = "sign")]
    pub(crate) fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// What verifies with the key; nothing if it is of a kind that is not known here, or no key of its kind.
    pub(crate) fn verifier(&self) -> Option<Verifier> {
        match self.to_ed25519() {
            Some(public) => VerifyingKey::from_bytes(&public).ok().map(Verifier::Ed25519),
            None => foreign::verifier(self.text("keytype"), self.text("scheme"), self.public()).map(Verifier::Foreign),
        }
    }

    fn public(&self) -> &str {
        match self.0.get("keyval") {
            Some(Value::Object(keyval)) => text(keyval, "public"),
            _ => "",
        }
    }

    fn text(&self, name: &str) -> &str {
        text(&self.0, name)
    }
}

fn text<'a>(members: &'a Members, name: &str) -> &'a str {
    match members.get(name) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}

/// A key that can verify.
pub(crate) enum Verifier {
    Ed25519(VerifyingKey),
    Foreign(foreign::Verifier),
}

impl Verifier {
    /// The same for the same key, whatever id or further members its object has.
    pub(crate) fn identity(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.as_bytes().to_vec(),
            Self::Foreign(key) => key.identity(),
        }
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            Self::Foreign(key) => key.verify(message, signature),
        }
    }
}
