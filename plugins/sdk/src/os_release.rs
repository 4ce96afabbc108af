//! os-release(5): which operating system this is.

use crate::{Error, Facts};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// Where it may be, in the order of preference. Name both in the manifest.
const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The assignments of an os-release file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    path: &'static str,
    values: Vec<(String, String)>,
}

impl OsRelease {
    /// Reads `/etc/os-release`, or `/usr/lib/os-release` where there is none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if neither is there, or what the host says.
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        for path in PATHS {
            match facts.read_text(path) {
                Ok(text) => return Ok(Self { path, values: text.lines().filter_map(assignment).collect() }),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NotFound(format!("neither {} nor {} exists", PATHS[0], PATHS[1])))
    }

    /// The value of a variable; `None` if it is not there or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().rfind(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of the first of these variables that has one.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the file and the variables, if none has one.
    pub fn require(&self, names: &[&str]) -> Result<&str, Error> {
        let value = names.iter().find_map(|name| self.get(name));
        value.ok_or_else(|| Error::Invalid(format!("{} has no {}", self.path, names.join(" or "))))
    }
}

/// A line `NAME=value`; blank lines, comments and what is no assignment have none.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    Some((name.to_string(), unquote(value)))
}

/// The value as a shell would see it: quotes of both kinds, and a backslash before what it protects.
fn unquote(value: &str) -> String {
    let (quote, inner) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => (Some(quote), value[1..].strip_suffix(quote).unwrap_or(&value[1..])),
        _ => (None, value),
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(char) = chars.next() {
        let escape = char == '\\'
            && match quote {
                Some('\'') => false,
                Some(_) => chars.peek().is_some_and(|next| "\"$`\\".contains(*next)),
                None => chars.peek().is_some(),
            };
        text.push(if escape { chars.next().unwrap_or(char) } else { char });
    }
    text
}
