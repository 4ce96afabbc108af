//! Whether settings of configuration files and of the kernel are as a baseline wants them.
//!
//! A rule is a list of settings, each with what is expected of it. An update of this plugin is
//!
//! - *not required* where what `applies_if` names is absent,
//! - *required* where one setting at least is not as expected,
//! - *installed* where every setting is,
//! - *unknown* where a setting cannot be told, and no other one differs.
//!
//! A plugin of the world `applicability`: it reads files and changes nothing. Each file is read once in a scan, so
//! that all rules see the same.
//!
//! # Formats
//!
//! | format | as whom it reads |
//! |---|---|
//! | `sshd` | sshd: the first value counts, `Include` in its place, a `Match` ends what holds for everybody |
//! | `ini` | systemd: sections, the last value counts, drop-ins after the file, an empty value is none |
//! | `key-value` | login.defs(5), pwquality.conf(5), /etc/default: `key=value` or `key value`, the last counts |
//! | `sysctl` | the kernel as it is now, and systemd-sysctl(8) at the next boot: both have to be as expected |
//!
//! The modules say the details.
#![no_std]

extern crate alloc;

mod expected;
mod files;
mod ini;
mod key_value;
mod reading;
mod rule;
mod sshd;
mod sysctl;

pub use expected::{Condition, Expected, Word};
pub use rule::{Format, Rule, Setting};

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts};
use files::Files;
use reading::Reading;

/// The only scope: a baseline concerns whoever has the files.
const SCOPE: &str = "ini-baseline/any";

/// One look at the settings of a client.
pub struct IniBaseline {
    facts: SharedFacts,
    files: Files,
}

farrier_plugin_sdk::export!(IniBaseline);

impl Applicability for IniBaseline {
    type Rule<'a> = Json<Rule<'a>>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(Vec::from([SCOPE.to_owned()]))
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self { facts: facts.clone(), files: Files::new(facts.clone()) })
    }

    fn evaluate(&self, rule: &Json<Rule<'_>>) -> Result<ComplianceState, Error> {
        rule.check()?;
        if self.absent(rule)?.is_some() {
            return Ok(ComplianceState::NotRequired);
        }
        // One that differs is enough, whatever the others are.
        let mut unknown = None;
        for setting in &rule.settings {
            match self.readings(setting) {
                Ok(readings) if readings.iter().all(|reading| reading.is_expected) => {}
                Ok(_) => return Ok(ComplianceState::Required),
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        unknown.map_or(Ok(ComplianceState::Installed), Err)
    }

    fn explain(&self, rule: &Json<Rule<'_>>) -> Result<Vec<Finding>, Error> {
        rule.check()?;
        if let Some(path) = self.absent(rule)? {
            let (subject, detail) = (path.to_owned(), format!("is not there, so `{}` does not apply", rule.name));
            return Ok(Vec::from([Finding { subject, state: ComplianceState::NotRequired, detail }]));
        }
        Ok(rule.settings.iter().flat_map(|setting| self.findings(setting)).collect())
    }
}

impl IniBaseline {
    /// What `applies_if` names, if it is absent.
    fn absent<'a>(&self, rule: &'a Rule<'_>) -> Result<Option<&'a str>, Error> {
        match rule.applies_if.as_deref() {
            Some(path) if !self.facts.exists(path)? => Ok(Some(path)),
            _ => Ok(None),
        }
    }

    fn readings(&self, setting: &Setting<'_>) -> Result<Vec<Reading>, Error> {
        match setting.format {
            Format::Sshd => sshd::read(&self.files, setting).map(|reading| Vec::from([reading])),
            Format::Ini => ini::read(&self.files, setting).map(|reading| Vec::from([reading])),
            Format::KeyValue => key_value::read(&self.files, setting).map(|reading| Vec::from([reading])),
            Format::Sysctl => sysctl::read(&self.files, setting),
        }
    }

    fn findings(&self, setting: &Setting<'_>) -> Vec<Finding> {
        let finding = |state, detail| Finding { subject: setting.to_string(), state, detail };
        match self.readings(setting) {
            Ok(readings) => {
                let finding = |Reading { is_expected, detail }| match is_expected {
                    true => finding(ComplianceState::Installed, detail),
                    false => finding(ComplianceState::Required, detail),
                };
                readings.into_iter().map(finding).collect()
            }
            Err(error) => Vec::from([finding(ComplianceState::Unknown, error.message().to_owned())]),
        }
    }
}
