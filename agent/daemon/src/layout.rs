//! The data folder: what is where.

use anyhow::Context as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The paths in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

impl Layout {
    /// The layout of this folder, which is made, for its owner only, where it is missing.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(|| {
            format!("the data folder {} cannot be made: run as its owner or use --data", data.display())
        })?;
        Ok(Self { data: data.to_owned() })
    }

    /// Who this client is, with its keys.
    pub(crate) fn identity(&self) -> PathBuf {
        self.data.join("identity")
    }

    /// The floor record.
    pub(crate) fn floors(&self) -> PathBuf {
        self.data.join("floors")
    }

    /// The spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.data.join("spool.redb")
    }

    /// Plugins, catalogs and chunks by digest.
    pub(crate) fn content(&self) -> PathBuf {
        self.data.join("content")
    }

    /// Compiled plugins.
    pub(crate) fn artefacts(&self) -> PathBuf {
        self.data.join("artefacts")
    }

    /// Held by the one process that works on the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// When the site last answered, for people only.
    pub(crate) fn last_contact(&self) -> PathBuf {
        self.data.join("last-contact")
    }
}
