//! What a policy says of a set of files; `rule.schema.json` says the same to editors.

use alloc::{borrow::Cow, format, vec::Vec};
use farrier_plugin_sdk::{Error, serde::Deserialize};

/// Digits of a SHA-256 in hexadecimal.
const DIGEST_DIGITS: usize = 64;

/// A set of files. A key that is not known is an error: it may be a condition that was misspelt.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct FileSet<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The version these files are.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// A file whose only line is the version that is there.
    #[serde(borrow, default)]
    pub version_file: Option<Cow<'a, str>>,
    /// What has to be there for it to concern the client: a file or a folder.
    #[serde(borrow, default)]
    pub applies_if: Option<Cow<'a, str>>,
    /// The files.
    #[serde(borrow)]
    pub files: Vec<WantedFile<'a>>,
}

/// A file, and what it has to be.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct WantedFile<'a> {
    /// Its absolute path.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// SHA-256 of its content, in hexadecimal.
    #[serde(borrow)]
    pub sha256: Cow<'a, str>,
    /// Its permission bits in octal; any, if left out.
    #[serde(borrow, default)]
    pub mode: Option<Cow<'a, str>>,
}

impl FileSet<'_> {
    /// Whether it says something that can be true.
    ///
    /// # Errors
    /// What cannot: without files everything would be installed, and a digest that is none is never met.
    pub fn check(&self) -> Result<(), Error> {
        if self.files.is_empty() {
            return Err(Error::Invalid(format!("the rule of {} has no `files`: name at least one", self.name)));
        }
        if self.version.trim().is_empty() {
            return Err(Error::Invalid(format!("the rule of {} has an empty `version`", self.name)));
        }
        self.files.iter().try_for_each(|file| file.check())
    }
}

impl WantedFile<'_> {
    fn check(&self) -> Result<(), Error> {
        let is_digest = self.sha256.len() == DIGEST_DIGITS && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(Error::Invalid(format!(
                "`sha256` of {} is not {DIGEST_DIGITS} hexadecimal digits: {}",
                self.path, self.sha256
            )));
        }
        self.mode().map(|_| ())
    }

    /// The permission bits it has to have; `None` if any will do.
    ///
    /// # Errors
    /// If that is no octal number of three digits.
    pub fn mode(&self) -> Result<Option<u32>, Error> {
        let Some(text) = &self.mode else { return Ok(None) };
        let digits = if text.len() == 4 { text.strip_prefix('0') } else { Some(&**text) };
        let digits = digits.filter(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
        mode.map(Some).ok_or_else(|| {
            Error::Invalid(format!("`mode` of {} is no permission bits in octal: {text}; write \"0644\"", self.path))
        })
    }
}
