//! The manifest of a plugin: a custom section of the component, read before anything is compiled.
//!
//! `docs/plugin-manifest.schema.json` describes it.

mod section;
mod version;

use crate::grants::{Glob, RunGrant, is_fact};
use farrier_protocol::assignment::{MAX_GRANTS, MAX_NAME_BYTES, MAX_RUN_BYTES, MAX_TARGET_BYTES};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of `farrier:policy` this host speaks; it runs plugins built for the same major version up to this minor one.
pub const WIT_VERSION: &str = "1.0.0";
/// Bytes of the manifest, at most. Most of it is the schema of its rules.
pub(crate) const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Bytes of the description, of the license and of the homepage, at most.
const MAX_DESCRIPTION_BYTES: usize = 1 << 10;
/// Characters of the reason for a grant, at most.
const MAX_REASON_CHARS: usize = 200;
/// Patterns of scopes, at most.
const MAX_SCOPES: usize = 16;
/// Hexadecimal digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

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
///
/// Fields that this host does not know are passed over: a later version may have more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// The plugin's version, as Semantic Versioning has it.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Its license, as an SPDX expression.
    pub license: String,
    /// Where more is said of it: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The version of `farrier:policy` it was built for.
    pub wit: String,
    /// The world it is for: `applicability` or `installer`. What else there may be one day is kept as it is.
    pub world: String,
    /// The scopes it may name, if it is an applicability plugin: patterns, `*` does not cross a `/`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What policies tell it: the rules of an applicability plugin, the instructions of an installer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// What it needs of memory and time, where that is not what every plugin gets.
    #[serde(default)]
    pub limits: AskedLimits,
    /// What it asks to read: globs over the endpoint's root, and names of facts.
    #[serde(default)]
    pub read: Vec<Request>,
    /// The files it asks to write, if it is an installer: globs over the endpoint's root.
    #[serde(default)]
    pub write: Vec<Request>,
    /// The programs it asks to run, if it is an installer: [`RunGrant`]s.
    #[serde(default)]
    pub run: Vec<Request>,
    /// SHA-256 of what it was built from, in lower-case hexadecimal. The build writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// How policies tell a plugin what it has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// `json`, `text`, `bytes` or `dpkg`. The set is open; a site refuses to author what it cannot encode.
    pub encoding: String,
    /// The JSON Schema of one of them, an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// What a plugin asks for of memory and time. What is absent is as the agent gives it to every plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedLimits {
    /// MiB of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mebibytes: Option<u32>,
    /// Seconds of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_seconds: Option<u32>,
}

