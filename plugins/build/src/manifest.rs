//! What `plugin.toml` says, and the JSON of it that a component holds.
//!
//! The types are those of `agent/runtime`, which decides what a valid manifest is. What is checked here is what an
//! author should hear of before anything is compiled.

use crate::cargo;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// The name of the file.
pub const FILE: &str = "plugin.toml";
/// Bytes of the JSON, at most: no agent reads more.
const MAX_BYTES: usize = 64 << 10;
/// Characters of a reason, at most.
const MAX_REASON_CHARS: usize = 200;
/// The worlds there are.
const WORLDS: [&str; 2] = ["applicability", "installer"];
/// The encodings in which a site can write what policies say.
const ENCODINGS: [&str; 4] = ["json", "text", "bytes", "dpkg"];

/// What a plugin is and asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    /// `Cargo.toml`'s, if `plugin.toml` has none.
    #[serde(default)]
    pub version: String,
    description: String,
    license: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    wit: String,
    world: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Rules>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    read: Vec<Request>,
    #[serde(default)]
    write: Vec<Request>,
    #[serde(default)]
    run: Vec<Request>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    encoding: String,
    /// The path of the schema; in JSON the schema itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_mebibytes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call_seconds: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    grant: String,
    reason: String,
}

impl Manifest {
    /// Reads `plugin.toml` of a folder and the schema that it names, and checks them.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut manifest: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        if manifest.version.is_empty() {
            manifest.version = cargo::version(folder).with_context(|| {
                format!("{} has no `version`, and there is no Cargo.toml that says one", path.display())
            })?;
        }
        manifest.check().with_context(|| format!("in {}", path.display()))?;
        manifest.embed_schema(folder)?;
        Ok(manifest)
    }

    /// The files beside `plugin.toml` that become part of it.
    pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let manifest: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        let schema = manifest.schema_path()?.map(|schema| folder.join(schema));
        Ok([Some(path), schema].into_iter().flatten().collect())
    }

    /// The JSON that a component holds. `source` is the SHA-256 of what it was built from.
    pub fn to_json(&self, source: &str) -> Result<String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        ensure!(
            source.len() == 64 && source.bytes().all(is_digit),
            "{source:?} is no SHA-256 in lower-case hexadecimal"
        );
        let json = serde_json::to_string(&Self { source: Some(source.to_owned()), ..self.clone() })?;
        ensure!(json.len() <= MAX_BYTES, "the manifest has {} bytes, more than {MAX_BYTES}", json.len());
        Ok(json)
    }

    /// The beginning of the name of what a component of its world exports.
    pub fn export(&self) -> &'static str {
        if self.world == "installer" { "farrier:policy/installation@" } else { "farrier:policy/compliance@" }
    }

    fn check(&self) -> Result<()> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !self.name.is_empty() && self.name.bytes().all(is_plain),
            "`name`: {:?} is not of lower-case letters, digits and hyphens",
            self.name
        );
        for (field, value) in [("version", &self.version), ("wit", &self.wit)] {
            let numbers = value.split(['-', '+']).next().unwrap_or_default();
            let is_number = |word: &str| word.parse::<u64>().is_ok();
            ensure!(
                numbers.split('.').count() == 3 && numbers.split('.').all(is_number),
                "`{field}`: {value:?} is not a version such as 1.0.0"
            );
        }
        for (field, value) in [("description", &self.description), ("license", &self.license)] {
            ensure!(!value.trim().is_empty() && !value.contains('\n'), "`{field}` has to be a line of text");
        }
        let worlds = WORLDS.join("`, `");
        ensure!(WORLDS.contains(&self.world.as_str()), "`world`: {:?} is none of `{worlds}`", self.world);
        if let Some(rules) = &self.rules {
            let encodings = ENCODINGS.join("`, `");
            ensure!(
                ENCODINGS.contains(&rules.encoding.as_str()),
                "`rules.encoding`: {:?} is none of `{encodings}`",
                rules.encoding
            );
        }
        let limits = [self.limits.memory_mebibytes, self.limits.call_seconds];
        ensure!(!limits.contains(&Some(0)), "`limits`: no plugin runs with nothing; ask for more, or leave it out");
        self.check_world()?;
        for (list, requests) in [("read", &self.read), ("write", &self.write), ("run", &self.run)] {
            requests.iter().try_for_each(|request| request.check(list))?;
        }
        Ok(())
    }

    /// What one world has and the other has not.
    fn check_world(&self) -> Result<()> {
        if self.world == "installer" {
            ensure!(self.scopes.is_empty(), "an installer names no scopes: take out `scopes`");
            return Ok(());
        }
        ensure!(
            self.write.is_empty() && self.run.is_empty(),
            "only a plugin of the world `installer` writes files or runs programs: take out `write` and `run`"
        );
        ensure!(
            !self.scopes.is_empty(),
            "`scopes` is missing: the patterns of scopes that it may name, [\"{}/*\"]",
            self.name
        );
        Ok(())
    }

    fn schema_path(&self) -> Result<Option<PathBuf>> {
        let Some(schema) = self.rules.as_ref().and_then(|rules| rules.schema.as_ref()) else { return Ok(None) };
        let path = PathBuf::from(schema.as_str().context("`rules.schema` is not the path of a JSON Schema")?);
        let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(is_inside, "`rules.schema`: {} does not lie beside plugin.toml", path.display());
        Ok(Some(path))
    }

    fn embed_schema(&mut self, folder: &Path) -> Result<()> {
        let Some(path) = self.schema_path()? else { return Ok(()) };
        let path = folder.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let schema: Value = serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        ensure!(schema.is_object(), "{} is no JSON Schema: it has to be an object", path.display());
        if let Some(rules) = &mut self.rules {
            rules.schema = Some(sorted(schema));
        }
        Ok(())
    }
}

