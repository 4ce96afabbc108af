//! Which applications below `/opt` are older than a policy wants them.
#![no_std]

extern crate alloc;

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use core::cmp::Ordering;
use farrier_plugin_sdk::{
    Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts, serde::Deserialize, version,
};

/// One look at a client. It keeps the facts: which file to read, only a rule tells.
pub struct {{Name}}(SharedFacts);

farrier_plugin_sdk::export!({{Name}});

/// What a policy says; `rule.schema.json` describes it to people.
#[derive(Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Rule {
    name: String,
    version: String,
}

impl {{Name}} {
    /// The installed version of an application; none, where it is not installed.
    fn installed(&self, name: &str) -> Result<Option<String>, Error> {
        match self.0.read_text(&format!("/opt/{name}/VERSION")) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Applicability for {{Name}} {
    type Rule<'a> = Json<Rule>;

    /// Which catalogs concern this client. This plugin has one for all.
    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec!["{{name}}/any".to_owned()])
    }

    /// What all rules need is read here, once.
    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(facts.clone()))
    }

    /// One rule, one state.
    fn evaluate(&self, rule: &Json<Rule>) -> Result<ComplianceState, Error> {
        Ok(match self.installed(&rule.name)? {
            None => ComplianceState::NotRequired,
            Some(installed) if version::semver::compare(&installed, &rule.version) == Ordering::Less => {
                ComplianceState::Required
            }
            Some(_) => ComplianceState::Installed,
        })
    }

    /// The same for people.
    fn explain(&self, rule: &Json<Rule>) -> Result<Vec<Finding>, Error> {
        let detail = match self.installed(&rule.name)? {
            None => "not installed".to_owned(),
            Some(installed) => format!("{installed} is installed, {} is offered", rule.version),
        };
        Ok(vec![Finding { subject: rule.name.clone(), state: self.evaluate(rule)?, detail }])
    }
}
