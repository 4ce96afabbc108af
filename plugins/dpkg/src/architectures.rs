//! The architectures of a client: its native one and the foreign ones.

use crate::status::{Stanza, StatusFile};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts};

const PATH: &str = "/var/lib/dpkg/arch";

/// An architecture of [`Seen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture(usize);

/// The architectures of installed packages. One that is not here has none.
#[derive(Debug, Default)]
pub struct Seen {
    /// Their names, and how many packages are of each.
    names: Vec<(String, usize)>,
    of_dpkg: Option<Architecture>,
}

/// The native architecture of the client, then the foreign ones. Reads no more of the status file than it needs.
pub fn read(facts: &dyn Facts) -> Result<Vec<String>, Error> {
    let mut seen = Seen::default();
    let mut status = StatusFile::open(facts)?;
    while seen.of_dpkg.is_none()
        && let Some(stanza) = status.next()?
    {
        seen.add(stanza);
    }
    let mut listed = listed(facts)?;
    let native = seen.native(&listed)?.to_owned();
    listed.retain(|name| *name != native);
    listed.insert(0, native);
    Ok(listed)
}

/// The lines of dpkg's list of architectures, the native one first; a client without a foreign one has no list.
pub fn listed(facts: &dyn Facts) -> Result<Vec<String>, Error> {
    match facts.read_file(PATH) {
        Ok(file) => {
            let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            Ok(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect())
        }
        Err(Error::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Seen {
    /// Takes note of the architecture of an installed package.
    pub fn add(&mut self, stanza: &Stanza) -> Architecture {
        let architecture = self.intern(&String::from_utf8_lossy(&stanza.architecture));
        if stanza.is_installed() {
            self.names[architecture.0].1 += 1;
            if stanza.package == b"dpkg" {
                self.of_dpkg = Some(architecture);
            }
        }
        architecture
    }

    /// The architecture of this name.
    pub fn intern(&mut self, name: &str) -> Architecture {
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.names.push((name.to_owned(), 0));
            Architecture(self.names.len() - 1)
        })
    }

    /// The architecture of this name, if it is here.
    pub fn find(&self, name: &[u8]) -> Option<Architecture> {
        self.names.iter().position(|(known, _)| known.as_bytes() == name).map(Architecture)
    }

    /// Its name.
    pub fn name(&self, architecture: Architecture) -> &str {
        &self.names[architecture.0].0
    }

    /// The native architecture: that of dpkg itself, else the first of its list, else that of most packages.
    pub fn native<'a>(&'a self, listed: &'a [String]) -> Result<&'a str, Error> {
        let own = self.of_dpkg.map(|architecture| self.name(architecture)).filter(|name| is_real(name));
        let most = || {
            let real = self.names.iter().filter(|(name, packages)| is_real(name) && *packages > 0);
            real.max_by_key(|(_, packages)| *packages).map(|(name, _)| name.as_str())
        };
        own.or_else(|| listed.first().map(String::as_str)).or_else(most).ok_or_else(|| {
            let reason = "the native architecture is unknown: dpkg is not installed, its list of architectures is \
                          empty, and no installed package has one";
            Error::Invalid(reason.to_owned())
        })
    }
}

fn is_real(name: &str) -> bool {
    !name.is_empty() && name != "all"
}
