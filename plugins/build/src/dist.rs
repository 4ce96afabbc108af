//! `plugins/dist/`: the built components, and what they and those of `policy-samples/` were built from.

use crate::{Component, Plugin, Toolchain, Workspace, hex, toolchain::Compiler};
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
    /// The components by what [`Plugin::key`] calls them.
    pub component: BTreeMap<String, Entry>,
}

/// A component.
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
    pub(crate) fn of(toolchain: &Toolchain, components: &[(Plugin, Component)]) -> Result<Self> {
        let entry = |(plugin, component): &(Plugin, Component)| {
            let sources = plugin.project()?.source_digest()?;
            Ok((plugin.key.clone(), Entry { sha256: component.sha256(), sources }))
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

    /// Writes the manifest and the components.
    pub(crate) fn write(&self, workspace: &Workspace, components: &[(Plugin, Component)]) -> Result<()> {
        let folder = workspace.dist();
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        for (plugin, component) in components {
            let path = &plugin.component;
            fs::write(path, &component.bytes).with_context(|| format!("writing {}", path.display()))?;
        }
        fs::write(folder.join(MANIFEST), HEADER.to_owned() + &toml::to_string(self)?)?;
        Ok(())
    }

    /// Whether every plugin is there and was built from the sources as they are now.
    ///
    /// # Errors
    /// Which is not.
    pub fn check_sources(&self, workspace: &Workspace) -> Result<()> {
        let plugins = workspace.plugins()?;
        for plugin in &plugins {
            let key = &plugin.key;
            let now = plugin.project()?.source_digest()?;
            ensure!(
                self.entry(key)?.sources == now,
                "the sources of plugin {key} have changed since its component was built: run `cargo plugins`"
            );
        }
        if let Some(key) = self.component.keys().find(|key| plugins.iter().all(|plugin| plugin.key != **key)) {
            bail!(
                "plugins/dist/manifest.toml has {key}, of which there is no plugin: run `cargo plugins`, and \
                 remove its component"
            );
        }
        Ok(())
    }

    /// Whether every component is the one that was built.
    ///
    /// # Errors
    /// Which is not.
    pub fn check_components(&self, workspace: &Workspace) -> Result<()> {
        for plugin in workspace.plugins()? {
            let path = &plugin.component;
            let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let built = &self.entry(&plugin.key)?.sha256;
            ensure!(hex(&Sha256::digest(bytes)) == *built, "{} is not what was built", path.display());
        }
        Ok(())
    }

    /// Whether components built afresh are those of `plugins/dist/`.
    ///
    /// # Errors
    /// Which is not, and if this compiler's cannot be compared with them.
    pub fn check_rebuilt(&self, toolchain: &Toolchain, components: &[(Plugin, Component)]) -> Result<()> {
        if let Some(difference) = self.compiler_differs_from(toolchain) {
            bail!("{difference}");
        }
        for (plugin, component) in components {
            let (key, path) = (&plugin.key, plugin.component.display());
            let built = &self.entry(key)?.sha256;
            ensure!(component.sha256() == *built, "{path} is not what its sources build: run `cargo plugins`");
        }
        Ok(())
    }

    /// Why what this compiler builds cannot be compared byte by byte; `None` if it can.
    #[must_use]
    pub fn compiler_differs_from(&self, toolchain: &Toolchain) -> Option<String> {
        let (built, here) = (&self.compiler, &toolchain.compiler);
        (built != here).then(|| format!("plugins/dist was built with {built}, and this machine has {here}"))
    }

    fn entry(&self, key: &str) -> Result<&Entry> {
        let entry = self.component.get(key);
        entry.with_context(|| format!("plugins/dist/manifest.toml has no plugin {key}: run `cargo plugins`"))
    }
}
