use super::*;
use serde_json::{Value, json};

const MANIFEST: &str = r#"{"name":"dpkg","version":"1.0.0","description":"A test.","license":"Apache-2.0",
    "wit":"1.0.0","world":"applicability","scopes":["debian/*/*"],
    "read":[{"grant":"/var/lib/dpkg/status","reason":"what is installed"}]}"#;

fn component(manifest: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (@custom \"farrier-manifest\" {manifest:?}))")).unwrap()
}

fn error(bytes: &[u8]) -> String {
    Manifest::read(bytes).unwrap_err().to_string()
}

/// What becomes of the sample with something else in these fields; `null` removes one.
fn altered(changes: &Value) -> Result<Manifest, String> {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(manifest.as_object_mut().unwrap().remove(field)),
            value => manifest[field] = value.clone(),
        }
    }
    Manifest::from_json(manifest.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_manifest_is_read_without_compiling() {
    let manifest = Manifest::read(&component(MANIFEST)).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.read.len()), ("dpkg", 1));
    assert_eq!(manifest.check_runs_in(World::Applicability), Ok(()));
}

#[test]
fn what_is_written_is_what_is_read() {
    let full = altered(&json!({
        "homepage": "https://farrier.example.org/",
        "rules": { "encoding": "json", "schema": { "type": "object" } },
        "limits": { "memory_mebibytes": 16, "call_seconds": 10 },
        "source": "0".repeat(64),
    }));
    for manifest in [full, altered(&json!({}))] {
        let manifest = manifest.unwrap();
        assert_eq!(Manifest::from_json(&serde_json::to_vec(&manifest).unwrap()).unwrap(), manifest);
    }
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
    let long = "x".repeat(2000);
    let request = |grant: &str, reason: &str| json!([{ "grant": grant, "reason": reason }]);
    for (changes, words) in [
        (json!({ "name": "Dpkg" }), "`name` is not 1 to 48"),
        (json!({ "name": "" }), "`name` is not 1 to 48"),
        (json!({ "version": "1.0" }), "`version` is `1.0`, not a version such as 1.0.0"),
        (json!({ "version": "1.0.0\n" }), "`version` is not a line"),
        (json!({ "wit": "one" }), "`wit` is `one`, not a version"),
        (json!({ "license": "" }), "`license` is not a line of 1 to 1024 bytes"),
        (json!({ "description": long }), "`description` is not a line"),
        (json!({ "homepage": "javascript:alert(1)" }), "`homepage` is not a URL"),
        (json!({ "homepage": "https://" }), "`homepage` is not a URL"),
        (json!({ "homepage": "https://a b" }), "`homepage` is not a URL"),
        (json!({ "scopes": [] }), "`scopes` is empty: say which"),
        (json!({ "scopes": ["a b"] }), "`scopes` has `a b`, which is no scope"),
        (json!({ "scopes": vec!["a"; 17] }), "`scopes` has 17 patterns, more than 16"),
        (json!({ "world": "installer" }), "`scopes` has no place in the world `installer`"),
        (json!({ "rules": { "encoding": "J S" } }), "`rules.encoding` is not a word"),
        (json!({ "rules": { "encoding": "json", "schema": "x" } }), "`rules.schema` is not a JSON Schema"),
        (json!({ "limits": { "memory_mebibytes": 0 } }), "`limits.memory_mebibytes` is 0"),
        (json!({ "limits": { "call_seconds": 0 } }), "`limits.call_seconds` is 0"),
        (json!({ "source": "0".repeat(63) }), "`source` is not a SHA-256"),
        (json!({ "source": "G".repeat(64) }), "`source` is not a SHA-256"),
        (json!({ "read": request("var/lib", "why") }), "`read` `var/lib` is not an absolute path"),
        (json!({ "read": request("/a/../b", "why") }), "`read` `/a/../b` is not an absolute path"),
        (json!({ "read": request("/a", "") }), "`read` asks for `/a` without a reason"),
        (json!({ "read": request("/a", "  ") }), "`read` asks for `/a` without a reason"),
        (json!({ "read": request("/a", &"x".repeat(201)) }), "`read` asks for `/a` without a reason"),
        (json!({ "read": vec![json!({ "grant": "/a", "reason": "x" }); 17] }), "`read` asks for 17 grants"),
        (json!({ "write": request("/a", "why") }), "`write` asks for what no plugin of the world `applicability` gets"),
        (json!({ "run": request("/a", "why") }), "`run` asks for what no plugin of the world `applicability` gets"),
        (
            json!({ "world": "installer", "scopes": [], "run": request("dpkg -i", "why") }),
            "`run` has `dpkg -i`, which is no grant: at character 1: `dpkg` is not an absolute path",
        ),
        (json!({ "world": "installer", "scopes": [], "write": request("opt", "why") }), "`write` `opt` is not an"),
        (json!({ "world": "installer", "scopes": [], "write": request("disk-space", "why") }), "`write` `disk-space`"),
    ] {
        let error = altered(&changes).unwrap_err();
        assert!(error.contains(words), "{changes}: {error}");
    }
    for missing in ["name", "version", "description", "license", "wit", "world"] {
        assert_eq!(altered(&json!({ missing: null })).unwrap_err(), "the manifest cannot be read", "{missing}");
    }
    assert_eq!(altered(&json!({ "read": ["/a"] })).unwrap_err(), "the manifest cannot be read");
    // As manifests were before 1.0.0.
    let error = altered(&json!({ "read": ["/a"], "wit": "0.1.0" })).unwrap_err();
    assert!(error.starts_with("the manifest's `wit` is 0.1.0, and this host has 1.0.0: build it again"), "{error}");
    assert!(matches!(Manifest::from_json(&vec![b' '; MAX_MANIFEST_BYTES + 1]), Err(ManifestError::TooLarge { .. })));
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    assert!(altered(&json!({ "colour": "blue", "limits": { "disk_mebibytes": 1 } })).is_ok());
    assert!(altered(&json!({ "world": "inventory", "scopes": [] })).is_ok());
}

