//! Applicability of Debian packages: which software updates a system needs, from what dpkg says is installed.
//!
//! An update is required where apt would upgrade to it: an installed package of one of its binaries' name and
//! architecture is older; and where dpkg did not finish installing its very version. A plugin of the world
//! `applicability`: it reads four files and changes nothing.
#![no_std]

extern crate alloc;

mod architectures;
mod explain;
mod installed;
mod status;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use farrier_dpkg_rules::{Binary, DecodeError, compare};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, OsRelease, Rule, SharedFacts};
use installed::{Installed, Package};

/// One look at the packages of a client.
pub struct Dpkg {
    installed: Installed,
}

farrier_plugin_sdk::export!(Dpkg);

/// A rule, read in place: the binary packages of an update.
pub struct DpkgRule<'a>(farrier_dpkg_rules::Rule<'a>);

impl<'a> Rule<'a> for DpkgRule<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        farrier_dpkg_rules::Rule::decode(bytes).map(Self).map_err(invalid)
    }
}

impl Applicability for Dpkg {
    type Rule<'a> = DpkgRule<'a>;

    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error> {
        let release = OsRelease::read(facts)?;
        let id = release.require(&["ID"])?;
        let version = release.require(&["VERSION_CODENAME", "VERSION_ID"])?;
        let architectures = architectures::read(facts)?;
        Ok(architectures.iter().map(|architecture| [id, version, architecture].join("/")).collect())
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self { installed: Installed::read(facts)? })
    }

    fn evaluate(&self, rule: &DpkgRule<'_>) -> Result<ComplianceState, Error> {
        let mut state = ComplianceState::NotRequired;
        self.for_each_installed(rule, |binary, package| state = state.max(state_of(binary, package)))?;
        Ok(state)
    }

    fn explain(&self, rule: &DpkgRule<'_>) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        self.for_each_installed(rule, |binary, package| {
            findings.push(explain::finding(&self.installed, binary, package));
        })?;
        if findings.is_empty() {
            findings.push(explain::nothing_installed(&rule.0));
        }
        Ok(findings)
    }
}

impl Dpkg {
    /// Calls `visit` with every binary of the rule of which a package is installed.
    ///
    /// A binary of architecture `all` belongs to the native architecture, whichever rule names it; but what its `above`
    /// says, only the native architecture's rule says of packages that can be installed here.
    #[inline]
    fn for_each_installed(
        &self,
        DpkgRule(rule): &DpkgRule<'_>,
        mut visit: impl FnMut(&Binary<'_>, &Package),
    ) -> Result<(), Error> {
        let native = self.installed.native();
        let is_native = self.installed.architecture_name(native).as_bytes() == rule.architecture;
        for binary in rule.binaries() {
            let binary = binary.map_err(invalid)?;
            if binary.all && binary.above.is_some() && !is_native {
                continue;
            }
            let is_of_it = |package: &&Package| {
                let architecture = package.architecture;
                if binary.all {
                    architecture == native
                } else {
                    self.installed.architecture_name(architecture).as_bytes() == rule.architecture
                }
            };
            if let Some(package) = self.installed.named(binary.name).find(is_of_it) {
                visit(&binary, package);
            }
        }
        Ok(())
    }
}

fn invalid(error: DecodeError) -> Error {
    Error::Invalid(error.to_string())
}

/// What the binary of an update is to the installed package of its name and architecture.
fn state_of(binary: &Binary<'_>, package: &Package) -> ComplianceState {
    if is_unfinished(binary, package) {
        return ComplianceState::Required;
    }
    if compare(&package.version, binary.version).is_ge() {
        return ComplianceState::Installed;
    }
    match binary.above {
        Some(above) if !above.is_empty() && compare(&package.version, above).is_le() => ComplianceState::NotRequired,
        _ => ComplianceState::Required,
    }
}

/// Whether the package is what the update brings, left half done: its maintainer script failed, or a power cut came. Then
/// it does not count as installed.
fn is_unfinished(binary: &Binary<'_>, package: &Package) -> bool {
    package.status.is_unfinished() && compare(&package.version, binary.version).is_eq()
}
