//! What a policy file tells a plugin, as the plugin reads it: its manifest says in which encoding.

use farrier_dpkg_rules::{Binary, RuleBuilder};
use farrier_protocol::deployment::MAX_INSTRUCTION_BYTES;
use farrier_runtime::{Manifest, World};
use serde::Deserialize;
use serde_json::Map;
use std::path::{Component, Path, PathBuf};
use toml::{Table, Value};

/// Bytes of one encoded rule, at most: a rule and its length fit into a chunk.
pub const MAX_RULE_BYTES: usize = farrier_dpkg_rules::MAX_RULE_BYTES;
/// Problems with a schema that are told at once, at most.
const MAX_PROBLEMS: usize = 5;
/// The architecture of packages that are for every machine.
const ALL: &str = "all";

/// Why a plugin cannot be told what a policy file says.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It takes nothing, and is told something.
    #[error("plugin {0} takes nothing from a policy: leave it out")]
    TakesNothing(String),
    /// It takes something, and is told nothing.
    #[error("plugin {plugin} has to be told something, in the encoding `{encoding}`: write it")]
    Missing {
        /// The plugin.
        plugin: String,
        /// The encoding.
        encoding: String,
    },
    /// The manifest has an encoding that this version does not know.
    #[error(
        "plugin {plugin} takes the encoding `{encoding}`, which this version of Farrier does not know: update the site"
    )]
    UnknownEncoding {
        /// The plugin.
        plugin: String,
        /// The encoding.
        encoding: String,
    },
    /// Not what the encoding takes.
    #[error("{0}")]
    Shape(String),
    /// Not what the plugin's schema describes.
    #[error("it is not what plugin {plugin} takes: {problems}")]
    Schema {
        /// The plugin.
        plugin: String,
        /// Each with the place it is about.
        problems: String,
    },
    /// The plugin's own mistake.
    #[error("the JSON Schema in the manifest of plugin {plugin} cannot be used: {problem}")]
    BadSchema {
        /// The plugin.
        plugin: String,
        /// Why.
        problem: String,
    },
    /// A file it is to be read from.
    #[error("{file} cannot be read")]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// More than it may be.
    #[error("it has {bytes} bytes once encoded, more than {most}: say less, or put it into a file of the content")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
}

/// What a plugin reads when a policy or a test tells it this: the rule of an applicability plugin, the instructions of
/// an installer.
///
/// - `json`: one JSON text, keys sorted, without white space; checked against the manifest's schema.
/// - `text`: the string's bytes.
/// - `bytes`: `{ hex = "..." }`.
/// - `dpkg`: `{ packages = [{ name, version, architecture }] }`, as `farrier-dpkg-rules` encodes it.
///
/// # Errors
/// When the plugin takes nothing, or something else.
pub fn encode_rule(manifest: &Manifest, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let most = match manifest.known_world() {
        Some(World::Installer) => MAX_INSTRUCTION_BYTES,
        _ => MAX_RULE_BYTES,
    };
    encode_in(None, manifest, Some(value), most)
}

/// The same, with the folder that `{ file = "..." }` is below, if there is one.
pub(super) fn encode_in(
    folder: Option<&Path>,
    manifest: &Manifest,
    value: Option<&Value>,
    most: usize,
) -> Result<Vec<u8>, EncodeError> {
    let plugin = || manifest.name.clone();
    let (rules, value) = match (&manifest.rules, value) {
        (Some(rules), Some(value)) => (rules, value),
        (None, None) => return Ok(Vec::new()),
        (None, Some(_)) => return Err(EncodeError::TakesNothing(plugin())),
        // An installer that can be told something need not be.
        (Some(_), None) if manifest.known_world() == Some(World::Installer) => return Ok(Vec::new()),
        (Some(rules), None) => {
            return Err(EncodeError::Missing { plugin: plugin(), encoding: rules.encoding.clone() });
        }
    };
    let bytes = match rules.encoding.as_str() {
        "json" => json(manifest, rules.schema.as_ref(), value)?,
        "text" => text(folder, value)?,
        "bytes" => bytes(folder, value)?,
        "dpkg" => dpkg(value)?,
        encoding => {
            return Err(EncodeError::UnknownEncoding { plugin: plugin(), encoding: encoding.to_owned() });
        }
    };
    match bytes.len() {
        length if length > most => Err(EncodeError::TooLarge { bytes: length, most }),
        _ => Ok(bytes),
    }
}

