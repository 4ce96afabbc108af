//! Which version the running system is.

use alloc::{borrow::ToOwned, format, string::String};
use core::cmp::Ordering;
use farrier_plugin_sdk::{
    ComplianceState::{self, Installed, Required},
    Error, Facts, version,
};

/// What the running system says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// There is no version file.
    Nothing,
    /// This.
    Version(Version),
}

/// A version that a running system says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Running {
    /// Reads it from this file: all of it, or the value of this key.
    ///
    /// # Errors
    /// If it says none in one line, or what the host says.
    pub fn read(facts: &dyn Facts, path: &str, key: Option<&str>) -> Result<Self, Error> {
        let text = match facts.read_text(path) {
            Ok(text) => text,
            Err(Error::NotFound(_)) => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        let version = match key {
            None => text.trim(),
            Some(key) => value(&text, key)
                .ok_or_else(|| Error::Invalid(format!("{path} has no line `{key}=...` or `{key} ...`")))?,
        };
        if version.is_empty() || version.contains(char::is_control) {
            return Err(Error::Invalid(format!("{path} does not say a version in one line")));
        }
        Ok(Self::Version(Version(version.to_owned())))
    }
}

impl Version {
    /// As it is written there.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The state of an update to this version, and why.
    #[must_use]
    pub fn compared_to(&self, offered: &str) -> (ComplianceState, String) {
        let running = &self.0;
        if running == offered {
            (Installed, format!("{running} is running"))
        } else if is_newer(running, offered) {
            (Installed, format!("{running} is running, which is newer than {offered}"))
        } else {
            (Required, format!("{running} is running, {offered} is offered"))
        }
    }
}

/// The value of a line `key=value` or `key value`, without quotes. The last such line counts, as in a shell.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let of_line = |line: &'a str| {
        let rest = line.trim().strip_prefix(key)?;
        let value = rest.strip_prefix('=').or_else(|| rest.starts_with([' ', '\t']).then_some(rest))?.trim();
        let inner = |quote| value.strip_prefix(quote).and_then(|value: &str| value.strip_suffix(quote));
        Some(inner('"').or_else(|| inner('\'')).unwrap_or(value))
    };
    text.lines().rev().find_map(of_line)
}

/// Whether it is known to be newer: of names that begin with no digit nobody knows which comes first.
fn is_newer(running: &str, offered: &str) -> bool {
    let is_number = |version: &str| {
        version.starts_with(|first: char| first.is_ascii_digit()) && version.bytes().all(|byte| byte.is_ascii_graphic())
    };
    is_number(running) && is_number(offered) && version::debian::compare(running, offered) == Ordering::Greater
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_key_is_found_however_it_is_written() {
        for (text, expected) in [
            ("IMAGE_VERSION=1.2\n", Some("1.2")),
            ("IMAGE_VERSION=\"1.2\"\n", Some("1.2")),
            ("IMAGE_VERSION='1.2'", Some("1.2")),
            ("IMAGE_VERSION 1.2", Some("1.2")),
            ("a=b\n  IMAGE_VERSION\t1.2 \nc=d", Some("1.2")),
            ("IMAGE_VERSION=1.1\nIMAGE_VERSION=1.2", Some("1.2")),
            ("IMAGE_VERSION_OLD=1.2", None),
            ("#IMAGE_VERSION=1.2", None),
            ("OLD_IMAGE_VERSION=1.2", None),
            ("IMAGE_VERSION=", Some("")),
            ("IMAGE_VERSION", None),
            ("", None),
        ] {
            assert_eq!(value(text, "IMAGE_VERSION"), expected, "{text:?}");
        }
    }
}
