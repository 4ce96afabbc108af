//! What a plugin is made from, in one digest. Needs no compiler, no network and no wasm target.

use crate::{
    cargo::{Crate, Lock, crate_of},
    guest::PROFILE,
    hex,
    manifest::{self, Manifest},
};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Beside the SDK: what plugins and agent say to each other.
const WIT: &str = "../../wit";
const SDK: &str = "farrier-plugin-sdk";
/// Folders of a project that are made from the rest of it, or belong to nobody's component.
const NO_SOURCES: [&str; 5] = ["target", "tests", "node_modules", "dist", "__pycache__"];

/// SHA-256, in hexadecimal, over a guest crate and every crate in a folder below it, the WIT, the versions and
/// checksums of the other crates, and the compiler's settings. It does not depend on where they are.
pub(crate) fn digest_of_crate(guest: &Crate) -> Result<String> {
    let crates = guest.with_local_dependencies()?;
    let lock = Lock::read(&guest.workspace()?)?;
    let mut lines: BTreeSet<String> = PROFILE.iter().map(ToString::to_string).collect();
    for package in lock.closure(&guest.package, &crates)? {
        if package.source.is_some() {
            let checksum = package.checksum.as_ref().or(package.source.as_ref()).map_or("", String::as_str);
            lines.insert(format!("{} {} {checksum}", package.name, package.version));
            continue;
        }
        let found = crate_of(package, &crates)?;
        for file in guest_files(&found.folder)? {
            lines.insert(line(&package.name, &found.folder, &file)?);
        }
        let wit = found.folder.join(WIT);
        if package.name == SDK && wit.is_dir() {
            for file in files_in(&wit)?.into_iter().filter(|file| file.is_file()) {
                lines.insert(line("wit", &wit, &file)?);
            }
        }
    }
    Ok(digest(lines))
}

/// SHA-256, in hexadecimal, over the files of a folder, but not of what is made from them: for what is not written in
/// Rust. It does not depend on where the folder is.
///
/// # Errors
/// What cannot be read.
pub fn digest_folder(folder: &Path) -> Result<String> {
    let files = files_below(folder)?;
    Ok(digest(files.iter().map(|file| line("", folder, file)).collect::<Result<_>>()?))
}

fn digest(lines: BTreeSet<String>) -> String {
    hex(&Sha256::digest(Vec::from_iter(lines).join("\n")))
}

/// A file's name and what is in it.
fn line(of: &str, folder: &Path, file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let path = file.strip_prefix(folder)?.components().map(|part| part.as_os_str().to_string_lossy());
    Ok(format!("{of}/{} {}", path.collect::<Vec<_>>().join("/"), hex(&Sha256::digest(content))))
}

/// What of a crate is compiled.
fn guest_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files_below(&folder.join("src"))?;
    files.extend(["Cargo.toml", "build.rs"].map(|name| folder.join(name)).into_iter().filter(|file| file.exists()));
    if folder.join(manifest::FILE).exists() {
        files.extend(Manifest::files(folder)?);
    }
    Ok(files)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in files_in(folder)? {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// What is in a folder and is a source, or may have some below it.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_source = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let is_left_out = path.is_dir() && NO_SOURCES.contains(&&*name);
        !is_left_out && !name.starts_with('.')
    };
    Ok(paths.into_iter().filter(is_source).collect())
}
