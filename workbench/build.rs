//! Packs what `farrier plugin new` puts into a project: the SDK, the WIT and the templates.
//!
//! The SDK takes versions and lints from this workspace. What it takes is packed as the `Cargo.toml` of a workspace of
//! its own, so that it builds outside of this repository as it does inside.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};
use toml::{Table, Value};

/// What is packed below `vendor/farrier` of a project, from the root of this repository.
const VENDORED: [&str; 2] = ["plugins/sdk", "wit"];
/// Folders that no project needs.
const LEFT_OUT: [&str; 3] = ["tests", "target", "released"];

fn main() -> Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("not run by cargo")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").context("not run by cargo")?);
    let root = here.join("..");
    let mut vendored = Vec::new();
    for folder in VENDORED {
        collect(&root, Path::new(folder), &mut vendored)?;
    }
    let mut templates = Vec::new();
    collect(&here.join("templates"), Path::new(""), &mut templates)?;

    let (workspace, members) = workspace(&root, &vendored)?;
    let mut text =
        "/// What goes below `vendor/farrier`: path and content.\npub const VENDORED: &[(&str, &[u8])] = &[\n"
            .to_owned();
    // A copy, so that what is built never depends on where this clone is: a build cache may be shared.
    let pack = |name: &str, content: &[u8], position: usize| -> Result<String> {
        let file = out.join(format!("packed-{position}"));
        fs::write(&file, content)?;
        Ok(format!("    ({name:?}, include_bytes!({file:?})),\n"))
    };
    text += &pack("Cargo.toml", workspace.as_bytes(), 0)?;
    for (position, path) in (1..).zip(&vendored) {
        let name = slashed(path)?;
        let content =
            if members.contains(&name) { member(&root.join(path))?.into_bytes() } else { fs::read(root.join(path))? };
        text += &pack(&name, &content, position)?;
    }
    text += "];\n/// The templates: language/world/path, and content.\npub const TEMPLATES: &[(&str, &[u8])] = &[\n";
    for (position, path) in (1 + vendored.len()..).zip(&templates) {
        text += &pack(&slashed(path)?, &fs::read(here.join("templates").join(path))?, position)?;
    }
    fs::write(out.join("packed.rs"), text + "];\n")?;
    for changed in ["../plugins/sdk", "../wit", "../Cargo.toml", "templates", "build.rs"] {
        println!("cargo::rerun-if-changed={changed}");
    }
    Ok(())
}

/// The files below a folder, sorted, as paths below `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let path = root.join(folder);
    let mut entries = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut names = entries.by_ref().map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let below = folder.join(&name);
        if !root.join(&below).is_dir() {
            files.push(below);
        } else if !LEFT_OUT.iter().any(|left_out| name == *left_out) || root.ends_with("templates") {
            collect(root, &below, files)?;
        }
    }
    Ok(())
}

fn slashed(path: &Path) -> Result<String> {
    path.to_str().map(|path| path.replace('\\', "/")).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The workspace of the vendored crates, with what they inherit, and the paths of their manifests.
fn workspace(root: &Path, vendored: &[PathBuf]) -> Result<(String, BTreeSet<String>)> {
    let ours: Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
    let ours = ours.get("workspace").and_then(Value::as_table).context("the workspace has no [workspace]")?;
    let mut members = BTreeSet::new();
    let mut folders = Vec::new();
    let mut inherited = BTreeSet::new();
    for path in vendored.iter().filter(|path| path.ends_with("Cargo.toml")) {
        members.insert(slashed(path)?);
        folders.push(Value::String(slashed(path.parent().unwrap_or(Path::new("")))?));
        inherited_by(&toml::from_str(&member(&root.join(path))?)?, &mut inherited);
    }
    let mut dependencies = Table::new();
    for name in inherited {
        let known = ours.get("dependencies").and_then(|all| all.get(&name));
        let Some(dependency) = known else { bail!("{name} is inherited and not in the workspace's dependencies") };
        let mut dependency = dependency.clone();
        // Of ours there is only what is packed, and it is where it was.
        let path = dependency.get("path").and_then(Value::as_str).map(str::to_owned);
        if let Some(path) = path {
            let is_packed = vendored.iter().any(|file| file.starts_with(&path));
            if !is_packed {
                bail!("the SDK needs {name} at {path}, which is not packed: see VENDORED in workbench/build.rs");
            }
            if let Some(table) = dependency.as_table_mut() {
                table.insert("path".to_owned(), Value::String(path));
            }
        }
        dependencies.insert(name, dependency);
    }
    let mut workspace = Table::new();
    workspace.insert("resolver".to_owned(), Value::String("3".to_owned()));
    workspace.insert("members".to_owned(), Value::Array(folders));
    for name in ["package", "lints"] {
        if let Some(value) = ours.get(name) {
            workspace.insert(name.to_owned(), value.clone());
        }
    }
    workspace.insert("dependencies".to_owned(), Value::Table(dependencies));
    let whole = Table::from_iter([("workspace".to_owned(), Value::Table(workspace))]);
    let head = "# Farrier's SDK for plugins, as `farrier plugin new` and `farrier plugin vendor` write it.\n\n";
    Ok((head.to_owned() + &toml::to_string(&whole)?, members))
}

/// A vendored crate's manifest, without what only its tests need.
fn member(path: &Path) -> Result<String> {
    let mut manifest: Table = toml::from_str(&fs::read_to_string(path)?)?;
    for name in ["dev-dependencies", "test", "bench", "example"] {
        manifest.remove(name);
    }
    Ok(toml::to_string(&manifest)?)
}

/// The names of the dependencies that this manifest takes from its workspace.
fn inherited_by(manifest: &Table, names: &mut BTreeSet<String>) {
    for (name, value) in manifest {
        let Value::Table(table) = value else { continue };
        if name == "dependencies" || name == "build-dependencies" {
            let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
            names.extend(table.iter().filter(|(_, value)| inherits(value)).map(|(name, _)| name.clone()));
        } else if name == "target" {
            table.values().filter_map(Value::as_table).for_each(|target| inherited_by(target, names));
        }
    }
}
