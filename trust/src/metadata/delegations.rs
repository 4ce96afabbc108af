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
    /// To whom instead, where there are many alike.
    pub succinct: Option<SuccinctRoles>,
    /// All other members.
    pub other: Members,
}

/// Delegations of everything, shared out evenly to roles that are named by a number (TAP 15). Nobody else is asked after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccinctRoles {
    /// How many bits of a path's SHA-256 say whose it is: 1 to 32.
    pub bit_length: u32,
    /// What their names begin with, before a dash and the number in hexadecimal digits.
    pub name_prefix: String,
    /// The keys of all of them, and all members that this version does not know.
    pub keys: RoleKeys,
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

impl SuccinctRoles {
    /// Who is asked for this path.
    #[must_use]
    pub fn role_of(&self, path: &str) -> String {
        let [a, b, c, d, ..] = farrier_protocol::Digest::of(path.as_bytes()).0;
        self.name(u32::from_be_bytes([a, b, c, d]) >> (32 - self.bit_length))
    }

    /// Whether one of them has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let digits = name.strip_prefix(self.name_prefix.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        number.is_some_and(|number| u64::from(number) >> self.bit_length == 0 && self.name(number) == name)
    }

    fn name(&self, number: u32) -> String {
        let digits = self.bit_length.div_ceil(4) as usize;
        format!("{}-{number:0digits$x}", self.name_prefix)
    }

    fn read(value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of("succinct_roles", value)?;
        let (keyids, threshold) = RoleKeys::read_some(&mut fields)?;
        let name_prefix = fields.text("name_prefix")?;
        let bits = fields.count("bit_length")?;
        let bit_length = u32::try_from(bits).ok().filter(|bits| (1..=32).contains(bits));
        let bit_length = bit_length.ok_or_else(|| format!("\"bit_length\" is {bits}, and not 1 to 32"))?;
        Ok(Self { bit_length, name_prefix, keys: RoleKeys { keyids, threshold, other: fields.rest() } })
    }

    #[cfg(feature = "sign")]
    fn to_value(&self) -> Value {
        let mut members = self.keys.to_members();
        members.insert("bit_length".into(), u64::from(self.bit_length).into());
        members.insert("name_prefix".into(), self.name_prefix.as_str().into());
        Value::Object(members)
    }
}

impl Delegations {
    /// The delegation to the role of this name, if it is one of its own.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Delegation> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Who signs for the role of this name, if it is delegated to.
    #[must_use]
    pub fn keys_of(&self, name: &str) -> Option<&RoleKeys> {
        let succinct = || self.succinct.as_ref().filter(|roles| roles.has(name)).map(|roles| &roles.keys);
        self.role(name).map(|role| &role.keys).or_else(succinct)
    }

    /// Who is asked for a path, in this order, and whether nobody is asked after them.
    pub fn asked_for(&self, path: &str) -> (Vec<String>, bool) {
        let mut names = Vec::new();
        for role in self.roles.iter().filter(|role| role.paths.contain(path)) {
            names.push(role.name.clone());
            if role.terminating {
                return (names, true);
            }
        }
        names.extend(self.succinct.as_ref().map(|roles| roles.role_of(path)));
        (names, self.succinct.is_some())
    }

    pub(super) fn read(value: Value) -> Result<Self, Reason> {
        let mut fields = Fields::of("delegations", value)?;
        let keys = read_keys(&mut fields)?;
        let succinct = fields.optional("succinct_roles").map(SuccinctRoles::read).transpose()?;
        let roles = if succinct.is_some() { Vec::new() } else { fields.array("roles")? };
        let roles: Vec<_> = roles.into_iter().map(Delegation::read).collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = roles.iter().find(|role| !names.insert(role.name.as_str())) {
            return Err(format!("it delegates to {:?} twice", twice.name));
        }
        if succinct.is_some() && fields.optional("roles").is_some() {
            return Err("it needs either \"roles\" or \"succinct_roles\"".into());
        }
        Ok(Self { keys, roles, succinct, other: fields.rest() })
    }

    #[cfg(feature = "sign")]
    pub(super) fn to_value(&self) -> Value {
        let mut members = self.other.clone();
        members.insert("keys".into(), super::object(&self.keys, Key::to_value));
        match &self.succinct {
            Some(succinct) => members.insert("succinct_roles".into(), succinct.to_value()),
            None => members.insert("roles".into(), Value::Array(self.roles.iter().map(Delegation::to_value).collect())),
        };
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
