//! Timestamp and snapshot: which versions make up the repository now.

use super::fields::{Fields, Reason, each};
use super::{Common, Hashes, Signed};
use crate::json::{Members, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use farrier_protocol::UnixTime;

const SNAPSHOT_FILE: &str = "snapshot.json";

/// The timestamp's metadata (section 4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Its version.
    pub version: u64,
    /// From then on nobody takes it any more.
    pub expires: UnixTime,
    /// The current snapshot.
    pub snapshot: MetaFile,
    /// All other members.
    pub other: Members,
}

/// The snapshot's metadata (section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its version.
    pub version: u64,
    /// From then on nobody takes it any more.
    pub expires: UnixTime,
    /// The current metadata of the targets roles, by file name without a version: `targets.json`, `plugins.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// All other members.
    pub other: Members,
}

/// One file of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version.
    pub version: u64,
    /// Its bytes, where they are said.
    pub length: Option<u64>,
    /// Its digests, where they are said.
    pub hashes: Option<Hashes>,
    /// All other members.
    pub other: Members,
}

impl MetaFile {
    /// Names a file by its version, length and SHA-256.
    #[must_use]
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        let hashes = crate::target::sha256(bytes);
        Self { version, length: Some(bytes.len() as u64), hashes: Some(hashes), other: Members::new() }
    }

    fn read(name: &str, value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of(name, value)?;
        Ok(Self {
            version: fields.positive("version")?,
            length: fields.optional_count("length")?,
            hashes: fields.optional_hashes("hashes")?,
            other: fields.rest(),
        })
    }

    #[cfg(feature = "sign")]
    fn to_value(&self) -> Value {
        let mut members = self.other.clone();
        members.insert("version".into(), self.version.into());
        if let Some(length) = self.length {
            members.insert("length".into(), length.into());
        }
        if let Some(hashes) = &self.hashes {
            members.insert("hashes".into(), super::object(hashes, |hash| hash.as_str().into()));
        }
        Value::Object(members)
    }
}

impl Signed for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> UnixTime {
        self.expires
    }

    fn read_fields(Common { version, expires }: Common, fields: &mut Fields) -> Result<Self, String> {
        let mut meta = Fields::new(fields.object("meta")?);
        let snapshot = MetaFile::read(SNAPSHOT_FILE, meta.required(SNAPSHOT_FILE)?)?;
        if let Some(file) = meta.rest().keys().next() {
            return Err(format!("it names {file:?}, but a timestamp names nothing but the snapshot"));
        }
        Ok(Self { version, expires, snapshot, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    fn write_fields(&self, members: &mut Members) {
        members.clone_from(&self.other);
        let meta = Value::Object([(SNAPSHOT_FILE.into(), self.snapshot.to_value())].into());
        members.insert("meta".into(), meta);
    }
}

impl Signed for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> UnixTime {
        self.expires
    }

    fn read_fields(Common { version, expires }: Common, fields: &mut Fields) -> Result<Self, String> {
        let meta = each(fields.object("meta")?, MetaFile::read)?;
        Ok(Self { version, expires, meta, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    fn write_fields(&self, members: &mut Members) {
        members.clone_from(&self.other);
        members.insert("meta".into(), super::object(&self.meta, MetaFile::to_value));
    }
}