#[test]
fn a_plugin_for_another_world_says_so() {
    let runs = |changes, world| altered(&changes).unwrap().check_runs_in(world);
    let installer = json!({ "world": "installer", "scopes": [] });
    assert_eq!(runs(installer.clone(), World::Installer), Ok(()));
    assert!(runs(installer, World::Applicability).unwrap_err().contains("the world `installer`"));
    assert!(runs(json!({}), World::Installer).is_err());
    assert!(runs(json!({ "world": "inventory" }), World::Installer).unwrap_err().contains("`inventory`"));
}

#[test]
fn a_host_runs_its_major_version_up_to_its_minor_one() {
    for (wit, host, verdict) in [
        ("1.0.0", "1.0.0", None),
        ("1.0.9", "1.0.0", None),
        ("1.0.0", "1.7.0", None),
        ("1.7.0", "1.7.1", None),
        ("1.1.0", "1.0.0", Some("update the agent")),
        ("2.0.0", "1.9.0", Some("update the agent")),
        ("0.1.0", "1.0.0", Some("build it again")),
        ("1.9.0", "2.0.0", Some("build it again")),
        ("1.0.0-rc.1", "1.0.0", Some("build it again")),
    ] {
        let runs = altered(&json!({ "wit": wit })).unwrap().check_runs_on(host);
        match verdict {
            None => assert_eq!(runs, Ok(()), "{wit} on {host}"),
            Some(remedy) => {
                let reason = runs.unwrap_err();
                assert!(reason.contains(remedy) && reason.contains(&format!("farrier:policy {wit}")), "{reason}");
            }
        }
    }
}

#[test]
fn scopes_are_announced_by_patterns() {
    let announces = |patterns: &[&str], scope| altered(&json!({ "scopes": patterns })).unwrap().announces(scope);
    assert!(announces(&["debian/*/*"], "debian/bookworm/amd64"));
    assert!(announces(&["a", "file-set/*"], "file-set/any"));
    assert!(announces(&["file-set/any"], "file-set/any"));
    for scope in ["debian/bookworm", "debian/a/b/c", "rpm/a/b", "debian/a/b/"] {
        assert!(!announces(&["debian/*/*"], scope), "{scope}");
    }
}

