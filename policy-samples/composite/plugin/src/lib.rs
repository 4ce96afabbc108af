//! Several conditions in one policy: all of, any of, not.
//!
//! `wanted` says what has to hold, `applies_if` whom it concerns. A finding names every package, file and setting that
//! was looked at: those that are required are what an administrator has to mend.
#![no_std]

extern crate alloc;

mod condition;
mod packages;

pub use condition::{Condition, FileCondition, PackageCondition, SettingCondition};

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{self, Installed, NotRequired, Required},
    Error, Facts, Finding, Json, SharedFacts,
    serde::Deserialize,
};
use packages::Packages;

/// What a policy says; `rule.schema.json` describes it to people.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Composite {
    applies_if: Option<Condition>,
    wanted: Condition,
}

/// One look at a client.
pub struct Scan {
    facts: SharedFacts,
    packages: Packages,
}

farrier_plugin_sdk::export!(Scan);

impl Applicability for Scan {
    type Rule<'a> = Json<Composite>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec!["composite/any".to_owned()])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self { facts: facts.clone(), packages: Packages::read(facts)? })
    }

    fn evaluate(&self, rule: &Json<Composite>) -> Result<ComplianceState, Error> {
        Ok(match &rule.applies_if {
            Some(condition) if !self.holds(condition)? => NotRequired,
            _ if self.holds(&rule.wanted)? => Installed,
            _ => Required,
        })
    }

    fn explain(&self, rule: &Json<Composite>) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        match &rule.applies_if {
            Some(condition) if !self.holds(condition)? => {
                self.look_at(condition, &mut |subject, _, detail| {
                    findings.push(Finding { subject, state: NotRequired, detail });
                })?;
            }
            _ => self.explain_wanted(&rule.wanted, true, false, &mut findings)?,
        }
        Ok(findings)
    }
}

impl Scan {
    /// Whether a condition holds.
    fn holds(&self, condition: &Condition) -> Result<bool, Error> {
        match condition {
            Condition::AllOf(conditions) => Ok(self.first_that(conditions, false)?.is_none()),
            Condition::AnyOf(conditions) => Ok(self.first_that(conditions, true)?.is_some()),
            Condition::Not(condition) => Ok(!self.holds(condition)?),
            simple => Ok(self.fact(simple)?.holds),
        }
    }

    /// The first of the conditions that holds, or that does not.
    fn first_that<'a>(&self, conditions: &'a [Condition], wanted: bool) -> Result<Option<&'a Condition>, Error> {
        for condition in conditions {
            if self.holds(condition)? == wanted {
                return Ok(Some(condition));
            }
        }
        Ok(None)
    }

    /// Says of everything that a condition is about whether it is as `wanted`. What is not is required, unless
    /// something else made up for it: then it is `settled`.
    fn explain_wanted(
        &self,
        condition: &Condition,
        wanted: bool,
        settled: bool,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let settled = settled || self.holds(condition)? == wanted;
        match condition {
            Condition::AllOf(conditions) | Condition::AnyOf(conditions) => {
                conditions.iter().try_for_each(|one| self.explain_wanted(one, wanted, settled, findings))
            }
            Condition::Not(condition) => self.explain_wanted(condition, !wanted, settled, findings),
            simple => {
                let fact = self.fact(simple)?;
                let state = match (fact.holds == wanted, settled) {
                    (true, _) => Installed,
                    (false, true) => NotRequired,
                    (false, false) => Required,
                };
                findings.push(Finding { subject: fact.subject, state, detail: fact.detail });
                Ok(())
            }
        }
    }

    /// Calls `visit` with everything that a condition is about.
    fn look_at(&self, condition: &Condition, visit: &mut dyn FnMut(String, bool, String)) -> Result<(), Error> {
        match condition {
            Condition::AllOf(conditions) | Condition::AnyOf(conditions) => {
                conditions.iter().try_for_each(|condition| self.look_at(condition, visit))
            }
            Condition::Not(condition) => self.look_at(condition, visit),
            simple => self.fact(simple).map(|fact| visit(fact.subject, fact.holds, fact.detail)),
        }
    }
}
