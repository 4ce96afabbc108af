//! The tables of tests of the plugins in the box and of the samples, as their authors run them: `farrier plugin test`.

use anyhow::{Context as _, Result};
use farrier_tests::{copy_of, programs};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The tables of a folder: `tests/*.toml`.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("tests")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut tables: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    tables.sort();
    tables
}

/// What the command prints, if every case holds; else all that it says.
fn test(arguments: &[&Path]) -> Result<String, String> {
    let run = || -> Result<_> {
        let mut command = Command::new(programs!().farrier);
        command.args(["plugin", "test"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command.output().context("starting farrier")
    };
    let output = run().map_err(|error| format!("{error:#}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (said(&output.stdout), said(&output.stderr));
    if output.status.success() { Ok(printed) } else { Err(printed + &errors) }
}

#[test]
fn plugins_and_samples_pass_their_tables() {
    let root = root();
    let mut failures = Vec::new();
    let mut passed = 0;
    let mut note = |what: &Path, outcome: Result<String, String>| match outcome {
        Ok(printed) => passed += printed.lines().filter(|line| line.starts_with("ok ")).count(),
        Err(said) => failures.push(format!("{}:\n{said}", what.display())),
    };
    let component = Path::new("--component");
    for folder in folders(&root.join("plugins")).iter().filter(|folder| !tables(folder).is_empty()) {
        let built = root.join("plugins/dist").join(folder.file_name().unwrap()).with_extension("wasm");
        note(folder, test(&[folder, component, &built]));
    }
    for sample in folders(&root.join("policy-samples")) {
        let plugin = sample.join("plugin");
        if !tables(&plugin).is_empty() {
            note(&plugin, test(&[&plugin, component, &sample.join("plugin.wasm")]));
        }
        for table in tables(&sample) {
            note(&table, test(&[Path::new("--table"), &table]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 20, "only {passed} cases were run");
}

/// The compilers of other languages come from package registries; where they cannot be had, the language is left out.
#[test]
fn the_samples_in_other_languages_are_built_and_pass_their_tables() {
    for folder in folders(&root().join("policy-samples/languages")) {
        // Nothing is built among the sources.
        let copy = copy_of(&folder).unwrap();
        match test(&[copy.path()]) {
            Ok(printed) => assert!(printed.contains("ok "), "{}: {printed}", folder.display()),
            Err(said) if said.contains("getting ") => {
                let skipped = format!("SKIPPED {}: its compiler cannot be had here.\n{said}\n", folder.display());
                let _ = std::io::stderr().write_all(skipped.as_bytes());
            }
            Err(said) => panic!("{}:\n{said}", folder.display()),
        }
    }
}
