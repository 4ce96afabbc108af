//! Applicability of RPM packages: which software updates a system needs, from what the rpm database says is installed.
//!
//! An update is required where one of its packages is installed and older than what it offers, installed where none is
//! older, and not required where none is installed. A plugin of the world `applicability`: it reads one database and
//! changes nothing.
//!
//! # Why it reads the database and does not run `rpm -qa`
//!
//! - A scan runs on every client, every few hours, without anybody watching. It must not be able to change anything,
//!   and an applicability plugin cannot run programs at all: what is not linked needs no trust. `rpm -qa` is no mere
//!   reader: as root it makes a database where there is none, writes the index of its log, and reads the macros of
//!   `/etc/rpm` and `~/.rpmmacros`, which may be programs.
//! - It works where no program can run: on a mounted image, on a root of another architecture, in a container's layers.
//! - The query format of `rpm -qa` differs between versions, depends on macros, and a failing query of one damaged
//!   header leaves a package out of a list that looks complete. Here a damaged header ends the scan with a reason.
//! - What it costs: the form of the database has to be known. SQLite's is documented, frozen since 2004 and promised
//!   until 2050; rpm's use of it is one table with a number and a header, the same since rpm 4.16 (2020). Fedora has it
//!   since 33 and Enterprise Linux since 9. Other forms (Berkeley DB of older ones, ndb of SUSE) are refused by name.
//!   `sqlite` in this crate reads b-trees, overflow pages and the write-ahead log, a few pages at a time: a database has
//!   a hundred megabytes, a plugin has not.
//! - What it cannot do: take SQLite's locks. It looks before and after whether anybody committed, and if so it reads
//!   again.
//!
//! # What counts
//!
//! - Order is rpm's (`rpmvercmp`, with epochs, `~` and `^`). A missing epoch is 0. A rule without a release is met by
//!   any of them.
//! - Of several installed versions of one package and architecture the newest counts: a kernel is installed beside the
//!   older ones. Whether it runs is for the restart after the installation.
//! - Architectures count one by one: the update of `glibc` is required as long as its `i686` is old. `noarch` stands
//!   for the native architecture, so that a package may become `noarch` or cease to be.
#![no_std]

extern crate alloc;

mod explain;
mod header;
mod installed;
mod location;
mod rule;
mod sqlite;

pub use installed::Package;
pub use rule::{Rule, Wanted};

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Ordering;
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts};
use installed::Installed;

/// One look at the packages of a client.
pub struct Rpm {
    installed: Installed,
}

farrier_plugin_sdk::export!(Rpm);

impl Applicability for Rpm {
    type Rule<'a> = Json<Rule<'a>>;

    /// `rpm/fedora/40/x86_64`; of a release `9.4` also `rpm/rhel/9/x86_64`. Nothing, where there is no rpm.
    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error> {
        let Some(path) = location::find(facts)? else { return Ok(Vec::new()) };
        let architecture = installed::native_architecture(facts, &path)?;
        let os = facts.os();
        let (id, version) = (os.require(&["id"])?, os.require(&["version-id"])?);
        let scope = |version: &str| format!("rpm/{id}/{version}/{architecture}");
        let mut scopes = Vec::from([scope(version)]);
        scopes.extend(version.split_once('.').map(|(major, _)| scope(major)));
        Ok(scopes)
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self { installed: Installed::read(facts)? })
    }

    fn evaluate(&self, rule: &Json<Rule<'_>>) -> Result<ComplianceState, Error> {
        let mut state = ComplianceState::NotRequired;
        self.for_each_installed(rule, |wanted, package, _| state = state.max(state_of(wanted, package)))?;
        Ok(state)
    }

    fn explain(&self, rule: &Json<Rule<'_>>) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        self.for_each_installed(rule, |wanted, package, beside| {
            findings.push(explain::finding(&self.installed, wanted, package, beside));
        })?;
        if findings.is_empty() {
            findings.push(explain::nothing_installed(rule));
        }
        Ok(findings)
    }
}

impl Rpm {
    /// The installed packages, by name, architecture and version.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        self.installed.packages()
    }

    /// Calls `visit` with every package of the rule that is installed, once for each architecture: the newest, and how
    /// many older ones are installed beside it.
    fn for_each_installed(
        &self,
        rule: &Rule<'_>,
        mut visit: impl FnMut(&Wanted<'_>, &Package, usize),
    ) -> Result<(), Error> {
        rule.check()?;
        for wanted in &rule.packages {
            let named = self.installed.named(&wanted.name);
            for same in named.chunk_by(|one, other| one.architecture == other.architecture) {
                if let [older @ .., newest] = same
                    && self.is_of(wanted, newest)
                {
                    visit(wanted, newest, older.len());
                }
            }
        }
        Ok(())
    }

    /// Whether this installed package is of the architecture that the rule means.
    fn is_of(&self, wanted: &Wanted<'_>, package: &Package) -> bool {
        let native = self.installed.native();
        let as_native = |architecture: &str| match native {
            Some(native) if architecture == NOARCH => native.to_string(),
            _ => architecture.to_string(),
        };
        wanted.arch.as_deref().is_none_or(|arch| as_native(arch) == as_native(&package.architecture))
    }
}

/// The architecture of packages that have none.
const NOARCH: &str = "noarch";

/// What an offered package is to the installed one.
fn state_of(wanted: &Wanted<'_>, package: &Package) -> ComplianceState {
    match rule::compare(&package.evr, &wanted.evr) {
        Ordering::Less => ComplianceState::Required,
        Ordering::Equal | Ordering::Greater => ComplianceState::Installed,
    }
}
