//! The policy file as it is written: the shape that TOML is read into, every place with its line.

use crate::config::Classification;
use serde::Deserialize;
use std::path::PathBuf;
use toml::{Spanned, Value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) name: Spanned<String>,
    pub(super) version: Spanned<String>,
    pub(super) title: Spanned<String>,
    pub(super) classification: Option<Classification>,
    pub(super) description: Option<Spanned<String>>,
    pub(super) applicability: WrittenApplicability,
    pub(super) installation: Option<WrittenInstallation>,
    #[serde(default)]
    pub(super) content: Vec<WrittenContent>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenApplicability {
    pub(super) plugin: Spanned<String>,
    pub(super) scopes: Spanned<Vec<Spanned<String>>>,
    pub(super) rule: Option<Spanned<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenInstallation {
    pub(super) plugin: Spanned<String>,
    pub(super) instructions: Option<Spanned<Value>>,
    pub(super) max_run: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenContent {
    pub(super) label: Spanned<String>,
    pub(super) file: Spanned<PathBuf>,
    pub(super) sha256: Option<Spanned<String>>,
}
