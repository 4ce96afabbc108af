//! Taking the members of a JSON object one by one.

use crate::json::{Members, Value};
use crate::metadata::Hashes;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What is wrong with an object, in words.
pub(crate) type Reason = String;

/// The members of an object that nobody has taken yet.
#[doc(hidden)]
pub struct Fields(Members);

impl Fields {
    pub(crate) fn new(members: Members) -> Self {
        Self(members)
    }

    /// The members of `value`, which is the one called `name` of something else.
    pub(crate) fn of(name: &str, value: Value) -> Result<Self, Reason> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(format!("{name:?} is no object")),
        }
    }

    /// What has not been taken.
    pub(crate) fn rest(&mut self) -> Members {
        core::mem::take(&mut self.0)
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<Value, Reason> {
        self.optional(name).ok_or_else(|| format!("{name:?} is missing"))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Reason> {
        text(name, self.required(name)?)
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Members, Reason> {
        Ok(Self::of(name, self.required(name)?)?.0)
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Reason> {
        boolean(name, self.required(name)?)
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, Reason> {
        self.optional(name).map(|value| boolean(name, value)).transpose()
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, Reason> {
        array(name, self.required(name)?)
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Reason> {
        texts(name, self.required(name)?)
    }

    pub(crate) fn optional_texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Reason> {
        self.optional(name).map(|value| texts(name, value)).transpose()
    }

    /// A whole number from 0 on.
    pub(crate) fn count(&mut self, name: &str) -> Result<u64, Reason> {
        count(name, &self.required(name)?)
    }

    pub(crate) fn optional_count(&mut self, name: &str) -> Result<Option<u64>, Reason> {
        self.optional(name).map(|value| count(name, &value)).transpose()
    }

    /// A whole number from 1 on.
    pub(crate) fn positive(&mut self, name: &str) -> Result<u64, Reason> {
        match self.count(name)? {
            0 => Err(format!("{name:?} is 0")),
            number => Ok(number),
        }
    }

    /// At least one digest.
    pub(crate) fn hashes(&mut self, name: &str) -> Result<Hashes, Reason> {
        hashes(name, self.required(name)?)
    }

    pub(crate) fn optional_hashes(&mut self, name: &str) -> Result<Option<Hashes>, Reason> {
        self.optional(name).map(|value| hashes(name, value)).transpose()
    }
}

/// Reads every member of an object in the same way.
pub(crate) fn each<T>(
    members: Members,
    read: impl Fn(&str, Value) -> Result<T, Reason>,
) -> Result<BTreeMap<String, T>, Reason> {
    members
        .into_iter()
        .map(|(name, value)| match read(&name, value) {
            Ok(entry) => Ok((name, entry)),
            Err(reason) => Err(format!("in {name:?}: {reason}")),
        })
        .collect()
}

fn text(name: &str, value: Value) -> Result<String, Reason> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(format!("{name:?} is no text")),
    }
}

fn array(name: &str, value: Value) -> Result<Vec<Value>, Reason> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(format!("{name:?} is no list")),
    }
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, Reason> {
    array(name, value)?.into_iter().map(|value| text(name, value)).collect()
}

fn boolean(name: &str, value: Value) -> Result<bool, Reason> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => Err(format!("{name:?} is neither true nor false")),
    }
}

fn count(name: &str, value: &Value) -> Result<u64, Reason> {
    match value {
        Value::Integer { is_negative: false, magnitude } => Ok(*magnitude),
        Value::Integer { .. } => Err(format!("{name:?} is below 0")),
        _ => Err(format!("{name:?} is no whole number")),
    }
}

fn hashes(name: &str, value: Value) -> Result<Hashes, Reason> {
    let members = Fields::of(name, value)?.0;
    if members.is_empty() {
        return Err(format!("{name:?} is empty"));
    }
    each(members, text)
}
