//! Targets: what there is, and who else may say what there is.

use super::fields::{Fields, Reason, each};
use super::{Common, Delegations, Hashes, Signed};
use crate::json::{Members, Value};
use alloc::collections::BTreeMap;
use alloc::string::String;
use farrier_protocol::{Digest, UnixTime};

/// The metadata of a targets role, the top one or a delegated one (section 4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Its version.
    pub version: u64,
    /// From then on nobody takes it any more.
    pub expires: UnixTime,
    /// The targets by their paths.
    pub targets: BTreeMap<String, TargetFile>,
    /// Who else may name targets.
    pub delegations: Option<Delegations>,
    /// All other members.
    pub other: Members,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFile {
    /// Its bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// All other members, `custom` among them.
    pub other: Members,
}

impl TargetFile {
    /// A target with this length and SHA-256.
    #[must_use]
    pub fn new(length: u64, sha256: &Digest) -> Self {
        let hashes = [("sha256".into(), alloc::string::ToString::to_string(sha256))].into();
        Self { length, hashes, other: Members::new() }
    }

    fn read(path: &str, value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of(path, value)?;
        Ok(Self { length: fields.count("length")?, hashes: fields.hashes("hashes")?, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    fn to_value(&self) -> Value {
        let mut members = self.other.clone();
        members.insert("length".into(), self.length.into());
        members.insert("hashes".into(), super::object(&self.hashes, |hash| hash.as_str().into()));
        Value::Object(members)
    }
}

impl Signed for Targets {
    const TYPE: &'static str = "targets";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> UnixTime {
        self.expires
    }

    fn read_fields(Common { version, expires }: Common, fields: &mut Fields) -> Result<Self, String> {
        let targets = each(fields.object("targets")?, TargetFile::read)?;
        let delegations = fields.optional("delegations").map(Delegations::read).transpose()?;
        Ok(Self { version, expires, targets, delegations, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    fn write_fields(&self, members: &mut Members) {
        members.clone_from(&self.other);
        members.insert("targets".into(), super::object(&self.targets, TargetFile::to_value));
        if let Some(delegations) = &self.delegations {
            members.insert("delegations".into(), delegations.to_value());
        }
    }
}
