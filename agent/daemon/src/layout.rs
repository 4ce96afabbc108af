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
    /// The layout of this folder.
    pub(crate) fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// Makes the folder, for its owner only, where it is missing.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.data);
        let remedy = "run as its owner or use --data";
        made.with_context(|| format!("the data folder {} cannot be made: {remedy}", self.data.display()))
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

    /// Plugins that were compiled here.
    #[cfg(feature = "full")]
    pub(crate) fn artefacts(&self) -> PathBuf {
        self.data.join("artefacts")
    }

    /// The files of updates by digest.
    pub(crate) fn updates(&self) -> PathBuf {
        self.data.join("updates")
    }

    /// What was downloaded today.
    pub(crate) fn download_quota(&self) -> PathBuf {
        self.data.join("download-quota")
    }

    /// Held by the one process that works on the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// What whoever asks is told while an installer is at work.
    pub(crate) fn at_work(&self) -> PathBuf {
        self.data.join("at-work.json")
    }

    /// When the site last answered, for people only.
    pub(crate) fn last_contact(&self) -> PathBuf {
        self.data.join("last-contact")
    }
}
