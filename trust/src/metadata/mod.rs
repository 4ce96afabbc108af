//! What the files of a repository say (TUF 1.0.34, section 4).
//!
//! Each kind of metadata is a struct with the members that count. Members that this version does not know are kept in
//! `other`, so that metadata which is read, changed and signed again loses nothing.

mod delegations;
mod envelope;
mod fields;
mod online;
mod root;
mod targets;

pub use delegations::{Delegation, Delegations, Paths, SuccinctRoles};
pub use envelope::Draft;
pub use online::{MetaFile, Snapshot, Timestamp};
pub use root::{RoleKeys, Root, SiteKeys};
pub use targets::{TargetFile, Targets};

pub(crate) use delegations::read_keys;
pub(crate) use envelope::count_signatures;

use crate::json::Members;
#[cfg(feature = "sign")]
use crate::json::Value;
use crate::{TrustError, time};
use alloc::collections::BTreeMap;
use alloc::string::String;
use farrier_protocol::UnixTime;
use fields::{Fields, Reason};

/// The version of the specification that this crate follows, as metadata name it.
pub const SPEC_VERSION: &str = "1.0.34";

/// Digests of a file, lower-case hexadecimal, by the kind of digest: `sha256`.
pub type Hashes = BTreeMap<String, String>;

/// One kind of signed metadata.
pub trait Signed: Sized {
    /// What its `_type` says.
    const TYPE: &'static str;

    /// Its version, from 1 on.
    fn version(&self) -> u64;

    /// From then on nobody takes it any more.
    fn expires(&self) -> UnixTime;

    /// Reads the members behind the common ones.
    #[doc(hidden)]
    fn read_fields(common: Common, fields: &mut Fields) -> Result<Self, String>;

    /// Its members, without the common ones.
    #[cfg(feature = "sign")]
    #[doc(hidden)]
    fn write_fields(&self, members: &mut Members);
}

/// What all metadata say.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Common {
    version: u64,
    expires: UnixTime,
}

/// Reads the signed part of metadata.
pub(crate) fn read<S: Signed>(role: &str, signed: Members) -> Result<S, TrustError> {
    let mut fields = Fields::new(signed);
    read_common(S::TYPE, &mut fields)
        .and_then(|common| S::read_fields(common, &mut fields))
        .map_err(|reason| TrustError::malformed(role, reason))
}

fn read_common(expected: &str, fields: &mut Fields) -> Result<Common, Reason> {
    let kind = fields.text("_type")?;
    if kind != expected {
        return Err(alloc::format!("it is of the type {kind:?}, not {expected:?}"));
    }
    let spec_version = fields.text("spec_version")?;
    if !is_supported(&spec_version) {
        return Err(alloc::format!("it follows version {spec_version:?} of the specification, not 1"));
    }
    let expires = fields.text("expires")?;
    let expires = time::parse(&expires)
        .ok_or_else(|| alloc::format!("it expires at {expires:?}, which is no time like 2030-01-31T23:59:59Z"))?;
    Ok(Common { version: fields.positive("version")?, expires })
}

/// Whether metadata of this version can be understood: `1.x.y`, or `1.x` as it was written once.
fn is_supported(spec_version: &str) -> bool {
    let mut parts = spec_version.split('.');
    parts.next() == Some("1")
        && matches!(parts.clone().count(), 1 | 2)
        && parts.all(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The signed part of metadata, as it is signed.
#[cfg(feature = "sign")]
pub(crate) fn write<S: Signed>(content: &S) -> Members {
    let mut members = Members::new();
    content.write_fields(&mut members);
    members.insert("_type".into(), S::TYPE.into());
    members.insert("spec_version".into(), SPEC_VERSION.into());
    members.insert("version".into(), content.version().into());
    members.insert("expires".into(), Value::String(time::format(content.expires())));
    members
}

#[cfg(feature = "sign")]
fn texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| text.as_str().into()).collect())
}

#[cfg(feature = "sign")]
fn object<T>(entries: &BTreeMap<String, T>, write: impl Fn(&T) -> Value) -> Value {
    Value::Object(entries.iter().map(|(name, entry)| (name.clone(), write(entry))).collect())
}
