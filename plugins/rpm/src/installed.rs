//! The installed packages, to be found by name.

use crate::{
    NOARCH,
    header::Header,
    location,
    sqlite::{Column, Database, Kind, Payload, Prefix, Record},
};
use alloc::{boxed::Box, format, vec::Vec};
use farrier_plugin_sdk::{Error, Facts, version};

/// The table of rpm's database that has the packages: a number and a header each.
const TABLE: &str = "Packages";

/// How often the database is read when somebody writes to it meanwhile.
const ATTEMPTS: usize = 3;

/// Packages that tell the native architecture, the best witness first: each is there once, in the architecture of the
/// system.
const WITNESSES: [&str; 4] = ["rpm", "rpm-libs", "glibc-common", "filesystem"];

/// What rpm keeps of a public key, among the packages.
const PUBLIC_KEY: &str = "gpg-pubkey";

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: Box<str>,
    /// Its architecture.
    pub architecture: Box<str>,
    /// Its version with release and, if it has one, epoch.
    pub evr: Box<str>,
}

/// The installed packages of a client.
#[derive(Debug)]
pub struct Installed {
    /// By name, architecture and version: of two versions the newer one is the later.
    packages: Vec<Package>,
    native: Option<Box<str>>,
}

impl Installed {
    /// Reads the database of the endpoint.
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let path = location::find(facts)?.ok_or_else(location::missing)?;
        let mut packages = read_unchanged(facts, &path, |database| {
            let mut packages = Vec::new();
            for_each_package(database, &mut |package| {
                packages.push(package);
                true
            })?;
            Ok(packages)
        })?;
        if packages.is_empty() {
            // A power cut leaves an empty database behind. Nothing would be required of nobody.
            return Err(Error::Invalid(format!("no package is installed according to {path}")));
        }
        let native = native(facts, &packages);
        packages.sort_by(|one, other| {
            let names = (&one.name, &one.architecture).cmp(&(&other.name, &other.architecture));
            names.then_with(|| version::rpm::compare(&one.evr, &other.evr))
        });
        Ok(Self { packages, native })
    }

    /// The native architecture, if anything tells it.
    pub fn native(&self) -> Option<&str> {
        self.native.as_deref()
    }

    /// All of them, by name, architecture and version.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The installed packages of this name, by architecture and version.
    pub fn named(&self, name: &str) -> &[Package] {
        let start = self.packages.partition_point(|package| *package.name < *name);
        let rest = &self.packages[start..];
        &rest[..rest.partition_point(|package| *package.name == *name)]
    }
}

/// The native architecture of the endpoint with this database; it reads no more of it than it needs.
///
/// # Errors
/// If nothing tells it, or the database cannot be read.
pub fn native_architecture(facts: &dyn Facts, path: &str) -> Result<Box<str>, Error> {
    let witnesses = read_unchanged(facts, path, |database| {
        let mut witnesses = Vec::new();
        for_each_package(database, &mut |package| {
            let is_best = *package.name == *WITNESSES[0];
            if WITNESSES.contains(&&*package.name) {
                witnesses.push(package);
            }
            !is_best
        })?;
        Ok(witnesses)
    })?;
    native(facts, &witnesses).ok_or_else(|| {
        let names = WITNESSES.join(", ");
        Error::Invalid(format!(
            "the native architecture is unknown: none of {names} is installed, nor is the kernel's known"
        ))
    })
}

/// The native architecture: that of rpm itself, else of another package that every system has, else the kernel's.
///
/// The kernel comes last: it may be of 64 bits below a system of 32.
fn native(facts: &dyn Facts, packages: &[Package]) -> Option<Box<str>> {
    let architecture = |name: &&str| {
        let mut named = packages.iter().filter(|package| *package.name == **name && *package.architecture != *NOARCH);
        named.next().map(|package| package.architecture.clone())
    };
    WITNESSES.iter().find_map(architecture).or_else(|| facts.os().machine().map(Into::into))
}

/// What `read` makes of the database, when nobody wrote to it meanwhile.
fn read_unchanged<T>(
    facts: &dyn Facts,
    path: &str,
    read: impl Fn(&mut Database) -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..ATTEMPTS {
        let mut database = Database::open(facts, path)?;
        let content = read(&mut database);
        // What looks like damage may be a change.
        if database.is_unchanged(facts)? {
            return content;
        }
    }
    Err(Error::Other(format!("{path} was changed while it was read, {ATTEMPTS} times; the next scan tries again")))
}

/// Calls `visit` with every package of the database, until it says `false`.
fn for_each_package(database: &mut Database, visit: &mut dyn FnMut(Package) -> bool) -> Result<(), Error> {
    database.for_each_row(TABLE, &mut |number, row| {
        let header = read_header(row).map_err(|error| {
            let message = format!("package number {number} of the rpm database: {}", error.message());
            match error {
                Error::TooLarge(_) => Error::TooLarge(message),
                _ => Error::Invalid(message),
            }
        })?;
        let Header { name, evr, architecture } = header;
        let architecture = match architecture {
            Some(architecture) => architecture,
            // A key is no software.
            None if &*name == PUBLIC_KEY => return Ok(true),
            None => return Err(Error::Invalid(format!("{name} {evr} of the rpm database has no architecture"))),
        };
        Ok(visit(Package { name, architecture, evr }))
    })
}

/// The header in a row of the table: `hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL`. The first is the row's id, which a
/// row does not repeat.
fn read_header(row: &mut Payload<'_>) -> Result<Header, Error> {
    let record = Record::read(row)?;
    match record.columns() {
        [Column { kind: Kind::Null, .. }, Column { kind: Kind::Blob, start, .. }] => {
            Header::read(&mut Blob { start: *start, row })
        }
        columns => Err(Error::Invalid(format!("{} columns, not those of rpm", columns.len()))),
    }
}

/// The bytes of a row from a place on.
struct Blob<'a, 'b> {
    start: usize,
    row: &'a mut Payload<'b>,
}

impl Prefix for Blob<'_, '_> {
    fn length(&self) -> u64 {
        self.row.length() - self.start as u64
    }

    fn prefix(&mut self, count: usize) -> Result<&[u8], Error> {
        Ok(&self.row.prefix(self.start.saturating_add(count))?[self.start..])
    }
}
