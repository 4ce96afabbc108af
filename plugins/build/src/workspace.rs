//! Where everything is.

use crate::Project;
use anyhow::{Context, Result};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The repository this program was built from.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

/// A plugin of the repository.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// What `plugins/dist/manifest.toml` calls it: `dpkg`, `policy-samples/custom-check`.
    pub key: String,
    /// The folder of its crate.
    pub folder: PathBuf,
    /// Where its component is, once it is built.
    pub component: PathBuf,
}

impl Workspace {
    /// The workspace of this crate; guests are built in `guests` below cargo's target folder.
    ///
    /// # Errors
    /// If cargo does not run this.
    pub fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").context("not run by cargo: run `cargo plugins`")?;
        let root = Path::new(&package).join("../..");
        let root = fs::canonicalize(&root).with_context(|| format!("opening the workspace at {}", root.display()))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let target = root.join(target).join("guests");
        Ok(Self { root, target })
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The target folder of guests; another than the workspace's, whose lock a running `cargo test` holds.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The plugins: the folders below `plugins/` with a `plugin.toml`, then those of `policy-samples/NAME/plugin` that
    /// are written in Rust; sorted.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn plugins(&self) -> Result<Vec<Plugin>> {
        let in_box = |name: &str| Plugin {
            key: name.to_owned(),
            folder: self.root.join("plugins").join(name),
            component: self.dist().join(name).with_extension("wasm"),
        };
        let sample = |name: &str| {
            let folder = self.root.join("policy-samples").join(name);
            let key = format!("policy-samples/{name}");
            Plugin { key, component: folder.join("plugin.wasm"), folder: folder.join("plugin") }
        };
        let mut plugins: Vec<_> = names_in(&self.root.join("plugins"))?.iter().map(|name| in_box(name)).collect();
        plugins.extend(names_in(&self.root.join("policy-samples"))?.iter().map(|name| sample(name)));
        let is_plugin =
            |plugin: &Plugin| ["plugin.toml", "Cargo.toml"].iter().all(|name| plugin.folder.join(name).exists());
        plugins.retain(is_plugin);
        Ok(plugins)
    }

    /// The folder of the built components.
    #[must_use]
    pub fn dist(&self) -> PathBuf {
        self.root.join("plugins/dist")
    }
}

impl Plugin {
    /// Its crate.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn project(&self) -> Result<Project> {
        Project::open(&self.folder)
    }
}

/// The names of the folders in a folder, sorted.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