fn json(manifest: &Manifest, schema: Option<&serde_json::Value>, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let value = json_of(value)?;
    if let Some(schema) = schema {
        check_schema(&manifest.name, schema, &value)?;
    }
    serde_json::to_vec(&value).map_err(|error| EncodeError::Shape(error.to_string()))
}

/// The value in JSON, the keys of every object in order.
fn json_of(value: &Value) -> Result<serde_json::Value, EncodeError> {
    Ok(match value {
        Value::String(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => number.into(),
            None => return Err(EncodeError::Shape(format!("JSON has no number {number}"))),
        },
        Value::Datetime(moment) => {
            return Err(EncodeError::Shape(format!("JSON has no dates: write \"{moment}\", in quotes")));
        }
        Value::Array(items) => items.iter().map(json_of).collect::<Result<_, _>>()?,
        Value::Table(table) => {
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort_unstable();
            let mut object = Map::new();
            for key in keys {
                if let Some(value) = table.get(key) {
                    object.insert(key.clone(), json_of(value)?);
                }
            }
            object.into()
        }
    })
}

/// Whether the JSON Schema of a plugin's rules is one that can be used.
///
/// # Errors
/// When it is none, or refers to other documents.
pub fn check_schema_of(manifest: &Manifest) -> Result<(), EncodeError> {
    let schema = manifest.rules.as_ref().and_then(|rules| rules.schema.as_ref());
    schema.map_or(Ok(()), |schema| validator(&manifest.name, schema).map(drop))
}

fn validator(plugin: &str, schema: &serde_json::Value) -> Result<jsonschema::Validator, EncodeError> {
    // References to other documents are refused: nothing is read or fetched because a plugin says so.
    jsonschema::validator_for(schema)
        .map_err(|error| EncodeError::BadSchema { plugin: plugin.to_owned(), problem: error.to_string() })
}

fn check_schema(plugin: &str, schema: &serde_json::Value, value: &serde_json::Value) -> Result<(), EncodeError> {
    let validator = validator(plugin, schema)?;
    let mut problems: Vec<String> = Vec::new();
    for error in validator.iter_errors(value).take(MAX_PROBLEMS) {
        let place = error.instance_path().to_string();
        problems.push(if place.is_empty() { error.to_string() } else { format!("at {place}, {error}") });
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(EncodeError::Schema { plugin: plugin.to_owned(), problems: problems.join("; ") }),
    }
}

fn text(folder: Option<&Path>, value: &Value) -> Result<Vec<u8>, EncodeError> {
    match value {
        Value::String(text) => Ok(text.clone().into_bytes()),
        Value::Table(table) => match only(table, "file") {
            Some(file) => {
                let bytes = read(folder, file)?;
                let text = String::from_utf8(bytes);
                text.map(String::into_bytes).map_err(|_| EncodeError::Shape(format!("{file} is no text in UTF-8")))
            }
            None => Err(no_text()),
        },
        _ => Err(no_text()),
    }
}

fn no_text() -> EncodeError {
    EncodeError::Shape("the plugin takes a text: write a string, or { file = \"...\" }".to_owned())
}

fn bytes(folder: Option<&Path>, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let table = value.as_table();
    if let Some(hex) = table.and_then(|table| only(table, "hex")) {
        let no_hex = || EncodeError::Shape("`hex` has to be pairs of hexadecimal digits".to_owned());
        return hex_bytes(hex).ok_or_else(no_hex);
    }
    match table.and_then(|table| only(table, "file")) {
        Some(file) => read(folder, file),
        None => {
            Err(EncodeError::Shape("the plugin takes bytes: write { hex = \"...\" } or { file = \"...\" }".to_owned()))
        }
    }
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The text of a table's only key.
fn only<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).filter(|_| table.len() == 1)?.as_str()
}

fn read(folder: Option<&Path>, file: &str) -> Result<Vec<u8>, EncodeError> {
    let Some(folder) = folder else {
        return Err(EncodeError::Shape("a file can be named only in a policy file: write it out here".to_owned()));
    };
    if file.is_empty() || !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
        let problem = format!("`file` is {file:?}: write a path below the policy file's folder, without `..`");
        return Err(EncodeError::Shape(problem));
    }
    let path = folder.join(file);
    std::fs::read(&path).map_err(|source| EncodeError::File { file: path, source })
}

