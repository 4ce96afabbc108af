//! The programs under demonstration, built from this repository.

use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the built programs are.
pub struct Programs {
    /// The site's program.
    pub farrier: PathBuf,
    /// The agent's.
    pub agent: PathBuf,
}

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// Builds both programs as this one was built; cargo shows its progress on stderr.
pub fn build() -> anyhow::Result<Programs> {
    eprintln!("Building the site and the agent (the first time takes minutes) ...");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let folder = this.parent().context("this program is in no folder")?;
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "farrier", "--package", "farrier-agent", "--bins"]).current_dir(repository());
    if let Some(profile) = folder.file_name().and_then(|name| name.to_str()).filter(|name| *name != "debug") {
        command.args(["--profile", profile]);
    }
    let status = command.status().context("cargo cannot be started")?;
    ensure!(status.success(), "the programs do not build; cargo says why above");
    Ok(Programs { farrier: folder.join("farrier"), agent: folder.join("farrier-agent") })
}
