//! What was found of a setting, compared with what is expected, in words.

use crate::{
    expected::{Condition, Expected, Values},
    rule::Setting,
};
use alloc::{
    format,
    string::{String, ToString},
};
use farrier_plugin_sdk::Error;

/// What was found of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whether it is as expected.
    pub is_expected: bool,
    /// What people read: the place, the value, and what is expected.
    pub detail: String,
}

/// A value that a file sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: String,
    /// Where it is: `line 3 of /etc/ssh/sshd_config`.
    pub place: String,
}

impl Found {
    /// A value in a line, counted from 1, of a file.
    pub fn new(value: String, file: &str, line: usize) -> Self {
        Self { value, place: format!("line {line} of {file}") }
    }
}

impl Reading {
    /// Compares what was found, or the default where nothing was, with what is expected.
    ///
    /// `nothing` says that nothing was found: `/etc/login.defs does not set it`.
    pub fn new(setting: &Setting<'_>, found: Option<&Found>, nothing: &str, values: Values) -> Result<Self, Error> {
        let default = setting.default.as_ref().filter(|_| !is_about_files(&setting.expected)).map(ToString::to_string);
        let value = found.map(|found| found.value.as_str()).or(default.as_deref());
        let is_expected = setting.expected.is_met_by(value, values).map_err(|error| {
            let place = found.map_or("the default", |found| &found.place);
            Error::Invalid(format!("{place}: {}", error.message()))
        })?;
        let mut detail = match (found, &setting.default) {
            (Some(Found { value, place }), _) => format!("{place} has `{value}`"),
            (None, Some(default)) => format!("{nothing}, and the default is `{default}`"),
            (None, None) => nothing.into(),
        };
        if !is_expected {
            detail.push_str(&format!("; expected is {}", setting.expected));
        }
        Ok(Self { is_expected, detail })
    }

    /// The same with a remark.
    pub fn with_remark(mut self, remark: &str) -> Self {
        self.detail.push_str("; ");
        self.detail.push_str(remark);
        self
    }
}

/// Whether what is expected is that files set it, or do not: a default is neither.
fn is_about_files(expected: &Expected<'_>) -> bool {
    matches!(expected, Expected::Condition(Condition::Absent(_)))
}
