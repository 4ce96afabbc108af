//! Rules and instructions: from what a person writes to the bytes that a plugin gets.

use crate::sign::from_hex;
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use farrier_protocol::catalog::MAX_CHUNK_RULE_BYTES;
use farrier_runtime::Manifest;
use serde_json::{Map, Value};

/// Bytes of one rule, at most: with its length it has to fit into a chunk.
const MAX_RULE_BYTES: usize = MAX_CHUNK_RULE_BYTES - 2;

/// How a site encodes rules and instructions. The workbench is told, so that a plugin gets here what it will get there.
pub trait SiteRules: Sync {
    /// The bytes of a value, as the manifest's `rules` say.
    ///
    /// # Errors
    /// When the value does not fit the encoding or the schema.
    fn encode(&self, manifest: &Manifest, value: &toml::Value) -> Result<Vec<u8>>;
}

/// Encodings without a site: `json` without a look at the schema, `text` and `bytes`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSite;

impl SiteRules for NoSite {
    fn encode(&self, manifest: &Manifest, value: &toml::Value) -> Result<Vec<u8>> {
        let Some(rules) = &manifest.rules else {
            bail!(
                "the manifest of {} does not say what it is told: add [rules] with \
                 `encoding = \"json\"` to plugin.toml",
                manifest.name
            )
        };
        match (rules.encoding.as_str(), value) {
            ("json", value) => Ok(serde_json::to_vec(&json_of(value)?)?),
            ("text" | "bytes", toml::Value::String(text)) => Ok(text.clone().into_bytes()),
            ("text" | "bytes", _) => bail!("the encoding is `{}`: write a text or {{ hex = \"…\" }}", rules.encoding),
            (other, _) => {
                bail!("rules of the encoding `{other}` are encoded by the site only: write {{ hex = \"…\" }}")
            }
        }
    }
}

/// The bytes of a rule, or of instructions, as this plugin gets them.
///
/// A table with the one key `hex` or `base64` is bytes as they are, whatever the encoding: so a test gives a plugin
/// what no site would.
///
/// # Errors
/// When the value does not fit the encoding or the schema.
pub fn encode(manifest: &Manifest, value: &Value, site: &dyn SiteRules) -> Result<Vec<u8>> {
    let bytes = match raw(value)? {
        Some(bytes) => bytes,
        None => site.encode(manifest, &toml_of(value)?)?,
    };
    let length = bytes.len();
    ensure!(length <= MAX_RULE_BYTES, "it has {length} bytes, more than {MAX_RULE_BYTES}");
    Ok(bytes)
}

/// Bytes that are written as they are.
fn raw(value: &Value) -> Result<Option<Vec<u8>>> {
    let Some((name, Value::String(text))) =
        value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next())
    else {
        return Ok(None);
    };
    match name.as_str() {
        "hex" => from_hex(text).context("in `hex`").map(Some),
        "base64" => BASE64_STANDARD.decode(text.trim()).context("in `base64`").map(Some),
        _ => Ok(None),
    }
}

/// A chunk of this one rule, so many times: each behind its length.
pub(crate) fn chunk(rule: &[u8], times: usize) -> Result<Vec<u8>> {
    let length = u16::try_from(rule.len()).with_context(|| format!("a rule of {} bytes is too long", rule.len()))?;
    Ok([length.to_le_bytes().as_slice(), rule].concat().repeat(times))
}

/// What stands in a TOML file, as JSON. A time is a text.
pub(crate) fn json_of(value: &toml::Value) -> Result<Value> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(Value::Number)
            .with_context(|| format!("{number} is no number of JSON"))?,
        toml::Value::Boolean(truth) => Value::Bool(*truth),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(values) => Value::Array(values.iter().map(json_of).collect::<Result<_>>()?),
        toml::Value::Table(table) => {
            let entry = |(name, value): (&String, _)| Ok((name.clone(), json_of(value)?));
            Value::Object(table.iter().map(entry).collect::<Result<Map<_, _>>>()?)
        }
    })
}

