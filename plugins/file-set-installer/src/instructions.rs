//! What a policy says of how to install a set of files; `instructions.schema.json` says the same to editors.

use crate::place::{self, Place};
use alloc::{borrow::Cow, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, serde::Deserialize};

/// What a file may be done with if nothing is said: written by root, read by everybody.
const DEFAULT_MODE: u32 = 0o644;

/// A set of files. A key that is not known is an error: it may be `keep_previous`, misspelt.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct FileSet<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The version these files are.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// A file that gets the version as its only line, after everything else.
    #[serde(borrow, default)]
    pub version_file: Option<Cow<'a, str>>,
    /// The files.
    #[serde(borrow)]
    pub files: Vec<InstalledFile<'a>>,
    /// Whether what is replaced is kept until a scan has found the set installed.
    #[serde(default = "yes")]
    pub keep_previous: bool,
    /// A service that has to be restarted afterwards.
    #[serde(borrow, default)]
    pub restart_service: Option<Cow<'a, str>>,
}

/// A file to install.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct InstalledFile<'a> {
    /// Its absolute path.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// The label of its content.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// Its permission bits in octal.
    #[serde(borrow, default)]
    pub mode: Option<Cow<'a, str>>,
}

fn yes() -> bool {
    true
}

impl FileSet<'_> {
    /// Whether all of it can be done.
    ///
    /// # Errors
    /// The first thing that cannot, with what to write instead.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |problem: String| Err(Error::Invalid(format!("the instructions of {}: {problem}", self.name)));
        if self.files.is_empty() {
            return invalid("`files` is empty: name at least one".into());
        }
        if self.version.is_empty() || self.version.trim() != self.version || self.version.contains(char::is_control) {
            return invalid(format!("`version` has to be one line without blanks around it: {:?}", self.version));
        }
        let is_service = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '@' | '-');
        if let Some(service) = &self.restart_service
            && (service.is_empty() || service.starts_with('-') || !service.chars().all(is_service))
        {
            return invalid(format!("`restart_service` is no name of a service: {service:?}"));
        }
        let mut paths: Vec<&str> = self.files.iter().map(|file| &*file.path).collect();
        paths.extend(self.version_file.as_deref());
        for path in &paths {
            if let Err(problem) = place::check_path(path) {
                return invalid(format!("the path {path:?} {problem}"));
            }
        }
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => invalid(format!("{} is there twice", pair[0])),
            None => Ok(()),
        }
    }
}

impl InstalledFile<'_> {
    /// The permission bits.
    pub(crate) fn mode(&self) -> Result<u32, Error> {
        let Some(text) = &self.mode else { return Ok(DEFAULT_MODE) };
        let digits = if text.len() == 4 { text.strip_prefix('0') } else { Some(&**text) };
        let digits = digits.filter(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()).ok_or_else(|| {
            Error::Invalid(format!("`mode` of {} is no permission bits in octal: {text}; write \"0644\"", self.path))
        })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        Place::of(&self.path)
    }
}
