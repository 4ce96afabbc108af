//! Metadata with its signatures (section 4.2.1).

use super::root::RoleKeys;
use super::{Fields, Signed};
use crate::TrustError;
use crate::hex;
#[cfg(feature = "sign")]
use crate::json::to_json;
use crate::json::{Members, Value, canonical};
use crate::keys::Key;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Metadata, read or just written, with the signatures it has so far. Nothing says yet whether they are any good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    signed: Members,
    /// Key id and signature in hexadecimal digits, which may be none where somebody has not signed yet.
    signatures: Vec<Signature>,
    other: Members,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    keyid: String,
    sig: String,
    other: Members,
}

impl Draft {
    /// Reads metadata.
    ///
    /// # Errors
    /// When `bytes` are no metadata of any role; `role` is for the error.
    pub fn from_bytes(role: &str, bytes: &[u8]) -> Result<Self, TrustError> {
        Self::read(bytes).map_err(|reason| TrustError::malformed(role, reason))
    }

    /// What it says.
    ///
    /// # Errors
    /// When it does not say what metadata of this kind must say.
    pub fn content<S: Signed>(&self) -> Result<S, TrustError> {
        super::read(self.kind(), self.signed.clone())
    }

    /// Its `_type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self.signed.get("_type") {
            Some(Value::String(kind)) => kind,
            _ => "",
        }
    }

    /// Exactly what is signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        canonical(&self.signed)
    }

    /// How many different keys of a role have signed it.
    #[must_use]
    pub fn valid_signatures(&self, role: &RoleKeys, keys: &BTreeMap<String, Key>) -> u32 {
        count_signatures(self, role, keys, u64::MAX)
    }

    /// The ids of the keys that it has something of a signature of.
    pub fn signers(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().filter(|signature| !signature.sig.is_empty()).map(|signature| signature.keyid.as_str())
    }

    /// What it says, without keeping it.
    pub(crate) fn into_content<S: Signed>(self, role: &str) -> Result<S, TrustError> {
        super::read(role, self.signed)
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::of("the metadata", Value::parse(bytes)?)?;
        let signed = fields.object("signed")?;
        let signatures: Vec<_> =
            fields.array("signatures")?.into_iter().map(read_signature).collect::<Result<_, _>>()?;
        let mut keyids = BTreeSet::new();
        if let Some(twice) = signatures.iter().find(|signature| !keyids.insert(signature.keyid.as_str())) {
            return Err(format!("it has two signatures of the key {}", twice.keyid));
        }
        Ok(Self { signed, signatures, other: fields.rest() })
    }
}

fn read_signature(value: Value) -> Result<Signature, String> {
    let mut fields = Fields::of("signatures", value)?;
    Ok(Signature { keyid: fields.text("keyid")?, sig: fields.text("sig")?, other: fields.rest() })
}

/// How many different keys of a role have signed; no more than `enough` are looked at. A key counts once, whatever
/// ids it has.
pub(crate) fn count_signatures(draft: &Draft, role: &RoleKeys, keys: &BTreeMap<String, Key>, enough: u64) -> u32 {
    let message = draft.signed_bytes();
    let mut counted = BTreeSet::new();
    for keyid in &role.keyids {
        if counted.len() as u64 >= enough {
            break;
        }
        let verifier = keys.get(keyid).and_then(Key::verifier);
        let signature = draft.signatures.iter().find(|signature| signature.keyid == *keyid);
        let signature = signature.and_then(|signature| hex::decode(&signature.sig));
        if let (Some(verifier), Some(signature)) = (verifier, signature)
            && !counted.contains(&verifier.identity())
            && verifier.verify(&message, &signature)
        {
            counted.insert(verifier.identity());
        }
    }
    u32::try_from(counted.len()).unwrap_or(u32::MAX)
}

#[cfg(feature = "sign")]
impl Draft {
    /// Metadata that nobody has signed yet.
    #[must_use]
    pub fn new<S: Signed>(content: &S) -> Self {
        Self { signed: super::write(content), signatures: Vec::new(), other: Members::new() }
    }

    /// Adds a signature, which may have been made elsewhere, in the place of an earlier one of the same key.
    pub fn add_signature(&mut self, keyid: &str, signature: &[u8]) {
        let sig = hex::encode(signature);
        match self.signatures.iter_mut().find(|signature| signature.keyid == keyid) {
            Some(earlier) => earlier.sig = sig,
            None => self.signatures.push(Signature { keyid: keyid.into(), sig, other: Members::new() }),
        }
    }

    /// The file: JSON, as it is published.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| {
            let mut members = signature.other.clone();
            members.insert("keyid".into(), signature.keyid.as_str().into());
            members.insert("sig".into(), signature.sig.as_str().into());
            Value::Object(members)
        });
        let mut members = self.other.clone();
        members.insert("signatures".into(), Value::Array(signatures.collect()));
        members.insert("signed".into(), Value::Object(self.signed.clone()));
        to_json(&members)
    }
}
