//! What a policy says of settings.

use crate::expected::{Expected, Word};
use alloc::{borrow::Cow, format, vec::Vec};
use core::fmt;
use farrier_plugin_sdk::{Error, serde::Deserialize};

/// Settings of one rule, at most: an explanation has a finding or two for each.
const MAX_SETTINGS: usize = 128;

/// A baseline: settings, and what is expected of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Rule<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Where nothing is at this path, the baseline is not required.
    #[serde(borrow, default)]
    pub applies_if: Option<Cow<'a, str>>,
    /// The settings, one at least.
    #[serde(borrow)]
    pub settings: Vec<Setting<'a>>,
}

/// A setting, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Setting<'a> {
    /// The file that sets it; the kernel's settings have none.
    #[serde(borrow, default)]
    pub file: Option<Cow<'a, str>>,
    /// How the file is read.
    pub format: Format,
    /// The section of the file; without it, the lines before the first one.
    #[serde(borrow, default)]
    pub section: Option<Cow<'a, str>>,
    /// The setting's name.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// What is expected.
    #[serde(borrow)]
    pub expected: Expected<'a>,
    /// What holds where nothing sets it.
    #[serde(borrow, default)]
    pub default: Option<Word<'a>>,
    /// Folders whose files come after the file, the most important one first.
    #[serde(borrow, default)]
    pub drop_ins: Option<Vec<Cow<'a, str>>>,
}

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", rename_all = "kebab-case")]
pub enum Format {
    /// As sshd does.
    Sshd,
    /// Sections with keys, as systemd does.
    Ini,
    /// A key and a value in each line.
    KeyValue,
    /// The kernel's settings, as systemd-sysctl does.
    Sysctl,
}

/// The setting's name, with its section: `[Journal] Storage`.
impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.section {
            Some(section) => write!(f, "[{section}] {}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl Rule<'_> {
    /// Whether the rule says something. One without a setting would be installed everywhere, for ever.
    ///
    /// # Errors
    /// [`Error::Invalid`], and what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        match self.settings.len() {
            0 => return Err(Error::Invalid("the rule has no setting".into())),
            1..=MAX_SETTINGS => {}
            more => return Err(Error::TooLarge(format!("the rule has {more} settings, more than {MAX_SETTINGS}"))),
        }
        let problem = |setting: &Setting<'_>| Some(format!("the setting `{setting}` {}", setting.problem()?));
        self.settings.iter().find_map(problem).map_or(Ok(()), |problem| Err(Error::Invalid(problem)))
    }
}

impl Setting<'_> {
    /// The file of a format that has one.
    pub fn file(&self) -> &str {
        self.file.as_deref().unwrap_or_default()
    }

    /// What is wrong with the setting.
    fn problem(&self) -> Option<&'static str> {
        let is_sysctl = self.format == Format::Sysctl;
        let has_drop_ins = matches!(self.format, Format::Ini | Format::KeyValue);
        match self {
            Self { key, .. } if key.trim().is_empty() || **key != *key.trim() => Some("has no key"),
            Self { file: Some(_), .. } if is_sysctl => Some("is the kernel's and has no `file`: leave it out"),
            Self { file: None, .. } if !is_sysctl => Some("has no `file`"),
            Self { section: Some(_), format, .. } if *format != Format::Ini => {
                Some("has a section, and only `ini` has")
            }
            Self { drop_ins: Some(_), .. } if !has_drop_ins => {
                Some("has drop-ins, and only `ini` and `key-value` have")
            }
            Self { expected: Expected::Condition(condition), .. } => condition.problem(),
            _ => None,
        }
    }
}