/// The rule of the plugin `dpkg`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DpkgRule {
    packages: Vec<DpkgPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DpkgPackage {
    name: String,
    version: String,
    architecture: String,
}

fn dpkg(value: &Value) -> Result<Vec<u8>, EncodeError> {
    const SHAPE: &str =
        "the plugin takes { packages = [{ name = \"...\", version = \"...\", architecture = \"...\" }] }";
    let rule: DpkgRule = value
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| EncodeError::Shape(format!("{SHAPE}: {}", error.message())))?;
    let Some(first) = rule.packages.first() else {
        return Err(EncodeError::Shape(format!("{SHAPE}, one package or more")));
    };
    let empty = |package: &DpkgPackage| {
        [&package.name, &package.version, &package.architecture].iter().any(|text| text.is_empty())
    };
    if let Some(package) = rule.packages.iter().find(|package| empty(package)) {
        return Err(EncodeError::Shape(format!(
            "package {:?} has an empty name, version or architecture",
            package.name
        )));
    }
    let mut own = rule.packages.iter().map(|package| package.architecture.as_str()).filter(|known| *known != ALL);
    let architecture = own.next().unwrap_or(ALL);
    if let Some(other) = own.find(|other| *other != architecture) {
        return Err(EncodeError::Shape(format!(
            "its packages are for {architecture} and for {other}: write one policy for each architecture"
        )));
    }
    let encoded = (|| {
        let mut builder = RuleBuilder::new(&first.version, architecture)?;
        for package in &rule.packages {
            builder.push(&Binary {
                name: package.name.as_bytes(),
                version: package.version.as_bytes(),
                all: package.architecture == ALL,
                above: None,
            })?;
        }
        Ok(builder.finish())
    })();
    encoded.map_err(|error: farrier_dpkg_rules::EncodeError| EncodeError::Shape(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(world: &str, rules: serde_json::Value) -> Manifest {
        serde_json::from_value(json!({
            "name": "sample", "version": "1.0.0", "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
            "world": world, "scopes": ["sample/*"], "rules": rules,
        }))
        .unwrap()
    }

    fn value(text: &str) -> Value {
        toml::from_str::<Table>(&format!("it = {text}")).unwrap().remove("it").unwrap()
    }

    fn encoded(encoding: &str, text: &str) -> Result<Vec<u8>, String> {
        let manifest = manifest("applicability", json!({ "encoding": encoding }));
        encode_rule(&manifest, &value(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn json_has_sorted_keys_and_no_white_space() {
        let text = "{ b = [1, 2.5, true], a = { z = \"\u{e9}\\n\", y = {} } }";
        assert_eq!(
            encoded("json", text).unwrap(),
            "{\"a\":{\"y\":{},\"z\":\"\u{e9}\\n\"},\"b\":[1,2.5,true]}".as_bytes()
        );
        assert!(encoded("json", "2026-11-23").unwrap_err().contains("write \"2026-11-23\", in quotes"));
        assert!(encoded("json", "inf").unwrap_err().contains("JSON has no number inf"));
    }

    #[test]
    fn json_is_what_the_schema_describes() {
        let schema = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": { "name": { "type": "string" }, "mode": { "enum": ["a", "b"] } },
        });
        let manifest = manifest("applicability", json!({ "encoding": "json", "schema": schema }));
        let encode = |text: &str| encode_rule(&manifest, &value(text)).map_err(|error| error.to_string());
        assert_eq!(encode("{ name = \"x\", mode = \"a\" }").unwrap(), br#"{"mode":"a","name":"x"}"#);
        for (text, problem) in [
            ("{ mode = \"c\" }", "at /mode, "),
            ("{ mode = \"c\" }", "\"name\" is a required property"),
            ("{ name = 1 }", "at /name, 1 is not of type \"string\""),
            ("{ name = \"x\", nam = 1 }", "'nam' was unexpected"),
        ] {
            let error = encode(text).unwrap_err();
            assert!(error.starts_with("it is not what plugin sample takes: ") && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_schema_that_is_none_or_refers_to_others_is_the_plugins_mistake() {
        for schema in [json!({ "type": 1 }), json!({ "$ref": "file:///etc/passwd" })] {
            let manifest = manifest("applicability", json!({ "encoding": "json", "schema": schema }));
            assert!(matches!(check_schema_of(&manifest), Err(EncodeError::BadSchema { .. })));
            let error = encode_rule(&manifest, &value("{}")).unwrap_err().to_string();
            assert!(error.starts_with("the JSON Schema in the manifest of plugin sample"), "{error}");
        }
    }

    #[test]
    fn text_and_bytes_are_as_written() {
        assert_eq!(encoded("text", "\"a = b\\n\"").unwrap(), b"a = b\n");
        assert!(encoded("text", "1").unwrap_err().starts_with("the plugin takes a text"));
        assert_eq!(encoded("bytes", "{ hex = \"00 fF\" }").unwrap(), [0, 255]);
        for wrong in ["{ hex = \"0\" }", "{ hex = \"0g\" }", "{ hex = \"00\", file = \"a\" }", "\"00\""] {
            assert!(encoded("bytes", wrong).is_err(), "{wrong}");
        }
        assert!(encoded("bytes", "{ file = \"a\" }").unwrap_err().contains("only in a policy file"));
    }

    #[test]
    fn a_file_is_read_beside_the_policy_file_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rule"), [1, 2]).unwrap();
        let manifest = manifest("applicability", json!({ "encoding": "bytes" }));
        let read = |file: &str, most| {
            let told = value(&format!("{{ file = \"{file}\" }}"));
            encode_in(Some(folder.path()), &manifest, Some(&told), most).map_err(|error| error.to_string())
        };
        assert_eq!(read("rule", 2).unwrap(), [1, 2]);
        assert!(read("rule", 1).unwrap_err().starts_with("it has 2 bytes once encoded, more than 1"));
        assert!(read("../rule", 2).unwrap_err().contains("without `..`"));
        assert!(read("none", 2).unwrap_err().ends_with("none cannot be read"));
    }

    #[test]
    fn packages_become_a_rule_of_dpkg() {
        let text = r#"{ packages = [{ name = "openssl", architecture = "amd64", version = "3.0.17-1" },
            { name = "ca-certificates", architecture = "all", version = "2023" }] }"#;
        let rule = encoded("dpkg", text).unwrap();
        let rule = farrier_dpkg_rules::Rule::decode(&rule).unwrap();
        assert_eq!((rule.version, rule.architecture), (&b"3.0.17-1"[..], &b"amd64"[..]));
        let binaries: Vec<_> = rule.binaries().map(Result::unwrap).collect();
        assert_eq!(
            (binaries[1].name, binaries[1].version, binaries[1].all),
            (&b"ca-certificates"[..], &b"2023"[..], true)
        );
        let package =
            |architecture: &str| format!("{{ name = \"a\", version = \"1\", architecture = \"{architecture}\" }}");
        let two = format!("{{ packages = [{}, {}] }}", package("amd64"), package("arm64"));
        assert!(encoded("dpkg", &two).unwrap_err().contains("one policy for each architecture"));
        for wrong in ["{ packages = [] }", "{ package = [] }", "\"openssl\"", "{ packages = [{ name = \"a\" }] }"] {
            assert!(encoded("dpkg", wrong).unwrap_err().starts_with("the plugin takes { packages"), "{wrong}");
        }
    }

    #[test]
    fn who_takes_nothing_is_told_nothing_and_the_other_way_round() {
        let silent = manifest("applicability", json!(null));
        assert!(matches!(encode_rule(&silent, &value("1")), Err(EncodeError::TakesNothing(_))));
        assert_eq!(encode_in(None, &silent, None, 0).unwrap(), b"");
        let json = |world| manifest(world, json!({ "encoding": "json" }));
        assert!(matches!(encode_in(None, &json("applicability"), None, 0), Err(EncodeError::Missing { .. })));
        assert_eq!(encode_in(None, &json("installer"), None, 0).unwrap(), b"");
        assert!(
            matches!(encoded("cbor", "1"), Err(error) if error.contains("which this version of Farrier does not know"))
        );
    }
}