/// The same backwards: a policy is TOML, so what TOML cannot say no policy tells a plugin.
fn toml_of(value: &Value) -> Result<toml::Value> {
    Ok(match value {
        Value::Null => bail!("a policy has no `null`: leave the key out"),
        Value::Bool(truth) => toml::Value::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => toml::Value::Integer(whole),
            (None, Some(broken)) => toml::Value::Float(broken),
            (None, None) => bail!("{number} is no number of a policy"),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(values) => toml::Value::Array(values.iter().map(toml_of).collect::<Result<_>>()?),
        Value::Object(map) => {
            let entry = |(name, value): (&String, _)| Ok((name.clone(), toml_of(value)?));
            toml::Value::Table(map.iter().map(entry).collect::<Result<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A manifest with this encoding.
    fn manifest(rules: Value) -> Manifest {
        serde_json::from_value(json!({
            "name": "test", "version": "1.0.0", "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
            "world": "applicability", "scopes": ["test/any"], "rules": rules,
        }))
        .unwrap()
    }

    /// A site that encodes only `dpkg`.
    struct Dpkg;

    impl SiteRules for Dpkg {
        fn encode(&self, manifest: &Manifest, value: &toml::Value) -> Result<Vec<u8>> {
            match manifest.rules.as_ref().map(|rules| rules.encoding.as_str()) {
                Some("dpkg") => Ok(value["packages"].as_array().map_or(0, Vec::len).to_string().into_bytes()),
                _ => NoSite.encode(manifest, value),
            }
        }
    }

    #[test]
    fn each_encoding_has_its_values() {
        let encoded = |rules, value| encode(&manifest(rules), &value, &Dpkg).map_err(|error| format!("{error:#}"));
        let with = |encoding: &str| json!({ "encoding": encoding });
        for (encoding, value, expected) in [
            ("json", json!({ "a": 1 }), Ok(&b"{\"a\":1}"[..])),
            ("json", json!("a"), Ok(b"\"a\"")),
            ("text", json!("a b"), Ok(b"a b")),
            ("bytes", json!("a"), Ok(b"a")),
            ("bytes", json!({ "hex": "00 ff" }), Ok(&[0, 255])),
            ("bytes", json!({ "base64": "AP8=" }), Ok(&[0, 255])),
            ("json", json!({ "hex": "7b" }), Ok(b"{")),
            ("json", json!({ "hex": "7b", "b": 1 }), Ok(b"{\"b\":1,\"hex\":\"7b\"}")),
            ("dpkg", json!({ "packages": [1, 2] }), Ok(b"2")),
            ("json", json!({ "a": null }), Err("a policy has no `null`")),
            ("text", json!({ "a": 1 }), Err("write a text")),
            ("bytes", json!(1), Err("write a text")),
            ("bytes", json!({ "hex": "0" }), Err("pairs of hexadecimal digits")),
            ("bytes", json!({ "base64": "?" }), Err("in `base64`")),
            ("yaml", json!("a"), Err("encoded by the site only")),
        ] {
            match (encoded(with(encoding), value.clone()), expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected, "{encoding} {value}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{encoding} {value}: {error}"),
                (got, expected) => panic!("{encoding} {value}: {got:?}, not {expected:?}"),
            }
        }
        assert!(encoded(Value::Null, json!({})).unwrap_err().contains("add [rules]"));
        assert!(encoded(with("text"), json!("x".repeat(MAX_RULE_BYTES + 1))).unwrap_err().contains("more than 65534"));
    }

    #[test]
    fn toml_is_json() {
        let table: toml::Table = toml::from_str("a = [1, 1.5, true, 'x', 2026-11-23]\nb = { c = {} }").unwrap();
        let json = json_of(&toml::Value::Table(table)).unwrap();
        assert_eq!(json, json!({ "a": [1, 1.5, true, "x", "2026-11-23"], "b": { "c": {} } }));
        assert_eq!(json_of(&toml_of(&json).unwrap()).unwrap(), json);
        assert!(json_of(&toml::Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn rules_of_a_chunk_stand_behind_their_length() {
        assert_eq!(chunk(b"ab", 2).unwrap(), b"\x02\0ab\x02\0ab");
        assert!(chunk(&[0; 70_000], 1).is_err());
    }
}
