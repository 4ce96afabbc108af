//! dpkg's database: what is installed, and how far.
//!
//! dpkg writes what it does into a journal first and into the status file when it is done. After a power cut the journal
//! is the truth.

use crate::{
    control::{Package, Stanza},
    names::Names,
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::cmp::Ordering;
use farrier_dpkg_rules::{Condition, Label, Status, compare};
use farrier_plugin_sdk::{Error, Facts};

const STATUS: &str = "/var/lib/dpkg/status";
const ARCHITECTURES: &str = "/var/lib/dpkg/arch";
const JOURNAL: &str = "/var/lib/dpkg/updates";

/// What is installed.
#[derive(Debug)]
pub struct Database {
    packages: Vec<Installed>,
    names: Names,
    native: String,
    /// Whether dpkg's journal holds something.
    journaled: bool,
}

/// A package of which something is there.
#[derive(Debug)]
pub struct Installed {
    pub package: Package,
    pub status: Status,
}

/// What the package of a label is to the one that is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is newer, or it is this one and not finished.
    Needed,
    /// It, or something newer, is installed.
    Satisfied,
    /// None of its name is installed.
    Absent,
}

impl Database {
    /// Reads it.
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let mut database = Self { packages: Vec::new(), names: Names::new(), native: String::new(), journaled: false };
        database.read_stanzas(facts, STATUS)?;
        database.native = database.native_architecture(facts)?;
        for name in journal(facts)? {
            database.journaled = true;
            database.read_stanzas(facts, &format!("{JOURNAL}/{name}"))?;
        }
        Ok(database)
    }

    /// The architecture of packages that do not say another one.
    pub fn native(&self) -> &str {
        &self.native
    }

    /// Whether dpkg ended in the middle of something.
    pub fn is_interrupted(&self) -> bool {
        self.journaled || self.packages().any(|installed| installed.status.is_unfinished())
    }

    /// Whether dpkg has something to finish, if only triggers.
    pub fn has_work(&self) -> bool {
        let pending = [Condition::TriggersAwaited, Condition::TriggersPending];
        self.is_interrupted() || self.packages().any(|installed| pending.contains(&installed.status.condition))
    }

    /// The packages of which something is installed.
    pub fn packages(&self) -> impl Iterator<Item = &Installed> {
        self.packages.iter().filter(|installed| installed.status.is_installed())
    }

    /// The installed package of this name and architecture.
    pub fn find(&self, name: &str, architecture: &str) -> Option<&Installed> {
        let found = self.position(name, architecture)?;
        Some(&self.packages[found]).filter(|installed| installed.status.is_installed())
    }

    /// What the package of this label is to the installed one, which comes along.
    pub fn need(&self, label: &Label<'_>) -> (Need, Option<&Installed>) {
        let Some(installed) = self.find(label.package, label.architecture) else { return (Need::Absent, None) };
        let order = compare(installed.package.version.as_bytes(), label.version.as_bytes());
        let needed = match order {
            Ordering::Less => true,
            Ordering::Equal => installed.status.is_unfinished(),
            Ordering::Greater => false,
        };
        (if needed { Need::Needed } else { Need::Satisfied }, Some(installed))
    }

    /// What people call a package here: its name, and its architecture where it is a foreign one.
    pub fn name_of(&self, package: &Package) -> String {
        let architecture = real_architecture(&package.architecture, &self.native);
        if architecture == self.native { package.name.clone() } else { format!("{}:{architecture}", package.name) }
    }

    fn position(&self, name: &str, architecture: &str) -> Option<usize> {
        let architecture = real_architecture(architecture, &self.native);
        self.names.candidates(name).find(|at| {
            let package = &self.packages[*at].package;
            package.name == name && real_architecture(&package.architecture, &self.native) == architecture
        })
    }

    fn read_stanzas(&mut self, facts: &dyn Facts, path: &str) -> Result<(), Error> {
        let mut lines = facts.lines(path)?;
        let mut stanza = Stanza::new();
        loop {
            match lines.next()? {
                Some([] | [b'\r']) if !stanza.begun => {}
                line @ (None | Some([] | [b'\r'])) => {
                    let end = line.is_none();
                    if stanza.begun {
                        let Stanza { package, status, .. } = core::mem::replace(&mut stanza, Stanza::new());
                        if package.name.is_empty() {
                            return Err(Error::Invalid(format!("{lines}: the stanza that ends here names no package")));
                        }
                        self.add(Installed { package, status });
                    }
                    if end {
                        return Ok(());
                    }
                }
                Some(line) => stanza
                    .read_line(line)
                    .map_err(|reason| Error::Invalid(format!("{lines}: {reason} (package {})", stanza.package.name)))?,
            }
        }
    }

    /// Adds a package, or what is newly known of it.
    fn add(&mut self, installed: Installed) {
        let known = self.position(&installed.package.name, &installed.package.architecture);
        if let Some(known) = known.filter(|_| !self.native.is_empty()) {
            self.packages[known] = installed;
            return;
        }
        self.names.push(&installed.package.name);
        self.packages.push(installed);
    }

    /// That of dpkg itself, else the first of its list.
    fn native_architecture(&self, facts: &dyn Facts) -> Result<String, Error> {
        let dpkg = self.packages().find(|installed| installed.package.name == "dpkg");
        if let Some(dpkg) = dpkg.filter(|dpkg| !["", "all"].contains(&&*dpkg.package.architecture)) {
            return Ok(dpkg.package.architecture.clone());
        }
        let listed = match facts.read_text(ARCHITECTURES) {
            Err(Error::NotFound(_)) => String::new(),
            listed => listed?,
        };
        match listed.split_whitespace().next() {
            Some(first) => Ok(first.to_owned()),
            None => Err(Error::Invalid(format!(
                "the native architecture is unknown: {STATUS} says that dpkg is not installed, and {ARCHITECTURES} is \
                 empty"
            ))),
        }
    }
}

/// The architecture of a package that is written so: `all` is as good as the native one.
pub fn real_architecture<'a>(written: &'a str, native: &'a str) -> &'a str {
    if ["", "all"].contains(&written) { native } else { written }
}

/// The names of the journal's files, in their order: they all have four digits.
fn journal(facts: &dyn Facts) -> Result<Vec<String>, Error> {
    match facts.list_folder(JOURNAL) {
        Ok(mut names) => {
            names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
            Ok(names)
        }
        Err(Error::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
