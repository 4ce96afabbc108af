//! The components are what the sources say.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

use farrier_plugins_build::{Dist, Project, Toolchain, Workspace, build_all, build_project};
use std::{
    fs,
    io::{Write, stderr},
};
use tempfile::TempDir;

#[test]
fn every_component_was_built_from_the_sources_as_they_are() {
    let workspace = Workspace::find().unwrap();
    let dist = Dist::read(&workspace).unwrap();
    dist.check_sources(&workspace).unwrap();
    dist.check_components(&workspace).unwrap();
}

#[test]
fn no_component_names_a_path_of_a_machine() {
    let workspace = Workspace::find().unwrap();
    for plugin in workspace.plugins().unwrap() {
        let (key, bytes) = (&plugin.key, fs::read(&plugin.component).unwrap());
        // The hostile plugin tries this one.
        let text = String::from_utf8_lossy(&bytes).replace("/proc/self/root/", "");
        for private in ["/home/", "/root/", "/Users/", "/tmp/", ".cargo", ".rustup", "registry/src", "\\Users\\"] {
            assert!(!text.contains(private), "{key}: {private}");
        }
        assert!(!text.contains("wasi"), "{key} asks for an operating system");
    }
}

#[test]
fn a_fresh_build_is_the_same_to_the_byte() {
    let workspace = Workspace::find().unwrap();
    let dist = Dist::read(&workspace).unwrap();
    let Some(toolchain) = Toolchain::find().unwrap() else {
        return skip(
            "this machine has no wasm target, so plugins/dist was not rebuilt; `cargo plugins check` gets one",
        );
    };
    if let Some(difference) = dist.compiler_differs_from(&toolchain) {
        return skip(&format!("{difference}, so a rebuild cannot be compared"));
    }
    dist.check_rebuilt(&toolchain, &build_all(&workspace, &toolchain).unwrap()).unwrap();
}

/// A plugin that is nobody's: its own workspace, in a folder of its own.
fn project_outside(workspace: &Workspace) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let sdk = workspace.root().join("plugins/sdk");
    let manifest = "[package]\nname = \"outside-plugin\"\nversion = \"2.1.0\"\nedition = \"2024\"\n[lib]\nname = \
                    \"other\"\n[workspace]\n[dependencies]\nfarrier-plugin-sdk = ";
    write("Cargo.toml", &format!("{manifest}{{ path = {sdk:?}, features = [\"json\"] }}\n"));
    // So that nothing is asked of a registry.
    fs::copy(workspace.root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    let plugin = "name = \"outside\"\ndescription = \"A test.\"\nlicense = \"Apache-2.0\"\nwit = \"1.0.0\"\nworld = \
                  \"applicability\"\nscopes = [\"outside\"]\n[rules]\nencoding = \"json\"\nschema = \"rule.json\"\n";
    write("plugin.toml", plugin);
    write("rule.json", r#"{"type":"string"}"#);
    fs::create_dir(folder.path().join("src")).unwrap();
    write("src/lib.rs", PLUGIN_OUTSIDE);
    folder
}

const PLUGIN_OUTSIDE: &str = r#"#![no_std]
extern crate alloc;
use alloc::{string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts};

pub struct Outside(SharedFacts);

farrier_plugin_sdk::export!(Outside);

impl Applicability for Outside {
    type Rule<'a> = Json<&'a str>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec!["outside".into()])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(facts.clone()))
    }

    fn evaluate(&self, rule: &Json<&str>) -> Result<ComplianceState, Error> {
        Ok(if self.0.exists(rule)? { ComplianceState::Installed } else { ComplianceState::Required })
    }

    fn explain(&self, rule: &Json<&str>) -> Result<Vec<Finding>, Error> {
        assert!(!rule.is_empty(), "a rule names something");
        Ok(Vec::new())
    }
}
"#;

#[test]
fn a_plugin_outside_of_the_repository_is_built_the_same_in_every_folder() {
    let workspace = Workspace::find().unwrap();
    if Toolchain::find().unwrap().is_none() {
        return skip("this machine has no wasm target, so no plugin outside of the repository was built");
    }
    let folders = [project_outside(&workspace), project_outside(&workspace)];
    let [one, other] = folders.each_ref().map(|folder| build_project(folder.path(), workspace.target()).unwrap());
    assert!(one == other, "the folder made a difference");
    assert!(one.manifest_json.contains(r#""version":"2.1.0""#), "{}", one.manifest_json);
    assert!(one.manifest_json.contains(r#""schema":{"type":"string"}"#), "{}", one.manifest_json);
    let text = String::from_utf8_lossy(&one.bytes);
    assert!(text.contains("src/lib.rs") && text.contains(&one.manifest_json));
    assert!(!text.contains("wasi") && !text.contains(".cargo"));

    let digest = |folder: &TempDir| Project::open(folder.path()).unwrap().source_digest().unwrap();
    assert!(one.manifest_json.contains(&digest(&folders[0])));
    for name in ["src/lib.rs", "plugin.toml", "rule.json", "Cargo.toml"] {
        let (before, path) = (digest(&folders[0]), folders[0].path().join(name));
        fs::write(&path, fs::read_to_string(&path).unwrap() + "\n\n").unwrap();
        assert_ne!(digest(&folders[0]), before, "{name} is a source");
    }
    fs::create_dir(folders[0].path().join("tests")).unwrap();
    let before = digest(&folders[0]);
    fs::write(folders[0].path().join("tests/more.rs"), "").unwrap();
    assert_eq!(digest(&folders[0]), before, "tests are no source");
}

/// Says so even where the output of tests is captured.
fn skip(reason: &str) {
    let line = format!("SKIPPED a test of fresh builds: {reason}.\n");
    assert!(stderr().write_all(line.as_bytes()).is_ok());
}
