//! A custom check in thirty lines: whether a certificate authority's file is installed.
#![no_std]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{
    Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts, serde::Deserialize,
};

/// What a policy says: which file, and what is in it.
#[derive(Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Certificate {
    name: String,
    sha256: String,
}

/// One look at a client. Which file to read, only a rule tells.
pub struct CaCertificate(SharedFacts);

farrier_plugin_sdk::export!(CaCertificate);

impl Applicability for CaCertificate {
    type Rule<'a> = Json<Certificate>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec!["ca-certificate/any".into()])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(facts.clone()))
    }

    fn evaluate(&self, rule: &Json<Certificate>) -> Result<ComplianceState, Error> {
        Ok(self.explain(rule)?.remove(0).state)
    }

    fn explain(&self, rule: &Json<Certificate>) -> Result<Vec<Finding>, Error> {
        let subject = format!("/usr/local/share/ca-certificates/{}.crt", rule.name);
        let (state, detail) = match self.0.digest(&subject) {
            Ok(digest) if digest == rule.sha256 => (ComplianceState::Installed, "is the expected certificate".into()),
            Ok(digest) => (ComplianceState::Required, format!("is another file: its SHA-256 is {digest}")),
            Err(Error::NotFound(_)) => (ComplianceState::Required, "is not there".into()),
            Err(error) => return Err(error),
        };
        Ok(vec![Finding { subject, state, detail }])
    }
}
