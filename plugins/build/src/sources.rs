//! What a plugin is made from, in one digest. Needs no compiler, no network and no wasm target.

use crate::{Workspace, component::hex, guest::PROFILE};
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What a plugin is made from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The version of the guest crate.
    pub version: String,
    /// SHA-256, in hexadecimal, over the guest crate and every crate of ours below it, the WIT, the versions and
    /// checksums of the other crates, and the compiler's settings.
    pub sha256: String,
}

/// Cargo.lock, as far as it matters.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Sources {
    /// The sources of a plugin, as they are now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of(workspace: &Workspace, name: &str) -> Result<Self> {
        let lock: Lock = read_toml(&workspace.root().join("Cargo.lock"))?;
        let guest = lock.find(&format!("farrier-plugin-{name}"))?;
        let crates = crates(workspace)?;
        let mut files = files_below(&workspace.root().join("wit"))?;
        let mut lines: BTreeSet<String> = PROFILE.iter().map(ToString::to_string).collect();
        for package in lock.closure(guest, &crates)? {
            match (&package.source, &package.checksum) {
                (None, _) => files.extend(guest_files(&crate_of(package, &crates)?.folder)?),
                (Some(_), checksum) => {
                    let checksum = checksum.as_deref().unwrap_or_default();
                    lines.insert(format!("{} {} {checksum}", package.name, package.version));
                }
            }
        }
        for file in files {
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let path = file.strip_prefix(workspace.root())?.display();
            lines.insert(format!("{path} {}", hex(&Sha256::digest(content))));
        }
        let text = Vec::from_iter(lines).join("\n");
        Ok(Self { version: guest.version.clone(), sha256: hex(&Sha256::digest(text)) })
    }
}

impl Lock {
    /// The package of a dependency: `name`, or `name version` where there are several of the name.
    fn find(&self, dependency: &str) -> Result<&Package> {
        let (name, version) = dependency.split_once(' ').map_or((dependency, None), |(name, rest)| (name, Some(rest)));
        let mut named = self.package.iter().filter(|package| package.name == name);
        named
            .find(|package| version.is_none_or(|version| package.version == version))
            .ok_or_else(|| anyhow!("Cargo.lock has no package {dependency}"))
    }

    /// The package and all that is compiled into it: not what only its tests need.
    fn closure<'a>(&'a self, root: &'a Package, crates: &BTreeMap<String, Crate>) -> Result<Vec<&'a Package>> {
        let mut packages = vec![root];
        let mut known = BTreeSet::from([(&root.name, &root.version)]);
        let mut at = 0;
        while let Some(package) = packages.get(at) {
            let compiled = match package.source {
                None => Some(&crate_of(package, crates)?.dependencies),
                Some(_) => None,
            };
            let dependencies = package.dependencies.iter().map(|dependency| self.find(dependency));
            for dependency in dependencies.collect::<Result<Vec<_>>>()? {
                let is_compiled = compiled.is_none_or(|compiled| compiled.contains(&dependency.name));
                if is_compiled && known.insert((&dependency.name, &dependency.version)) {
                    packages.push(dependency);
                }
            }
            at += 1;
        }
        Ok(packages)
    }
}

/// A crate of ours.
struct Crate {
    folder: PathBuf,
    /// What is compiled into it. Cargo.lock does not tell it from what its tests need.
    dependencies: BTreeSet<String>,
}

fn crate_of<'a>(package: &Package, crates: &'a BTreeMap<String, Crate>) -> Result<&'a Crate> {
    crates.get(&package.name).with_context(|| {
        format!("{} is not below plugins/: a plugin depends on the SDK and rule schemas only", package.name)
    })
}

/// The crates below `plugins/` by name.
fn crates(workspace: &Workspace) -> Result<BTreeMap<String, Crate>> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Name,
        #[serde(default)]
        dependencies: toml::Table,
        #[serde(default)]
        target: BTreeMap<String, Target>,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    #[derive(Deserialize)]
    struct Target {
        #[serde(default)]
        dependencies: toml::Table,
    }
    let mut crates = BTreeMap::new();
    for entry in workspace.root().join("plugins").read_dir()? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").exists() {
            let manifest: Manifest = read_toml(&folder.join("Cargo.toml"))?;
            let tables = manifest.target.into_values().map(|target| target.dependencies);
            let dependencies = tables.chain([manifest.dependencies]).flatten().map(package_name).collect();
            crates.insert(manifest.package.name, Crate { folder, dependencies });
        }
    }
    Ok(crates)
}

/// The package of a dependency, which may go by another name.
fn package_name((name, settings): (String, toml::Value)) -> String {
    settings.get("package").and_then(toml::Value::as_str).map_or(name, str::to_owned)
}

/// What of a crate of ours is compiled.
fn guest_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files_below(&folder.join("src"))?;
    files.extend(["Cargo.toml", "plugin.toml"].map(|name| folder.join(name)).into_iter().filter(|file| file.exists()));
    Ok(files)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}
