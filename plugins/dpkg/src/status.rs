//! The status file of dpkg, stanza by stanza.

use alloc::{format, string::String, vec::Vec};
use farrier_dpkg_rules::{Status, StatusError};
use farrier_plugin_sdk::{Error, Facts, Lines};

pub const PATH: &str = "/var/lib/dpkg/status";

/// What a stanza says, as far as it matters here. A text that is not there is empty.
#[derive(Debug)]
pub struct Stanza {
    pub package: Vec<u8>,
    pub version: Vec<u8>,
    pub architecture: Vec<u8>,
    /// dpkg takes a package without a status as not installed.
    pub status: Status,
}

impl Stanza {
    /// Whether apt counts the package as installed, and so offers to upgrade it.
    pub fn is_installed(&self) -> bool {
        self.status.is_installed() && !self.version.is_empty()
    }

    /// Makes it the stanza that says nothing.
    fn clear(&mut self) {
        for text in [&mut self.package, &mut self.version, &mut self.architecture] {
            text.clear();
        }
        self.status = Status::NOT_INSTALLED;
    }
}

/// The stanzas of the status file, in their order.
pub struct StatusFile {
    lines: Lines,
    stanza: Stanza,
}

impl StatusFile {
    pub fn open(facts: &dyn Facts) -> Result<Self, Error> {
        let (package, version, architecture) = (Vec::new(), Vec::new(), Vec::new());
        let stanza = Stanza { package, version, architecture, status: Status::NOT_INSTALLED };
        Ok(Self { lines: facts.lines(PATH)?, stanza })
    }

    /// The next stanza; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<&Stanza>, Error> {
        self.stanza.clear();
        let mut empty = true;
        while let Some(line) = self.lines.next()? {
            match line {
                [] | [b'\r'] if empty => {}
                [] | [b'\r'] => break,
                [b' ' | b'\t', ..] => {}
                line => {
                    empty = false;
                    if let Err(reason) = read_field(&mut self.stanza, line) {
                        return Err(self.invalid(reason));
                    }
                }
            }
        }
        match (empty, self.stanza.package.is_empty()) {
            (true, _) => Ok(None),
            (false, true) => Err(self.invalid("the stanza that ends here names no package")),
            (false, false) => Ok(Some(&self.stanza)),
        }
    }

    fn invalid(&self, reason: &str) -> Error {
        let package = match self.stanza.package.as_slice() {
            [] => String::new(),
            name => format!(" (package {})", String::from_utf8_lossy(name)),
        };
        Error::Invalid(format!("{}: {reason}{package}", self.lines))
    }
}

/// Keeps a field that matters. As tolerant as apt: of case, of blanks around the colon.
fn read_field(stanza: &mut Stanza, line: &[u8]) -> Result<(), &'static str> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a line is no field")?;
    let (field, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
    // Most lines are no such field, and their first byte tells.
    match field.first().map(u8::to_ascii_lowercase) {
        Some(b'p') if field.eq_ignore_ascii_case(b"Package") => {
            keep(&mut stanza.package, value);
            stanza.package.make_ascii_lowercase();
        }
        Some(b'v') if field.eq_ignore_ascii_case(b"Version") => keep(&mut stanza.version, value),
        Some(b'a') if field.eq_ignore_ascii_case(b"Architecture") => keep(&mut stanza.architecture, value),
        Some(b's') if field.eq_ignore_ascii_case(b"Status") => {
            stanza.status = Status::parse(value).map_err(StatusError::as_str)?;
        }
        _ => {}
    }
    Ok(())
}

fn keep(text: &mut Vec<u8>, value: &[u8]) {
    text.clear();
    text.extend_from_slice(value);
}
