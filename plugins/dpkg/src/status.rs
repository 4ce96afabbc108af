//! The status file of dpkg, stanza by stanza.

use alloc::{format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts, Lines};

pub const PATH: &str = "/var/lib/dpkg/status";

/// How far the installation of a package has come: the third word of its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing of it is there.
    NotInstalled,
    /// Removed; its configuration files are left.
    ConfigFiles,
    /// Its installation was begun and not finished.
    HalfInstalled,
    /// Unpacked, not configured.
    Unpacked,
    /// Its configuration was begun and not finished.
    HalfConfigured,
    /// It waits for another package to run its triggers.
    TriggersAwaited,
    /// Its triggers are to be run.
    TriggersPending,
    /// All there.
    Installed,
}

impl Condition {
    const ALL: [Self; 8] = [
        Self::Installed,
        Self::ConfigFiles,
        Self::NotInstalled,
        Self::HalfInstalled,
        Self::Unpacked,
        Self::HalfConfigured,
        Self::TriggersAwaited,
        Self::TriggersPending,
    ];

    /// The word of dpkg.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not-installed",
            Self::ConfigFiles => "config-files",
            Self::HalfInstalled => "half-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::TriggersAwaited => "triggers-awaited",
            Self::TriggersPending => "triggers-pending",
            Self::Installed => "installed",
        }
    }
}

/// What a stanza says, as far as it matters here. A text that is not there is empty.
#[derive(Debug)]
pub struct Stanza {
    pub package: Vec<u8>,
    pub version: Vec<u8>,
    pub architecture: Vec<u8>,
    pub condition: Condition,
    pub on_hold: bool,
}

impl Stanza {
    /// Whether apt counts the package as installed, and so offers to upgrade it.
    pub fn is_installed(&self) -> bool {
        !matches!(self.condition, Condition::NotInstalled | Condition::ConfigFiles) && !self.version.is_empty()
    }

    /// Makes it the stanza that says nothing: dpkg takes a package without a status as not installed.
    fn clear(&mut self) {
        for text in [&mut self.package, &mut self.version, &mut self.architecture] {
            text.clear();
        }
        (self.condition, self.on_hold) = (Condition::NotInstalled, false);
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
        let stanza = Stanza { package, version, architecture, condition: Condition::NotInstalled, on_hold: false };
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
        Some(b's') if field.eq_ignore_ascii_case(b"Status") => read_status(stanza, value)?,
        _ => {}
    }
    Ok(())
}

fn keep(text: &mut Vec<u8>, value: &[u8]) {
    text.clear();
    text.extend_from_slice(value);
}

/// Three words: what is wanted, whether something is wrong, how far it has come.
fn read_status(stanza: &mut Stanza, value: &[u8]) -> Result<(), &'static str> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (Some(want), Some(flag), Some(condition), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the status is not three words");
    };
    if !is_one_of(want, &["install", "hold", "deinstall", "purge", "unknown"]) {
        return Err("the first word of the status is unknown");
    }
    if !is_one_of(flag, &["ok", "reinstreq", "hold", "hold-reinstreq"]) {
        return Err("the second word of the status is unknown");
    }
    let known = Condition::ALL.into_iter().find(|known| is_one_of(condition, &[known.as_str()]));
    stanza.condition = known.ok_or("the third word of the status is unknown")?;
    stanza.on_hold = want.eq_ignore_ascii_case(b"hold");
    Ok(())
}

fn is_one_of(word: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}
