//! A plugin's crate, wherever it is.

use crate::{
    Component, Toolchain,
    cargo::Crate,
    guest,
    manifest::{self, Manifest},
    sources,
};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// A plugin's crate: a folder with a `Cargo.toml` and a `plugin.toml`.
#[derive(Debug, Clone)]
pub struct Project {
    guest: Crate,
    manifest: Manifest,
    root: PathBuf,
}

impl Project {
    /// The project in a folder. Its manifest is checked.
    ///
    /// # Errors
    /// If there is none, and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self> {
        for name in ["Cargo.toml", manifest::FILE] {
            ensure!(folder.join(name).exists(), "{} has no {name}: it is no plugin's crate", folder.display());
        }
        let guest = Crate::open(folder)?;
        let manifest = Manifest::read(&guest.folder)?;
        let root = guest.workspace()?;
        Ok(Self { guest, manifest, root })
    }

    /// The plugin's name, as its manifest says.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The plugin's version, as its manifest or `Cargo.toml` says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// The folder of the crate.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.guest.folder
    }

    /// SHA-256, in hexadecimal, of what the plugin is made from, as it is now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn source_digest(&self) -> Result<String> {
        sources::digest_of_crate(&self.guest)
    }

    /// Builds the component. Installs the compiler's wasm target if need be. `target_dir` is cargo's, for what is made
    /// on the way.
    ///
    /// # Errors
    /// What could not be built, and why.
    pub fn build(&self, target_dir: &Path) -> Result<Component> {
        self.build_with(&Toolchain::install()?, target_dir, guest::Locked::No)
    }

    /// The same with a compiler.
    pub(crate) fn build_with(
        &self,
        toolchain: &Toolchain,
        target_dir: &Path,
        locked: guest::Locked,
    ) -> Result<Component> {
        let building = || format!("building plugin {}", self.name());
        let paths = self.remapped_paths(toolchain)?;
        let module = guest::build(&self.guest, toolchain, target_dir, &paths, locked).with_context(building)?;
        let component = Component::of(&module, self.folder(), &self.source_digest()?).with_context(building)?;
        if let Some(path) = toolchain.private_path_in(&self.root, &component.bytes) {
            bail!("the component of {} names {path}, a path of this machine; it must be remapped", self.name());
        }
        Ok(component)
    }

    /// What turns paths of this machine into paths that are the same on every machine: from and to.
    fn remapped_paths(&self, toolchain: &Toolchain) -> Result<Vec<(PathBuf, String)>> {
        let mut paths = vec![(self.root.clone(), ".".to_owned())];
        let crates = self.guest.with_local_dependencies()?.into_values();
        let elsewhere = crates.filter(|one| !one.folder.starts_with(&self.root));
        paths.extend(elsewhere.map(|one| (one.folder, one.package)));
        paths.extend(toolchain.remapped_paths()?);
        Ok(paths)
    }
}

/// Builds the plugin in a folder; see [`Project`].
///
/// # Errors
/// What could not be built, and why.
pub fn build_project(folder: &Path, target_dir: &Path) -> Result<Component> {
    Project::open(folder)?.build(target_dir)
}
