//! A guest that misbehaves in the way it is told to: what the agent's limits are tested with.
//!
//! `/etc/hostile` says when and how, `evaluate:trap`; without a phase, in `open`.
#![no_std]

extern crate alloc;

mod misdeeds;

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding};
use misdeeds::{Phase, commit};

/// What the guest was told.
pub struct Hostile {
    order: String,
}

farrier_plugin_sdk::export!(Hostile);

/// The only scope, whatever the client.
pub const SCOPE: &str = "hostile/test/any";

impl Applicability for Hostile {
    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error> {
        let order = facts.read_text("/etc/hostile")?;
        let mut scopes = vec![SCOPE.to_owned()];
        if commit(&order, Phase::Scopes) {
            scopes.extend((0..HUGE).map(|_| SCOPE.to_owned()));
        }
        Ok(scopes)
    }

    fn open(facts: &dyn Facts) -> Result<Self, Error> {
        let order = facts.read_text("/etc/hostile")?;
        Ok(Self { order })
    }

    fn evaluate(&self, _: &[u8]) -> Result<ComplianceState, Error> {
        Ok(ComplianceState::Required)
    }

    fn explain(&self, _: &[u8]) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

const HUGE: usize = 1;
