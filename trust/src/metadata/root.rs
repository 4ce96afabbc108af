//! The root: which keys sign for which role.

use super::fields::{Fields, Reason, each};
use super::{Common, Signed, read_keys};
use crate::assignment::AssignmentKeys;
use crate::json::{Members, Value};
use crate::keys::Key;
use crate::limits::MAX_ASSIGNMENT_KEYS;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use farrier_protocol::{UnixTime, poll::Tenant};

/// The roles that every root names, and the one that it may.
const REQUIRED_ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
const OPTIONAL_ROLE: &str = "mirrors";

/// The root's own member for what TUF does not have.
const SITE: &str = "x-farrier";

/// The root's metadata (section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its version; every next one is one higher.
    pub version: u64,
    /// From then on nobody takes it any more.
    pub expires: UnixTime,
    /// Whether files of metadata have their version, and targets their digest, in front of their names.
    pub consistent_snapshot: bool,
    /// The keys by their ids.
    pub keys: BTreeMap<String, Key>,
    /// Who signs for `root`, `timestamp`, `snapshot` and `targets`.
    pub roles: BTreeMap<String, RoleKeys>,
    /// Whose the repository is and who signs assignments, if it is one of Farrier's.
    pub site: Option<SiteKeys>,
    /// All other members.
    pub other: Members,
}

/// What a root of Farrier says beyond TUF, in its member `x-farrier`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteKeys {
    /// Whose the repository is. It never changes.
    pub tenant: Tenant,
    /// Who signs assignments, with keys of the root.
    pub assignment: RoleKeys,
}

/// Which keys sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    /// The ids of the keys.
    pub keyids: Vec<String>,
    /// How many different ones must sign.
    pub threshold: u64,
    /// All other members.
    pub other: Members,
}

impl Root {
    /// Who signs for one of the top roles.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&RoleKeys> {
        self.roles.get(name)
    }

    /// Who signs assignments, if the root says so.
    ///
    /// # Errors
    /// In words, when it names keys that cannot sign any, too many, or fewer different ones than must sign.
    pub fn assignment_keys(&self) -> Result<Option<AssignmentKeys>, String> {
        let Some(SiteKeys { assignment, .. }) = &self.site else { return Ok(None) };
        let mut keys = heapless::Vec::new();
        for keyid in &assignment.keyids {
            let key = self.keys.get(keyid).and_then(Key::to_ed25519);
            let key = key.ok_or_else(|| format!("the assignment key {keyid} is no Ed25519 key of the root"))?;
            if !keys.contains(&key) {
                keys.push(key).map_err(|_| format!("there are more than {MAX_ASSIGNMENT_KEYS} assignment keys"))?;
            }
        }
        match u8::try_from(assignment.threshold) {
            Ok(threshold) if usize::from(threshold) <= keys.len() => Ok(Some(AssignmentKeys { keys, threshold })),
            _ => Err(format!("{} assignment keys must sign, but there are {}", assignment.threshold, keys.len())),
        }
    }
}

impl RoleKeys {
    /// The role with these keys.
    #[must_use]
    pub fn new(keyids: Vec<String>, threshold: u64) -> Self {
        Self { keyids, threshold, other: Members::new() }
    }

    pub(super) fn read_some(fields: &mut Fields) -> Result<(Vec<String>, u64), Reason> {
        let keyids = fields.texts("keyids")?;
        let mut sorted: Vec<&String> = keyids.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("the key id {} occurs twice", twice[0]));
        }
        Ok((keyids, fields.positive("threshold")?))
    }

    fn read(name: &str, value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of(name, value)?;
        let (keyids, threshold) = Self::read_some(&mut fields)?;
        Ok(Self { keyids, threshold, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    pub(super) fn to_members(&self) -> Members {
        let mut members = self.other.clone();
        members.insert("keyids".into(), super::texts(&self.keyids));
        members.insert("threshold".into(), self.threshold.into());
        members
    }
}

impl SiteKeys {
    fn read(value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of(SITE, value)?;
        let tenant = fields.text("tenant")?;
        let tenant = tenant.parse().map_err(|error| format!("the tenant {tenant:?}: {error}"))?;
        Ok(Self { tenant, assignment: RoleKeys::read("assignment", fields.required("assignment")?)? })
    }

    #[cfg(feature = "sign")]
    fn to_value(&self) -> Value {
        let tenant = Value::String(alloc::string::ToString::to_string(&self.tenant));
        let assignment = Value::Object(self.assignment.to_members());
        Value::Object([("tenant".into(), tenant), ("assignment".into(), assignment)].into())
    }
}

impl Signed for Root {
    const TYPE: &'static str = "root";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> UnixTime {
        self.expires
    }

    fn read_fields(Common { version, expires }: Common, fields: &mut Fields) -> Result<Self, String> {
        let roles = each(fields.object("roles")?, RoleKeys::read)?;
        if let Some(missing) = REQUIRED_ROLES.into_iter().find(|role| !roles.contains_key(*role)) {
            return Err(format!("the role {missing} is missing"));
        }
        if let Some(role) = roles.keys().find(|role| !REQUIRED_ROLES.contains(&role.as_str()) && *role != OPTIONAL_ROLE)
        {
            return Err(format!("there is no role {role:?}"));
        }
        Ok(Self {
            version,
            expires,
            consistent_snapshot: fields.optional_bool("consistent_snapshot")?.unwrap_or(false),
            keys: read_keys(fields)?,
            roles,
            site: fields.optional(SITE).map(SiteKeys::read).transpose()?,
            other: fields.rest(),
        })
    }

    #[cfg(feature = "sign")]
    fn write_fields(&self, members: &mut Members) {
        members.clone_from(&self.other);
        members.insert("consistent_snapshot".into(), Value::Bool(self.consistent_snapshot));
        members.insert("keys".into(), super::object(&self.keys, Key::to_value));
        members.insert("roles".into(), super::object(&self.roles, |role| Value::Object(role.to_members())));
        if let Some(site) = &self.site {
            members.insert(SITE.into(), site.to_value());
        }
    }
}
