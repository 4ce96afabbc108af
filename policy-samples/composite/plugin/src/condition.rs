//! The conditions of a rule, and whether the simple ones hold.

use crate::Scan;
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{Error, Facts, key_value, serde::Deserialize, version::debian};

/// Something that holds or does not.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", rename_all = "snake_case")]
pub enum Condition {
    /// All of these hold.
    AllOf(Vec<Self>),
    /// One of these holds, at least.
    AnyOf(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// A package is installed.
    Package(PackageCondition),
    /// Something is at a path.
    File(FileCondition),
    /// A file sets something.
    Setting(SettingCondition),
}

/// A package is installed, in this version or a newer one.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct PackageCondition {
    name: String,
    at_least: Option<String>,
}

/// Something is at a path: a file of this SHA-256, if there is one.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct FileCondition {
    path: String,
    sha256: Option<String>,
}

/// The last line of a file with this key has this value.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct SettingCondition {
    file: String,
    key: String,
    is: String,
}

/// A simple condition, looked at.
pub(crate) struct Fact {
    /// What it is about.
    pub subject: String,
    /// Whether the condition holds.
    pub holds: bool,
    /// What was found.
    pub detail: String,
}

impl Scan {
    /// Looks at a condition that is about one thing.
    pub(crate) fn fact(&self, condition: &Condition) -> Result<Fact, Error> {
        match condition {
            Condition::Package(condition) => Ok(self.package(condition)),
            Condition::File(condition) => self.file(condition),
            Condition::Setting(condition) => self.setting(condition),
            Condition::AllOf(_) | Condition::AnyOf(_) | Condition::Not(_) => {
                Err(Error::Other("a condition that is about several things".to_owned()))
            }
        }
    }

    fn package(&self, PackageCondition { name, at_least }: &PackageCondition) -> Fact {
        let installed = self.packages.version(name);
        let (holds, detail) = match (installed, at_least) {
            (None, _) => (false, "is not installed".to_owned()),
            (Some(version), Some(least)) if debian::compare(version, least).is_lt() => {
                (false, format!("{version} is older than {least}"))
            }
            (Some(version), _) => (true, format!("{version} is installed")),
        };
        Fact { subject: name.clone(), holds, detail }
    }

    fn file(&self, FileCondition { path, sha256 }: &FileCondition) -> Result<Fact, Error> {
        let there = self.facts.exists(path)?;
        let (holds, detail) = match sha256 {
            Some(wanted) if there => {
                let found = self.facts.digest(path)?;
                (found == *wanted, format!("has the SHA-256 {found}"))
            }
            _ => (there, if there { "is there" } else { "is not there" }.to_owned()),
        };
        Ok(Fact { subject: path.clone(), holds, detail })
    }

    fn setting(&self, SettingCondition { file, key, is }: &SettingCondition) -> Result<Fact, Error> {
        let text = match self.facts.read_text(file) {
            Err(Error::NotFound(_)) => String::new(),
            text => text?,
        };
        let found = key_value::last(&text, key);
        let detail = match found {
            Some(value) => format!("is `{value}` in {file}"),
            None => format!("is not set in {file}"),
        };
        Ok(Fact { subject: key.to_string(), holds: found == Some(is), detail })
    }
}
