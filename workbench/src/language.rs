//! The languages that a plugin can be written in.

use crate::languages;
use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Rust: the SDK's, and the smallest components.
    Rust,
    /// C, compiled by the clang of PyPI's `ziglang`.
    C,
    /// JavaScript, by npm's `@bytecodealliance/componentize-js`.
    JavaScript,
    /// Python, by PyPI's `componentize-py`.
    Python,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::JavaScript, Self::Python];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }

    /// The language of the project in this folder.
    ///
    /// # Errors
    /// When it looks like none.
    pub fn of_project(folder: &Path) -> Result<Self> {
        if folder.join("Cargo.toml").exists() {
            return Ok(Self::Rust);
        }
        match languages::detect(folder) {
            Some(language) => Ok(language),
            None => bail!(
                "{} has a plugin.toml, but neither a Cargo.toml nor the source file of another language: \
                 compare it with what `farrier plugin new` makes",
                folder.display()
            ),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|language| language.as_str() == text);
        found.ok_or_else(|| format!("there is no language `{text}`; choose one of {}", names()))
    }
}