/// The schema that the code amounts to. `docs/plugin-manifest.schema.json` is this; with the environment variable
/// `UPDATE_SCHEMA` the test below writes it.
fn schema() -> Value {
    let line = |most: usize, words: &str| {
        json!({
            "type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\u0000-\\u001f\\u007f]+$", "description": words,
        })
    };
    let requests = |words: &str, grant: Value| {
        json!({
            "type": "array", "maxItems": MAX_GRANTS, "description": words,
            "items": {
                "type": "object",
                "required": ["grant", "reason"],
                "properties": {
                    "grant": grant,
                    "reason": {
                        "type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARS,
                        "pattern": "^[^\\u0000-\\u001f\\u007f]*[^\\s][^\\u0000-\\u001f\\u007f]*$",
                        "description": "What it needs it for: a line for whoever approves it.",
                    },
                },
            },
        })
    };
    let glob = json!({ "type": "string", "maxLength": MAX_TARGET_BYTES, "pattern": "^/" });
    let whole = |words: &str| json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX, "description": words });
    let version = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$";
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The manifest of a Farrier plugin",
        "description": "What is in the custom section `farrier-manifest` of a component, as JSON. plugin.toml is the same as \
            TOML, except that `rules.schema` is the path of the schema, that `source` is written by the build, and that \
            `version` may be left out where Cargo.toml has it. Unknown properties are passed over.",
        "type": "object",
        "required": ["name", "version", "description", "license", "wit", "world"],
        "properties": {
            "name": {
                "type": "string", "pattern": format!("^[a-z0-9-]{{1,{MAX_NAME_BYTES}}}$"),
                "description": "The plugin's name.",
            },
            "version": {
                "type": "string", "maxLength": MAX_NAME_BYTES, "pattern": version,
                "description": "The plugin's version, as Semantic Versioning 2.0.0 has it.",
            },
            "description": line(MAX_DESCRIPTION_BYTES, "What it does, in a sentence."),
            "license": line(MAX_DESCRIPTION_BYTES, "Its license, as an SPDX expression."),
            "homepage": {
                "type": "string", "maxLength": MAX_DESCRIPTION_BYTES, "pattern": "^https?://[!-~]+$",
                "description": "Where more is said of it.",
            },
            "wit": {
                "type": "string", "maxLength": MAX_NAME_BYTES, "pattern": version, "examples": [WIT_VERSION],
                "description": "The version of `farrier:policy` it was built for. A host runs plugins built for its major \
                    version, up to its minor one.",
            },
            "world": { "enum": World::ALL.map(World::as_str), "description": "What it is: see wit/." },
            "scopes": {
                "type": "array", "maxItems": MAX_SCOPES,
                "items": { "type": "string", "pattern": format!("^[!-~]{{1,{MAX_TARGET_BYTES}}}$") },
                "examples": [["file-set/*"]],
                "description": "The scopes it may name: patterns, `*` does not cross a `/`. At least one for an \
                    applicability plugin, none for an installer.",
            },
            "rules": {
                "type": "object", "required": ["encoding"],
                "description": "What policies tell it: the rules of an applicability plugin, the instructions of an \
                    installer. Nothing, if it is absent.",
                "properties": {
                    "encoding": { "enum": ["json", "text", "bytes", "dpkg"], "description": "How they are encoded." },
                    "schema": { "type": "object", "description": "The JSON Schema of one of them." },
                },
            },
            "limits": {
                "type": "object",
                "description": "What it needs, where that is not what the agent gives every plugin. An agent that gives less \
                    does not run it.",
                "properties": {
                    "memory_mebibytes": whole("MiB of memory."),
                    "call_seconds": whole("Seconds of one call."),
                },
            },
            "read": requests(
                "What it asks to read.",
                json!({
                    "anyOf": [glob, { "type": "string", "pattern": "^[a-z0-9-]{1,48}$" }],
                    "description": "A glob over the endpoint's root (`*` does not cross a `/`, `**` does), or the name of a \
                        fact (`disk-space`).",
                }),
            ),
            "write": requests("The files it asks to write; only an installer may.", glob.clone()),
            "run": requests(
                "The programs it asks to run; only an installer may.",
                json!({
                    "type": "string", "maxLength": MAX_RUN_BYTES,
                    "description": "Variables, the program's path, a pattern for each argument: see the author's guide.",
                }),
            ),
            "source": {
                "type": "string", "pattern": format!("^[0-9a-f]{{{DIGEST_DIGITS}}}$"),
                "description": "SHA-256 of what it was built from.",
            },
        },
    })
}

#[test]
fn the_documented_schema_is_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugin-manifest.schema.json");
    let expected = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap();
    assert_eq!(found, expected, "docs/plugin-manifest.schema.json: run this test once with UPDATE_SCHEMA=1");
}

#[test]
fn the_schema_has_every_field_and_requires_what_is_required() {
    let full = altered(&json!({
        "homepage": "https://farrier.example.org/",
        "rules": { "encoding": "json", "schema": {} },
        "limits": { "memory_mebibytes": 16, "call_seconds": 10 },
        "source": "0".repeat(64),
    }));
    let schema = schema();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let full = serde_json::to_value(full.unwrap()).unwrap();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(names(&full)), sorted(names(&schema["properties"])));
    for part in ["rules", "limits"] {
        assert_eq!(sorted(names(&full[part])), sorted(names(&schema["properties"][part]["properties"])));
    }
    for field in names(&full) {
        let is_required = schema["required"].as_array().unwrap().contains(&json!(field));
        // Which worlds need scopes is said in words.
        let fails = field != "scopes" && altered(&json!({ field.clone(): null })).is_err();
        assert_eq!(fails, is_required, "{field}");
    }
}
