//! The manifest of a plugin: a custom section of the component, read before anything is compiled.

use farrier_protocol::assignment::{MAX_GRANTS, MAX_NAME_BYTES, MAX_TARGET_BYTES};
use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, Parser, Payload};

/// The version of `farrier:policy` this host speaks; it runs plugins built for the same `major.minor`.
pub const WIT_VERSION: &str = "0.1.0";
/// The world this host runs.
pub const WORLD: &str = "applicability";
/// The custom section that holds the manifest, as JSON.
const SECTION: &str = "farrier-manifest";
/// Bytes of the manifest, at most.
const MAX_MANIFEST_BYTES: usize = 16 << 10;
/// Bytes of the description and of the license, at most.
const MAX_DESCRIPTION_BYTES: usize = 1 << 10;

/// What a plugin says of itself, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Its license, as an SPDX expression.
    pub license: String,
    /// The version of `farrier:policy` it was built for.
    pub wit: String,
    /// The world it is for: `applicability`.
    pub world: String,
    /// The files it asks for: globs over the endpoint's root.
    #[serde(default)]
    pub read: Vec<String>,
}

/// Why a component has no readable manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not a component at all.
    #[error("this is no WASM component{0}")]
    NoComponent(&'static str),
    /// The bytes end or break in the middle.
    #[error("the component is malformed")]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// A component of somebody else, or one that was not built by `cargo plugins`.
    #[error("the component has no manifest (no custom section `farrier-manifest`): build it with `cargo plugins`")]
    Missing,
    /// More than one manifest: which one is meant?
    #[error("the component has more than one manifest")]
    Ambiguous,
    /// Larger than any manifest.
    #[error("the manifest has {bytes} bytes, more than {MAX_MANIFEST_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not the JSON of a manifest.
    #[error("the manifest cannot be read")]
    Json(#[source] serde_json::Error),
    /// A field that does not hold what it should.
    #[error("the manifest's `{field}` {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Manifest {
    /// The manifest inside this component.
    ///
    /// # Errors
    /// When there is none, or not exactly one valid one.
    pub fn read(component: &[u8]) -> Result<Self, ManifestError> {
        let section = find_section(component)?;
        if section.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { bytes: section.len() });
        }
        let manifest: Self = serde_json::from_slice(section).map_err(ManifestError::Json)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Whether this host can run the plugin; if not, the reason in words.
    ///
    /// # Errors
    /// When it is for another world or for another version of `farrier:policy`.
    pub fn check_runs_here(&self) -> Result<(), String> {
        if self.world != WORLD {
            return Err(format!("it is for the world `{}`, and this host runs `{WORLD}`", self.world));
        }
        if major_minor(&self.wit) != major_minor(WIT_VERSION) {
            return Err(format!("it was built for farrier:policy {}, and this host has {WIT_VERSION}", self.wit));
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), ManifestError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !self.name.chars().all(plain) {
            return Err(field("name", format!("is not 1 to {MAX_NAME_BYTES} lower-case letters, digits and hyphens")));
        }
        for (name, value, most) in [
            ("version", &self.version, MAX_NAME_BYTES),
            ("wit", &self.wit, MAX_NAME_BYTES),
            ("world", &self.world, MAX_NAME_BYTES),
            ("description", &self.description, MAX_DESCRIPTION_BYTES),
            ("license", &self.license, MAX_DESCRIPTION_BYTES),
        ] {
            if value.is_empty() || value.len() > most || value.chars().any(char::is_control) {
                return Err(field(name, format!("is not a line of 1 to {most} bytes")));
            }
        }
        if self.read.len() > MAX_GRANTS {
            return Err(field("read", format!("asks for {} grants, more than {MAX_GRANTS}", self.read.len())));
        }
        for glob in &self.read {
            check_glob(glob).map_err(|problem| field("read", problem))?;
        }
        Ok(())
    }
}

