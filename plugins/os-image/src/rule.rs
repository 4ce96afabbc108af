//! What a policy says of an image; `rule.schema.json` says the same to editors.

use alloc::{borrow::Cow, format, vec::Vec};
use farrier_plugin_sdk::{Error, serde::Deserialize};

/// An image. A key that is not known is an error: it may be `compatible`, misspelt.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Image<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    /// The version of the image.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// The file of the running system that says its version.
    #[serde(borrow)]
    pub version_file: Cow<'a, str>,
    /// The key of the version in that file; without one the version is all there is.
    #[serde(borrow, default)]
    pub version_key: Option<Cow<'a, str>>,
    /// The hardware it is for; any, if none is named.
    #[serde(borrow, default)]
    pub compatible: Vec<Cow<'a, str>>,
    /// The file that says which hardware this is.
    #[serde(borrow, default)]
    pub hardware_file: Option<Cow<'a, str>>,
}

impl Image<'_> {
    /// Whether it says something that can be true.
    ///
    /// # Errors
    /// What cannot: an empty version would be met by an empty file, and an empty name of hardware by nothing at all.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |problem: &str| Err(Error::Invalid(format!("the rule of {}: {problem}", self.image)));
        if self.version.is_empty() || self.version.trim() != self.version {
            return invalid("`version` is empty or has blanks around it");
        }
        if self.compatible.iter().any(|name| name.trim().is_empty()) {
            return invalid("`compatible` has an empty name");
        }
        if self.hardware_file.is_some() && self.compatible.is_empty() {
            return invalid("`hardware_file` says nothing without `compatible`");
        }
        Ok(())
    }
}
