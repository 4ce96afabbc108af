//! Delegations: which paths another role may say something about.

use super::fields::{Fields, Reason, each};
use super::root::RoleKeys;
use crate::json::{Members, Value};
use crate::keys::Key;
use crate::pattern;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Names that no delegated role may have: they are those of the top roles.
const TOP_ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// The delegations of a targets role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegations {
    /// The keys by their ids.
    pub keys: BTreeMap<String, Key>,
    /// To whom, in the order in which they are asked.
    pub roles: Vec<Delegation>,
    /// All other members.
    pub other: Members,
}

/// One delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The role that is delegated to.
    pub name: String,
    /// Its keys, and all members that this version does not know.
    pub keys: RoleKeys,
    /// What it may say something about.
    pub paths: Paths,
    /// Whether nobody after it is asked for what it may say something about.
    pub terminating: bool,
}

/// Which targets a delegation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    /// Those whose path fits one of these patterns. `*`, `?` and `[...]` are as in a shell and never fit a `/`.
    Patterns(Vec<String>),
    /// Those whose path has a SHA-256 that begins with one of these hexadecimal digits.
    HashPrefixes(Vec<String>),
}

impl Paths {
    /// Whether a target is among them.
    #[must_use]
    pub fn contain(&self, path: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern::fits(pattern, path)),
            Self::HashPrefixes(prefixes) => {
                let digest = format!("{}", farrier_protocol::Digest::of(path.as_bytes()));
                prefixes.iter().any(|prefix| digest.starts_with(prefix.as_str()))
            }
        }
    }

    fn read(fields: &mut Fields) -> Result<Self, Reason> {
        match (fields.optional_texts("paths")?, fields.optional_texts("path_hash_prefixes")?) {
            (Some(patterns), None) => Ok(Self::Patterns(patterns)),
            (None, Some(prefixes)) => Ok(Self::HashPrefixes(prefixes)),
            _ => Err("it needs either \"paths\" or \"path_hash_prefixes\"".into()),
        }
    }
}

impl Delegations {
    /// The delegation to the role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Delegation> {
        self.roles.iter().find(|role| role.name == name)
    }

    pub(super) fn read(value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of("delegations", value)?;
        let keys = read_keys(&mut fields)?;
        let roles: Vec<_> = fields.array("roles")?.into_iter().map(Delegation::read).collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = roles.iter().find(|role| !names.insert(role.name.as_str())) {
            return Err(format!("it delegates to {:?} twice", twice.name));
        }
        Ok(Self { keys, roles, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    pub(super) fn to_value(&self) -> Value {
        let mut members = self.other.clone();
        members.insert("keys".into(), super::object(&self.keys, Key::to_value));
        members.insert("roles".into(), Value::Array(self.roles.iter().map(Delegation::to_value).collect()));
        Value::Object(members)
    }
}

impl Delegation {
    fn read(value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of("roles", value)?;
        let name = fields.text("name")?;
        if name.is_empty() || TOP_ROLES.contains(&name.as_str()) {
            return Err(format!("no delegated role can have the name {name:?}"));
        }
        let in_role = |reason: Reason| format!("in the delegation to {name:?}: {reason}");
        let (keyids, threshold) = RoleKeys::read_some(&mut fields).map_err(in_role)?;
        let terminating = fields.bool("terminating").map_err(in_role)?;
        let paths = Paths::read(&mut fields).map_err(in_role)?;
        Ok(Self { name, keys: RoleKeys { keyids, threshold, other: fields.rest() }, paths, terminating })
    }

    #[cfg(feature = "sign")]
    fn to_value(&self) -> Value {
        let mut members = self.keys.to_members();
        members.insert("name".into(), self.name.as_str().into());
        members.insert("terminating".into(), Value::Bool(self.terminating));
        match &self.paths {
            Paths::Patterns(patterns) => members.insert("paths".into(), super::texts(patterns)),
            Paths::HashPrefixes(prefixes) => members.insert("path_hash_prefixes".into(), super::texts(prefixes)),
        };
        Value::Object(members)
    }
}

/// Reads the member `keys`.
pub(crate) fn read_keys(fields: &mut Fields) -> Result<BTreeMap<String, Key>, Reason> {
    each(fields.object("keys")?, |_, value| Key::read(value))
}
