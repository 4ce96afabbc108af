//! What is said of a component before it is compiled: what is in it, what is unusual, what it asks for.

use crate::artefacts::{built, compiled, with_manifest};
use farrier_runtime::{Limits, LoadError, Manifest, Profile, Runtime, inspect};
use serde_json::{Value, json};

/// A built plugin with these fields in its manifest.
fn altered(plugin: &str, changes: Value) -> Vec<u8> {
    let component = built(plugin);
    let mut manifest = serde_json::to_value(Manifest::read(&component).unwrap()).unwrap();
    for (field, value) in changes.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    with_manifest(&component, manifest.to_string().as_bytes())
}

fn warnings(plugin: &str, changes: Value) -> Vec<String> {
    inspect(&altered(plugin, changes)).unwrap().warnings
}

#[test]
fn a_component_is_told_by_its_parts() {
    let component = built("hostile");
    let inspection = inspect(&component).unwrap();
    assert_eq!(inspection.manifest.name, "hostile");
    let sizes = inspection.sizes;
    assert_eq!(sizes.total, component.len());
    assert_eq!(sizes.code + sizes.data + sizes.custom + sizes.other, sizes.total);
    assert!(sizes.code > sizes.data && sizes.code > sizes.total / 2, "{sizes:?}");
    assert!(inspection.core_modules > 0 && inspection.memories == 1 && inspection.initial_memory_bytes > 0);
    assert!(inspection.imports.iter().any(|import| import == "farrier:policy/facts@1.0.0"), "{:?}", inspection.imports);
    assert_eq!(inspection.exports, ["farrier:policy/compliance@1.0.0"]);
}

#[test]
fn what_is_unusual_is_told() {
    let request = |grant: &str| json!([{ "grant": grant, "reason": "because" }]);
    for (plugin, changes, words) in [
        ("hostile", json!({ "world": "inventory" }), "no agent of this version runs the world `inventory`"),
        ("hostile", json!({ "wit": "1.9.0" }), "it was built for farrier:policy 1.9.0, and this host has 1.0.0"),
        ("hostile", json!({ "read": request("/**") }), "it asks to read `/**`, which is nearly everything"),
        ("hostile", json!({ "read": request("/*/shadow") }), "it asks to read `/*/shadow`, which is nearly everything"),
        ("hostile", json!({ "read": request("/etc/**") }), "it asks to read `/etc/**`, and so /etc/shadow"),
        ("hostile", json!({ "limits": { "memory_mebibytes": 60 } }), "it asks for 62914560 bytes of memory"),
        ("hostile", json!({ "limits": { "call_seconds": 60 } }), "it asks for 60 s a call"),
        ("hostile", json!({ "rules": { "encoding": "yaml" } }), "no site of this version encodes `yaml`"),
        ("hostile", json!({ "rules": { "encoding": "json" } }), "its rules are JSON without a schema"),
        ("hostile", json!({ "source": null }), "it does not say what it was built from"),
        ("hostile-installer", json!({ "write": request("/etc/**") }), "it asks to write `/etc/**`, which is nearly"),
        (
            "hostile-installer",
            json!({ "write": request("/etc/sudo*") }),
            "it asks to write `/etc/sudo*`, and so /etc/sudoers",
        ),
        ("hostile-installer", json!({ "run": request("/usr/bin/python3 *") }), "it asks to run /usr/bin/python3"),
        ("hostile-installer", json!({}), "it asks to run /bin/sh, which does whatever it is told"),
    ] {
        let warnings = warnings(plugin, changes.clone());
        assert!(warnings.iter().any(|warning| warning.contains(words)), "{changes}: {warnings:#?}");
    }
    let mut lying =
        altered("hostile-installer", json!({ "world": "applicability", "scopes": ["a"], "write": [], "run": [] }));
    let found = inspect(&lying).unwrap().warnings;
    assert!(found.iter().any(|warning| warning.contains("it imports `farrier:policy/process@1.0.0`")), "{found:#?}");
    assert!(
        found.iter().any(|warning| warning.contains("it does not export `farrier:policy/compliance`")),
        "{found:#?}"
    );
    // Padding in a custom section of its own.
    let padding = vec![b'x'; (1 << 20) - 100];
    lying.extend([&[0, 0x9e, 0xff, 0x3f, 1, b'p'], padding.as_slice()].concat());
    assert!(inspect(&lying).is_err() || inspect(&lying).unwrap().warnings.iter().any(|line| line.contains("it has ")));
    let wasi = inspect(&crate::stage::wat("wasi-import")).unwrap().warnings;
    assert!(wasi.iter().any(|warning| warning.contains("no agent links WASI")), "{wasi:#?}");
}

#[test]
fn a_plugin_gets_what_it_asks_for_if_that_is_not_too_much() {
    let runtime = Runtime::new(Profile::Native, Limits::default()).unwrap();
    let load = |limits: Value| runtime.load(&altered("hostile", json!({ "limits": limits })), compiled()).map(drop);
    assert!(load(json!({ "memory_mebibytes": 48, "call_seconds": 10 })).is_ok());
    let error = load(json!({ "memory_mebibytes": 49 })).unwrap_err();
    assert!(matches!(error, LoadError::AsksForMore { .. }));
    assert_eq!(
        error.to_string(),
        "the plugin asks for 51380224 bytes of memory, and this client gives a plugin 50331648: write `memory_bytes = \
         51380224` under [limits] in agent.toml, or ask for less in its plugin.toml"
    );
    let error = load(json!({ "call_seconds": u32::MAX })).unwrap_err().to_string();
    assert!(error.contains("4294967295000 milliseconds a call") && error.contains("`call_milliseconds = "), "{error}");
}
