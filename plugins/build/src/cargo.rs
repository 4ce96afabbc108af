//! What `Cargo.toml` and `Cargo.lock` say. Read without cargo, so that no compiler and no network is needed.

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";

/// A crate in a folder of this machine.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Its folder.
    pub folder: PathBuf,
    /// The name of its package.
    pub package: String,
    /// The name of its library, which its file has.
    pub library: String,
    /// What is compiled into it: names of packages. Cargo.lock does not tell it from what its tests need.
    pub dependencies: BTreeSet<String>,
    /// Those of them that are in folders of this machine.
    local: Vec<PathBuf>,
}

impl Crate {
    /// The crate in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = fs::canonicalize(folder).with_context(|| format!("opening {}", folder.display()))?;
        let manifest: Table = read_toml(&folder.join(MANIFEST))?;
        let text = |table: &str| Some(manifest.get(table)?.get("name")?.as_str()?.to_owned());
        let package = text("package").with_context(|| format!("{} has no package", folder.join(MANIFEST).display()))?;
        let library = text("lib").unwrap_or_else(|| package.replace('-', "_"));
        let root = workspace_of(&folder)?;
        let inherited = root.table.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let (mut dependencies, mut local) = (BTreeSet::new(), Vec::new());
        for (name, settings) in compiled(&manifest) {
            let is_inherited = settings.get("workspace").and_then(Value::as_bool) == Some(true);
            let (settings, base) = match inherited.and_then(|all| all.get(name)).filter(|_| is_inherited) {
                Some(settings) => (settings, &root.folder),
                None => (settings, &folder),
            };
            dependencies.insert(settings.get("package").and_then(Value::as_str).unwrap_or(name).to_owned());
            local.extend(settings.get("path").and_then(Value::as_str).map(|path| base.join(path)));
        }
        Ok(Self { folder, package, library, dependencies, local })
    }

    /// This crate and every crate of this machine that is compiled into it, by the name of its package.
    pub fn with_local_dependencies(&self) -> Result<BTreeMap<String, Self>> {
        let mut crates = BTreeMap::from([(self.package.clone(), self.clone())]);
        let mut ahead = self.local.clone();
        while let Some(folder) = ahead.pop() {
            let found = Self::open(&folder)?;
            ahead.extend_from_slice(&found.local);
            if crates.insert(found.package.clone(), found.clone()).is_some() {
                ahead.truncate(ahead.len() - found.local.len());
            }
        }
        Ok(crates)
    }

    /// The folder of the workspace it is built in: the one that has its `Cargo.lock`.
    pub fn workspace(&self) -> Result<PathBuf> {
        Ok(workspace_of(&self.folder)?.folder)
    }
}

/// The version of the package in a folder, as `Cargo.toml` or that of its workspace says.
pub fn version(folder: &Path) -> Result<String> {
    let folder = fs::canonicalize(folder).with_context(|| format!("opening {}", folder.display()))?;
    let manifest: Table = read_toml(&folder.join(MANIFEST))?;
    let version_in = |table: &Value| table.get("version").and_then(Value::as_str).map(str::to_owned);
    let package =
        manifest.get("package").with_context(|| format!("{} has no package", folder.join(MANIFEST).display()))?;
    let inherited = || {
        let root = workspace_of(&folder).ok()?;
        version_in(root.table.get("workspace")?.get("package")?)
    };
    version_in(package)
        .or_else(inherited)
        .with_context(|| format!("{} has no version", folder.join(MANIFEST).display()))
}

/// What a manifest compiles into the library: names and settings.
fn compiled(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(Value::as_table).chain([manifest]);
    let dependencies = tables.flat_map(|table| ["dependencies", "build-dependencies"].map(|name| table.get(name)));
    let entries = dependencies.flatten().filter_map(Value::as_table).flatten();
    entries.map(|(name, settings)| (name.as_str(), settings))
}

struct Root {
    folder: PathBuf,
    table: Table,
}

/// The workspace of the crate in a folder: its own, that of a folder above, or none, which is the folder alone.
fn workspace_of(folder: &Path) -> Result<Root> {
    for above in folder.ancestors() {
        let path = above.join(MANIFEST);
        if path.exists() {
            let table: Table = read_toml(&path)?;
            if table.contains_key("workspace") {
                return Ok(Root { folder: above.to_owned(), table });
            }
        }
    }
    Ok(Root { folder: folder.to_owned(), table: Table::new() })
}

/// Cargo.lock, as far as it matters.
#[derive(Debug, Deserialize)]
pub struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

/// A package of Cargo.lock.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from; none, if it is in a folder of this machine.
    pub source: Option<String>,
    /// What it was when it was locked.
    pub checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Lock {
    /// The one of a workspace.
    pub fn read(workspace: &Path) -> Result<Self> {
        read_toml(&workspace.join(LOCK))
    }

    /// Whether a workspace has one.
    pub fn is_there(workspace: &Path) -> bool {
        workspace.join(LOCK).exists()
    }

    /// The package and all that is compiled into it: not what only tests need.
    pub fn closure<'a>(&'a self, package: &str, crates: &BTreeMap<String, Crate>) -> Result<Vec<&'a Package>> {
        let root = self.find(package)?;
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

    /// The package of a dependency: `name`, or `name version` where there are several of the name.
    fn find(&self, dependency: &str) -> Result<&Package> {
        let (name, version) = dependency.split_once(' ').map_or((dependency, None), |(name, rest)| (name, Some(rest)));
        let version = version.and_then(|version| version.split(' ').next());
        let mut named = self.package.iter().filter(|package| package.name == name);
        named
            .find(|package| version.is_none_or(|version| package.version == version))
            .ok_or_else(|| anyhow!("Cargo.lock has no package {dependency}: run `cargo update --workspace`"))
    }
}

/// The crate of a package that is in a folder of this machine.
pub fn crate_of<'a>(package: &Package, crates: &'a BTreeMap<String, Crate>) -> Result<&'a Crate> {
    crates.get(&package.name).with_context(|| format!("no Cargo.toml says in which folder {} is", package.name))
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}
