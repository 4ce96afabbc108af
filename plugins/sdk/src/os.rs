//! What the endpoint is, as the host tells it.

use crate::Error;
use alloc::{format, string::String, vec::Vec};

/// What the endpoint is: names and values. Where the host does not know something, there is no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os(Vec<(String, String)>);

impl Os {
    /// These names and values; the last of a name counts.
    #[must_use]
    pub fn new(facts: Vec<(String, String)>) -> Self {
        Self(facts)
    }

    /// The value of a name; `None` if there is none, or it is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rfind(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// `ID` of os-release(5): `debian`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.get("id")
    }

    /// `VERSION_ID` of os-release(5): `12`.
    #[must_use]
    pub fn version_id(&self) -> Option<&str> {
        self.get("version-id")
    }

    /// `VERSION_CODENAME` of os-release(5): `bookworm`.
    #[must_use]
    pub fn version_codename(&self) -> Option<&str> {
        self.get("version-codename")
    }

    /// The architecture as the kernel names it: `x86_64`.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.get("machine")
    }

    /// The value of the first of these names that has one.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming them, if none has one.
    pub fn require(&self, names: &[&str]) -> Result<&str, Error> {
        let value = names.iter().find_map(|name| self.get(name));
        value.ok_or_else(|| Error::Invalid(format!("the endpoint does not tell its {}", names.join(" or "))))
    }
}