/// A grant that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The grant.
    pub grant: String,
    /// What it needs it for: a sentence for whoever approves it.
    pub reason: String,
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
    /// A component of somebody else, or one that was not built by `farrier plugin build`.
    #[error(
        "the component has no manifest (no custom section `farrier-manifest`): build it with `farrier plugin build`"
    )]
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
        Self::from_json(section::find(component)?)
    }

    /// The manifest of this JSON text, as it is in a component.
    ///
    /// # Errors
    /// When it is no valid one.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { bytes: json.len() });
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|error| too_old(json).unwrap_or(ManifestError::Json(error)))?;
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
        self.check_runs_on(WIT_VERSION)
    }

    /// Whether a host that has this version of `farrier:policy` can run the plugin; if not, the reason in words.
    ///
    /// # Errors
    /// When it was built for another major version, or for a newer minor one.
    pub fn check_runs_on(&self, host: &str) -> Result<(), String> {
        let remedy = match (version::major_minor(&self.wit), version::major_minor(host)) {
            (Some((wit, minor)), Some((major, most))) if wit == major && minor <= most => return Ok(()),
            (Some(wit), Some(host)) if wit > host => "update the agent",
            _ => "build it again with a newer farrier-plugin-sdk",
        };
        Err(format!("it was built for farrier:policy {}, and this host has {host}: {remedy}", self.wit))
    }

    /// Whether it said that it may name this scope.
    #[must_use]
    pub fn announces(&self, scope: &str) -> bool {
        self.scopes.iter().any(|pattern| matches_scope(pattern, scope))
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
        for (name, value) in [("version", &self.version), ("wit", &self.wit)] {
            if !version::is_version(value) {
                return Err(field(name, format!("is `{value}`, not a version such as 1.0.0")));
            }
        }
        self.validate_homepage()?;
        self.validate_scopes()?;
        self.validate_rules()?;
        self.validate_limits()?;
        self.validate_source()?;
        check_requests("read", &self.read, check_read)?;
        check_requests("write", &self.write, check_glob)?;
        check_requests("run", &self.run, check_run)?;
        let effects = [("write", &self.write), ("run", &self.run)];
        if let Some((name, _)) = effects.into_iter().find(|(_, grants)| !grants.is_empty())
            && self.known_world() == Some(World::Applicability)
        {
            return Err(field(name, "asks for what no plugin of the world `applicability` gets".to_owned()));
        }
        Ok(())
    }

    fn validate_homepage(&self) -> Result<(), ManifestError> {
        let Some(homepage) = &self.homepage else { return Ok(()) };
        let is_url = ["https://", "http://"].iter().any(|scheme| {
            homepage
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()))
        });
        if !is_url || homepage.len() > MAX_DESCRIPTION_BYTES {
            return Err(field(
                "homepage",
                format!("is not a URL (https://...) of at most {MAX_DESCRIPTION_BYTES} bytes"),
            ));
        }
        Ok(())
    }

    fn validate_scopes(&self) -> Result<(), ManifestError> {
        let is_pattern = |scope: &&String| {
            (1..=MAX_TARGET_BYTES).contains(&scope.len()) && scope.chars().all(|c| c.is_ascii_graphic())
        };
        if self.scopes.len() > MAX_SCOPES {
            return Err(field("scopes", format!("has {} patterns, more than {MAX_SCOPES}", self.scopes.len())));
        }
        if let Some(scope) = self.scopes.iter().find(|scope| !is_pattern(scope)) {
            let problem = format!(
                "has `{}`, which is no scope: 1 to {MAX_TARGET_BYTES} visible ASCII characters",
                scope.escape_default()
            );
            return Err(field("scopes", problem));
        }
        match self.known_world() {
            Some(World::Applicability) if self.scopes.is_empty() => {
                Err(field("scopes", "is empty: say which scopes it may name (`file-set/*`)".to_owned()))
            }
            Some(World::Installer) if !self.scopes.is_empty() => Err(field(
                "scopes",
                "has no place in the world `installer`: only applicability plugins name scopes".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn validate_rules(&self) -> Result<(), ManifestError> {
        let Some(Rules { encoding, schema }) = &self.rules else { return Ok(()) };
        if !is_fact(encoding) {
            return Err(field("rules.encoding", "is not a word: `json`, `text`, `bytes` or `dpkg`".to_owned()));
        }
        if schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            return Err(field("rules.schema", "is not a JSON Schema: it has to be an object".to_owned()));
        }
        Ok(())
    }

    fn validate_limits(&self) -> Result<(), ManifestError> {
        for (name, asked) in [
            ("limits.memory_mebibytes", self.limits.memory_mebibytes),
            ("limits.call_seconds", self.limits.call_seconds),
        ] {
            if asked == Some(0) {
                return Err(field(
                    name,
                    "is 0, and no plugin runs with nothing: ask for more, or leave it out".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn validate_source(&self) -> Result<(), ManifestError> {
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        match &self.source {
            Some(source) if source.len() != DIGEST_DIGITS || !source.chars().all(is_digit) => {
                Err(field("source", format!("is not a SHA-256: {DIGEST_DIGITS} lower-case hexadecimal digits")))
            }
            _ => Ok(()),
        }
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            name: "dpkg".to_owned(),
            version: "1.0.0".to_owned(),
            description: "A test.".to_owned(),
            license: "Apache-2.0".to_owned(),
            homepage: None,
            wit: WIT_VERSION.to_owned(),
            world: "installer".to_owned(),
            scopes: Vec::new(),
            rules: None,
            limits: AskedLimits::default(),
            read: Vec::new(),
            write: Vec::new(),
            run: Vec::new(),
            source: None,
        }
    }
}

impl Request {
    /// Some for tests.
    #[cfg(test)]
    pub(crate) fn all(grants: &[&str]) -> Vec<Self> {
        let request = |grant: &&str| Self { grant: (*grant).to_owned(), reason: "a test needs it".to_owned() };
        grants.iter().map(request).collect()
    }
}

/// What to say of a manifest of the time before 1.0.0, which cannot be read any more.
fn too_old(json: &[u8]) -> Option<ManifestError> {
    #[derive(Deserialize)]
    struct Old {
        wit: String,
    }
    let Old { wit } = serde_json::from_slice(json).ok()?;
    let (major, _) = version::major_minor(&wit)?;
    (major == 0).then(|| {
        field(
            "wit",
            format!("is {wit}, and this host has {WIT_VERSION}: build it again with a newer farrier-plugin-sdk"),
        )
    })
}

/// Whether a scope fits a pattern, whose `*` is any characters but `/`.
fn matches_scope(pattern: &str, scope: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), scope.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if crate::grants::matches_part(pattern, part) => {}
            _ => return false,
        }
    }
}

fn check_requests(
    name: &'static str,
    requests: &[Request],
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), ManifestError> {
    if requests.len() > MAX_GRANTS {
        return Err(field(name, format!("asks for {} grants, more than {MAX_GRANTS}", requests.len())));
    }
    requests.iter().try_for_each(|Request { grant, reason }| {
        check(grant).map_err(|problem| field(name, problem))?;
        let is_reason = (1..=MAX_REASON_CHARS).contains(&reason.trim().chars().count())
            && reason.chars().count() <= MAX_REASON_CHARS
            && !reason.chars().any(char::is_control);
        if !is_reason {
            let grant = grant.escape_default();
            return Err(field(
                name,
                format!("asks for `{grant}` without a reason: a line of 1 to {MAX_REASON_CHARS} characters"),
            ));
        }
        Ok(())
    })
}

fn field(field: &'static str, problem: String) -> ManifestError {
    ManifestError::Field { field, problem }
}

fn check_read(line: &str) -> Result<(), String> {
    if is_fact(line) { Ok(()) } else { check_glob(line) }
}

fn check_glob(glob: &str) -> Result<(), String> {
    if glob.len() > MAX_TARGET_BYTES {
        return Err(format!("has a glob of {} bytes, more than {MAX_TARGET_BYTES}", glob.len()));
    }
    Glob::parse(glob).map(drop)
}

fn check_run(line: &str) -> Result<(), String> {
    if line.len() > MAX_RUN_BYTES {
        return Err(format!("has a line of {} bytes, more than {MAX_RUN_BYTES}", line.len()));
    }
    RunGrant::parse(line)
        .map(drop)
        .map_err(|error| format!("has `{}`, which is no grant: {error}", line.escape_default()))
}

#[cfg(test)]
mod tests;
