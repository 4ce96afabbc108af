//! Whether the files of an application or a configuration are those that a policy names.
//!
//! A rule names files with the SHA-256 of what they have to hold, and perhaps a file that says which version is there.
//! The update is
//!
//! - not required where `applies_if` is given and nothing is there,
//! - installed where the version file says the rule's version, or a newer one, and, for the rule's own version, every
//!   file holds what the rule says,
//! - required otherwise.
//!
//! What may not be read or cannot be understood makes it unknown: neither of the other three would be true.
//!
//! A version is newer only if both begin with a digit, in the order of Debian's versions (1.10 is newer than 1.9). Of
//! `winter` and `summer` nobody knows which is newer, so the one that is not the rule's is required to become it.
//!
//! It never changes anything; `file-set-installer` does.
#![no_std]

extern crate alloc;

mod look;
mod rule;

pub use rule::{FileSet, WantedFile};

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts};
use look::Look;

/// The catalog of its rules: a set of files may be wanted anywhere.
const SCOPE: &str = "file-set/any";

/// One look at the files of an endpoint.
pub struct FileSets(Look);

impl Applicability for FileSets {
    type Rule<'a> = Json<FileSet<'a>>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec![SCOPE.to_owned()])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(Look::new(facts.clone())))
    }

    fn evaluate(&self, rule: &Self::Rule<'_>) -> Result<ComplianceState, Error> {
        rule.check()?;
        self.0.state(rule)
    }

    fn explain(&self, rule: &Self::Rule<'_>) -> Result<Vec<Finding>, Error> {
        rule.check()?;
        self.0.findings(rule)
    }
}

farrier_plugin_sdk::export!(FileSets);
