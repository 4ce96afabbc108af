//! os-release(5): which operating system this is. [`Facts::os`] tells it, too, without a grant; this is for what it
//! leaves out.

use crate::{Error, Facts};
use alloc::{format, string::String, vec::Vec};

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
            match facts.read_file(path) {
                Ok(file) => {
                    let values = file.split(|byte| *byte == b'\n').filter_map(assignment).collect();
                    return Ok(Self { path, values });
                }
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
fn assignment(line: &[u8]) -> Option<(String, String)> {
    let line = line.trim_ascii();
    let equals = line.iter().position(|byte| *byte == b'=').filter(|_| line[0] != b'#')?;
    Some((text(&line[..equals]), text(&unquote(&line[equals + 1..]))))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value as a shell would see it: quotes of both kinds, and a backslash before what it protects.
fn unquote(value: &[u8]) -> Vec<u8> {
    let (quote, inner) = match value {
        [quote @ (b'"' | b'\''), inner @ ..] => (Some(*quote), inner.strip_suffix(&[*quote]).unwrap_or(inner)),
        _ => (None, value),
    };
    let mut unquoted = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().peekable();
    while let Some(byte) = bytes.next() {
        let is_protected = |next: &u8| match quote {
            Some(b'"') => b"\"$`\\".contains(next),
            Some(_) => false,
            None => true,
        };
        let protected = if *byte == b'\\' { bytes.next_if(|next| is_protected(next)) } else { None };
        unquoted.push(*protected.unwrap_or(byte));
    }
    unquoted
}