fn field(field: &'static str, problem: String) -> ManifestError {
    ManifestError::Field { field, problem }
}

fn check_glob(glob: &str) -> Result<(), String> {
    if glob.len() > MAX_TARGET_BYTES {
        return Err(format!("has a glob of {} bytes, more than {MAX_TARGET_BYTES}", glob.len()));
    }
    crate::grants::parse_glob(glob).map(drop)
}

// "0.1.7" -> ("0", "1"): before 1.0 the minor version is the one that breaks.
fn major_minor(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

fn find_section(component: &[u8]) -> Result<&[u8], ManifestError> {
    let mut sections = Vec::new();
    let mut depth = 0_usize;
    for (index, payload) in Parser::new(0).parse_all(component).enumerate() {
        let payload = match payload {
            Err(_) if index == 0 => return Err(ManifestError::NoComponent("")),
            payload => payload.map_err(ManifestError::Malformed)?,
        };
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if index == 0 => {
                return Err(ManifestError::NoComponent(" but a core module"));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // Only the outermost component speaks for itself, not what it embeds.
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => sections.push(section.data()),
            _ => {}
        }
    }
    match sections[..] {
        [section] => Ok(section),
        [] => Err(ManifestError::Missing),
        _ => Err(ManifestError::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"name":"dpkg","version":"1.0.0","description":"A test.","license":"Apache-2.0",
        "wit":"0.1.0","world":"applicability","read":["/var/lib/dpkg/status"]}"#;

    fn component(manifest: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (@custom \"farrier-manifest\" {manifest:?}))")).unwrap()
    }

    fn error(bytes: &[u8]) -> String {
        Manifest::read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_is_read_without_compiling() {
        let manifest = Manifest::read(&component(MANIFEST)).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.read.len()), ("dpkg", 1));
        assert_eq!(manifest.check_runs_here(), Ok(()));
    }

    #[test]
    fn what_is_no_component_is_named() {
        assert_eq!(error(b"hello"), "this is no WASM component");
        assert_eq!(error(&wat::parse_str("(module)").unwrap()), "this is no WASM component but a core module");
        assert!(error(&wat::parse_str("(component)").unwrap()).contains("has no manifest"));
        let whole = component(MANIFEST);
        assert_eq!(error(&whole[..whole.len() - 1]), "the component is malformed");
    }

    #[test]
    fn only_the_outermost_component_has_a_manifest() {
        let inner = format!("(component (component (@custom \"farrier-manifest\" {MANIFEST:?})))");
        assert!(error(&wat::parse_str(inner).unwrap()).contains("has no manifest"));
        let section = format!("(@custom \"farrier-manifest\" {MANIFEST:?})");
        let twice = wat::parse_str(format!("(component {section} {section})")).unwrap();
        assert_eq!(error(&twice), "the component has more than one manifest");
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        let name = component(&MANIFEST.replace("\"dpkg\"", "\"Dpkg\""));
        assert!(error(&name).starts_with("the manifest's `name` is not"), "{}", error(&name));
        let read = component(&MANIFEST.replace("/var/", "var/"));
        assert!(error(&read).starts_with("the manifest's `read` `var/lib"), "{}", error(&read));
        let license = component(&MANIFEST.replace("Apache-2.0", ""));
        assert!(error(&license).starts_with("the manifest's `license`"));
        assert_eq!(error(&component("{}")), "the manifest cannot be read");
    }

    #[test]
    fn a_plugin_for_another_world_or_version_says_so() {
        let runs = |from, to| Manifest::read(&component(&MANIFEST.replace(from, to))).unwrap().check_runs_here();
        assert_eq!(runs("\"0.1.0\"", "\"0.1.9\""), Ok(()));
        assert!(runs("\"0.1.0\"", "\"0.2.0\"").unwrap_err().contains("built for farrier:policy 0.2.0"));
        assert!(runs("applicability", "installer").unwrap_err().contains("the world `installer`"));
    }
}
