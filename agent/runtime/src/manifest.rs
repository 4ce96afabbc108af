//! The manifest of a plugin: a custom section of the component, read before anything is compiled.

use crate::grants::{RunGrant, parse_glob};
use farrier_protocol::assignment::{MAX_GRANTS, MAX_NAME_BYTES, MAX_RUN_BYTES, MAX_TARGET_BYTES};
use serde::{Deserialize, Serialize};
use std::fmt;
use wasmparser::{Encoding, Parser, Payload};

/// The version of `farrier:policy` this host speaks; it runs plugins built for the same `major.minor`.
pub const WIT_VERSION: &str = "0.1.0";
/// The custom section that holds the manifest, as JSON.
const SECTION: &str = "farrier-manifest";
/// Bytes of the manifest, at most.
const MAX_MANIFEST_BYTES: usize = 16 << 10;
/// Bytes of the description and of the license, at most.
const MAX_DESCRIPTION_BYTES: usize = 1 << 10;

/// The worlds this host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// Facts in, answers out.
    Applicability,
    /// Changes the endpoint, as far as it is granted.
    Installer,
}

impl World {
    /// All worlds.
    pub const ALL: [Self; 2] = [Self::Applicability, Self::Installer];

    /// Its name in manifests and in `wit/`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applicability => "applicability",
            Self::Installer => "installer",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

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
    /// The world it is for: `applicability` or `installer`. What else there may be one day is kept as it is.
    pub world: String,
    /// The files it asks for: globs over the endpoint's root.
    #[serde(default)]
    pub read: Vec<String>,
    /// The files it asks to write, if it is an installer: globs over the endpoint's root.
    #[serde(default)]
    pub write: Vec<String>,
    /// The programs it asks to run, if it is an installer: [`RunGrant`]s.
    #[serde(default)]
    pub run: Vec<String>,
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

    /// The world it is for, if this host knows it.
    #[must_use]
    pub fn known_world(&self) -> Option<World> {
        World::ALL.into_iter().find(|world| world.as_str() == self.world)
    }

    /// Whether this host can run the plugin in this world; if not, the reason in words.
    ///
    /// # Errors
    /// When it is for another world or for another version of `farrier:policy`.
    pub fn check_runs_in(&self, world: World) -> Result<(), String> {
        if self.known_world() != Some(world) {
            return Err(format!("it is for the world `{}`, and here it would have to run in `{world}`", self.world));
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
        check_grants("read", &self.read, check_glob)?;
        check_grants("write", &self.write, check_glob)?;
        check_grants("run", &self.run, check_run)?;
        let effects = [("write", &self.write), ("run", &self.run)];
        if let Some((name, _)) = effects.into_iter().find(|(_, grants)| !grants.is_empty())
            && self.known_world() == Some(World::Applicability)
        {
            return Err(field(name, "asks for what no plugin of the world `applicability` gets".to_owned()));
        }
        Ok(())
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            name: "dpkg".to_owned(),
            version: "1.0.0".to_owned(),
            description: "A test.".to_owned(),
            license: "Apache-2.0".to_owned(),
            wit: "0.1.0".to_owned(),
            world: "installer".to_owned(),
            read: Vec::new(),
            write: Vec::new(),
            run: Vec::new(),
        }
    }
}

fn check_grants(
    name: &'static str,
    grants: &[String],
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), ManifestError> {
    if grants.len() > MAX_GRANTS {
        return Err(field(name, format!("asks for {} grants, more than {MAX_GRANTS}", grants.len())));
    }
    grants.iter().try_for_each(|grant| check(grant).map_err(|problem| field(name, problem)))
}

fn field(field: &'static str, problem: String) -> ManifestError {
    ManifestError::Field { field, problem }
}

fn check_glob(glob: &str) -> Result<(), String> {
    if glob.len() > MAX_TARGET_BYTES {
        return Err(format!("has a glob of {} bytes, more than {MAX_TARGET_BYTES}", glob.len()));
    }
    parse_glob(glob).map(drop)
}

fn check_run(line: &str) -> Result<(), String> {
    if line.len() > MAX_RUN_BYTES {
        return Err(format!("has a line of {} bytes, more than {MAX_RUN_BYTES}", line.len()));
    }
    RunGrant::parse(line)
        .map(drop)
        .map_err(|error| format!("has `{}`, which is no grant: {error}", line.escape_default()))
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
        assert_eq!(manifest.check_runs_in(World::Applicability), Ok(()));
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
        let manifest = |from, to| Manifest::read(&component(&MANIFEST.replace(from, to))).unwrap();
        let runs = |from, to| manifest(from, to).check_runs_in(World::Applicability);
        assert_eq!(runs("\"0.1.0\"", "\"0.1.9\""), Ok(()));
        assert!(runs("\"0.1.0\"", "\"0.2.0\"").unwrap_err().contains("built for farrier:policy 0.2.0"));
        assert!(runs("applicability", "installer").unwrap_err().contains("the world `installer`"));
        assert!(runs("applicability", "inventory").unwrap_err().contains("the world `inventory`"));
        let installer = manifest("applicability", "installer");
        assert_eq!(installer.check_runs_in(World::Installer), Ok(()));
        assert!(manifest("\"1.0.0\"", "\"1.0.0\"").check_runs_in(World::Installer).is_err());
    }

    #[test]
    fn only_an_installer_asks_for_effects_and_only_for_grants_that_are_some() {
        let with = |world: &str, field: &str| {
            let text = MANIFEST.replace("applicability", world).replace("\"read\"", &format!("{field},\"read\""));
            Manifest::read(&component(&text)).map(drop).map_err(|error| error.to_string())
        };
        let (write, run) = (r#""write":["/opt/**"]"#, r#""run":["/usr/bin/dpkg --install {blob}..."]"#);
        for field in [write, run] {
            assert_eq!(with("installer", field), Ok(()));
            assert!(with("applicability", field).unwrap_err().contains("no plugin of the world `applicability` gets"));
        }
        let error = with("installer", r#""run":["dpkg -i"]"#).unwrap_err();
        assert_eq!(
            error,
            "the manifest's `run` has `dpkg -i`, which is no grant: at character 1: `dpkg` is not an absolute path"
        );
        assert!(with("installer", r#""write":["opt"]"#).is_err());
    }
}