impl Request {
    fn check(&self, list: &str) -> Result<()> {
        let Self { grant, reason } = self;
        ensure!(!grant.is_empty(), "`{list}` has an empty grant");
        let is_reason = (1..=MAX_REASON_CHARS).contains(&reason.trim().chars().count()) && !reason.contains('\n');
        let wanted = format!("a line of 1 to {MAX_REASON_CHARS} characters for whoever approves it");
        ensure!(is_reason, "`{list}`: {grant:?} needs a reason, {wanted}");
        Ok(())
    }
}

/// The same with the keys of all objects in their order, so that the JSON depends on what it says only.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "name = \"a-1\"\nversion = \"1.0.0\"\ndescription = \"A.\"\nlicense = \"MIT\"\nwit = \"1.0.0\"\n";
    const READ: &str = "[[read]]\ngrant = \"/a\"\nreason = \"to look\"\n";

    fn read(text: &str, schema: &str) -> Result<Manifest> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(FILE), text)?;
        fs::write(folder.path().join("rule.json"), schema)?;
        Manifest::read(folder.path())
    }

    #[test]
    fn the_json_holds_what_the_author_wrote_the_schema_and_the_source() {
        let text = format!(
            "{LEAST}world = \"applicability\"\nscopes = [\"a/*\"]\n[rules]\nencoding = \"json\"\nschema = \
             \"rule.json\"\n[limits]\nmemory_mebibytes = 16\n{READ}"
        );
        let manifest = read(&text, r#"{"type":"object","additionalProperties":false}"#).unwrap();
        let expected = concat!(
            r#"{"name":"a-1","version":"1.0.0","description":"A.","license":"MIT","wit":"1.0.0","#,
            r#""world":"applicability","scopes":["a/*"],"rules":{"encoding":"json","#,
            r#""schema":{"additionalProperties":false,"type":"object"}},"limits":{"memory_mebibytes":16},"#,
            r#""read":[{"grant":"/a","reason":"to look"}],"write":[],"run":[],"source":"SOURCE"}"#
        );
        let source = "0".repeat(64);
        assert_eq!(manifest.to_json(&source).unwrap(), expected.replace("SOURCE", &source));
        assert!(read(&text, "{}").unwrap().to_json("0").is_err());
    }

    #[test]
    fn what_is_wrong_is_said_before_anything_is_compiled() {
        let scopes = "world = \"applicability\"\nscopes = [\"a\"]\n";
        let read_list =
            |grant: &str, reason: &str| format!("{LEAST}{scopes}[[read]]\ngrant = {grant:?}\nreason = {reason:?}\n");
        for (text, words) in [
            (LEAST.to_owned(), "missing field `world`"),
            (format!("{LEAST}world = \"magic\"\n"), "none of `applicability`"),
            (format!("{LEAST}world = \"applicability\"\n"), "`scopes` is missing"),
            (format!("{LEAST}world = \"installer\"\nscopes = [\"a\"]\n"), "an installer names no scopes"),
            (format!("{LEAST}{scopes}more = 1\n"), "unknown field `more`"),
            (format!("{LEAST}{scopes}read = [\"/a\"]\n"), "in "),
            (read_list("", "x"), "empty grant"),
            (read_list("/a", " "), "needs a reason"),
            (read_list("/a", &"x".repeat(201)), "needs a reason"),
            (format!("{LEAST}{scopes}[[write]]\ngrant = \"/a\"\nreason = \"x\"\n"), "take out `write`"),
            (format!("{LEAST}{scopes}[limits]\ncall_seconds = 0\n"), "`limits`"),
            (format!("{LEAST}{scopes}[rules]\nencoding = \"xml\"\n"), "`rules.encoding`"),
            (format!("{LEAST}{scopes}[rules]\nencoding = \"json\"\nschema = \"../x.json\"\n"), "beside plugin.toml"),
            (format!("{LEAST}{scopes}[rules]\nencoding = \"json\"\nschema = \"none.json\"\n"), "reading "),
            (format!("{LEAST}{scopes}[rules]\nencoding = \"json\"\nschema = \"rule.json\"\n"), "has to be an object"),
            (LEAST.replace("1.0.0", "1.0") + scopes, "`version`"),
            (LEAST.replace("a-1", "A") + scopes, "`name`"),
            (LEAST.replace("A.", "") + scopes, "`description`"),
            (LEAST.replace("version = \"1.0.0\"\n", "") + scopes, "no `version`"),
        ] {
            let error = format!("{:#}", read(&text, "[]").unwrap_err());
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
