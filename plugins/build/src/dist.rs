//! `plugins/dist/`: the built components, and what they were built from.

use crate::{Component, Toolchain, Workspace, component::hex, sources::Sources, toolchain::Compiler};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs};

const MANIFEST: &str = "manifest.toml";
const HEADER: &str = "# Written by `cargo plugins`; a test compares it with the sources.\n\n";

/// What `plugins/dist/manifest.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dist {
    /// What the components were compiled with.
    pub compiler: Compiler,
    /// The components by name.
    pub component: BTreeMap<String, Entry>,
}

/// A component of `plugins/dist/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of the component.
    pub sha256: String,
    /// SHA-256 of what it was built from.
    pub sources: String,
}

impl Dist {
    /// What the manifest of freshly built components says.
    pub(crate) fn of(workspace: &Workspace, toolchain: &Toolchain, components: &[Component]) -> Result<Self> {
        let entry = |component: &Component| {
            let sources = Sources::of(workspace, &component.name)?.sha256;
            Ok((component.name.clone(), Entry { sha256: component.sha256(), sources }))
        };
        let component = components.iter().map(entry).collect::<Result<_>>()?;
        Ok(Self { compiler: toolchain.compiler.clone(), component })
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// If it is not there or cannot be understood.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.dist().join(MANIFEST);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Writes the manifest and the components beside it.
    pub(crate) fn write(&self, workspace: &Workspace, components: &[Component]) -> Result<()> {
        let folder = workspace.dist();
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        for component in components {
            fs::write(folder.join(&component.name).with_extension("wasm"), &component.bytes)?;
        }
        fs::write(folder.join(MANIFEST), HEADER.to_owned() + &toml::to_string(self)?)?;
        Ok(())
    }

    /// Whether every in-box plugin is there and was built from the sources as they are now.
    ///
    /// # Errors
    /// Which is not.
    pub fn check_sources(&self, workspace: &Workspace) -> Result<()> {
        let plugins = workspace.plugins()?;
        for name in &plugins {
            let now = Sources::of(workspace, name)?.sha256;
            ensure!(
                self.entry(name)?.sources == now,
                "the sources of plugin {name} have changed since plugins/dist/{name}.wasm was built: run `cargo \
                 plugins`"
            );
        }
        if let Some(name) = self.component.keys().find(|name| !plugins.contains(name)) {
            bail!(
                "plugins/dist has {name}, of which there is no plugin: run `cargo plugins`, and remove \
                 plugins/dist/{name}.wasm"
            );
        }
        Ok(())
    }

    /// Whether every component is the one that was built.
    ///
    /// # Errors
    /// Which is not.
    pub fn check_components(&self, workspace: &Workspace) -> Result<()> {
        for (name, entry) in &self.component {
            let path = workspace.dist().join(name).with_extension("wasm");
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            ensure!(hex(&Sha256::digest(bytes)) == entry.sha256, "{} is not what was built", path.display());
        }
        Ok(())
    }

    /// Whether components built afresh are those of `plugins/dist/`.
    ///
    /// # Errors
    /// Which is not, and if this compiler's cannot be compared with them.
    pub fn check_rebuilt(&self, toolchain: &Toolchain, components: &[Component]) -> Result<()> {
        if let Some(difference) = self.compiler_differs_from(toolchain) {
            bail!("{difference}");
        }
        for component in components {
            let name = &component.name;
            ensure!(
                component.sha256() == self.entry(name)?.sha256,
                "plugins/dist/{name}.wasm is not what its sources build: run `cargo plugins`"
            );
        }
        Ok(())
    }

    /// Why what this compiler builds cannot be compared byte by byte; `None` if it can.
    #[must_use]
    pub fn compiler_differs_from(&self, toolchain: &Toolchain) -> Option<String> {
        let (built, here) = (&self.compiler, &toolchain.compiler);
        (built != here).then(|| format!("plugins/dist was built with {built}, and this machine has {here}"))
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.component.get(name).with_context(|| format!("plugins/dist has no plugin {name}: run `cargo plugins`"))
    }
}
