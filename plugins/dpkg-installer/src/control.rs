//! What a package says of itself, from the stanza that `dpkg-deb` prints or dpkg's database holds.

use alloc::string::String;
use farrier_dpkg_rules::{Status, StatusError};

/// A package: installed, or to be installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// `amd64`, `all`; as it is written.
    pub architecture: String,
    pub multi_arch: MultiArch,
    /// Whether the system cannot do without.
    pub essential: bool,
    pub pre_depends: String,
    pub depends: String,
    pub conflicts: String,
    pub breaks: String,
    pub provides: String,
    pub replaces: String,
}

/// Which packages of other architectures a package works with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiArch {
    /// Those of its own.
    #[default]
    No,
    /// It can be installed for several architectures, in one version.
    Same,
    /// It serves those of any.
    Foreign,
    /// It serves those of any that say so.
    Allowed,
}

/// A stanza, read line by line.
#[derive(Debug)]
pub struct Stanza {
    pub package: Package,
    pub status: Status,
    /// Whether there was a line.
    pub begun: bool,
    field: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Package,
    Version,
    Architecture,
    MultiArch,
    Essential,
    Status,
    PreDepends,
    Depends,
    Conflicts,
    Breaks,
    Provides,
    Replaces,
    Other,
}

const FIELDS: [(&str, Field); 13] = [
    ("Package", Field::Package),
    ("Version", Field::Version),
    ("Architecture", Field::Architecture),
    ("Multi-Arch", Field::MultiArch),
    ("Essential", Field::Essential),
    // A newer word for nearly the same.
    ("Protected", Field::Essential),
    ("Status", Field::Status),
    ("Pre-Depends", Field::PreDepends),
    ("Depends", Field::Depends),
    ("Conflicts", Field::Conflicts),
    ("Breaks", Field::Breaks),
    ("Provides", Field::Provides),
    ("Replaces", Field::Replaces),
];

impl Stanza {
    /// A stanza without a line.
    pub fn new() -> Self {
        Self { package: Package::default(), status: Status::NOT_INSTALLED, begun: false, field: Field::Other }
    }

    /// Reads one line of it.
    pub fn read_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let continues = line.first().is_some_and(|byte| b" \t".contains(byte));
        let value = if continues {
            line.trim_ascii()
        } else {
            let colon = line.iter().position(|byte| *byte == b':').ok_or("a line is no field")?;
            let name = line[..colon].trim_ascii_end();
            let known = FIELDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
            self.field = known.map_or(Field::Other, |(_, field)| *field);
            line[colon + 1..].trim_ascii()
        };
        self.begun = true;
        self.read_value(value, continues).map_err(StatusError::as_str)
    }

    fn read_value(&mut self, value: &[u8], continues: bool) -> Result<(), StatusError> {
        let package = &mut self.package;
        let text = match self.field {
            Field::Package => &mut package.name,
            Field::Version => &mut package.version,
            Field::Architecture => &mut package.architecture,
            Field::PreDepends => &mut package.pre_depends,
            Field::Depends => &mut package.depends,
            Field::Conflicts => &mut package.conflicts,
            Field::Breaks => &mut package.breaks,
            Field::Provides => &mut package.provides,
            Field::Replaces => &mut package.replaces,
            Field::Status => {
                self.status = Status::parse(value)?;
                return Ok(());
            }
            Field::Essential => {
                package.essential |= value.eq_ignore_ascii_case(b"yes");
                return Ok(());
            }
            Field::MultiArch => {
                package.multi_arch = MultiArch::of(value);
                return Ok(());
            }
            Field::Other => return Ok(()),
        };
        if continues {
            text.push(' ');
        } else {
            text.clear();
        }
        text.push_str(&String::from_utf8_lossy(value));
        Ok(())
    }
}

impl MultiArch {
    fn of(value: &[u8]) -> Self {
        match value {
            b"same" => Self::Same,
            b"foreign" => Self::Foreign,
            b"allowed" => Self::Allowed,
            _ => Self::No,
        }
    }
}
