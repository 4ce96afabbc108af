//! Where everything is.

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

    /// The names of the plugins: the folders below `plugins/` with a `plugin.toml`, sorted.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn plugins(&self) -> Result<Vec<String>> {
        let folder = self.root.join("plugins");
        let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
        let folders = entries.flatten().filter(|entry| entry.path().join("plugin.toml").exists());
        let mut names: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// The folder of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.root.join("plugins").join(name)
    }

    /// The folder of the built components.
    #[must_use]
    pub fn dist(&self) -> PathBuf {
        self.plugin("dist")
    }
}
