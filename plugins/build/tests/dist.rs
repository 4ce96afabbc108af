//! `plugins/dist/` is what the sources say.

use farrier_plugins_build::{Dist, Toolchain, Workspace, build_all};
use std::{
    fs,
    io::{Write, stderr},
};

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
    for name in workspace.plugins().unwrap() {
        let bytes = fs::read(workspace.dist().join(&name).with_extension("wasm")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for private in ["/home/", "/root/", "/Users/", "/tmp/", ".cargo", ".rustup", "registry/src", "\\Users\\"] {
            assert!(!text.contains(private), "{name}: {private}");
        }
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

/// Says so even where the output of tests is captured.
fn skip(reason: &str) {
    let line = format!("SKIPPED a_fresh_build_is_the_same_to_the_byte: {reason}.\n");
    assert!(stderr().write_all(line.as_bytes()).is_ok());
}
