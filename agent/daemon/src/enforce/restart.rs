//! Restarts of the machine: which boot this is, and the command that makes another.

use crate::config::Config;
use anyhow::{Context as _, ensure};
use farrier_agent_core::enforcement::BootId;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Where Linux says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What the command may take; the restart itself comes after it.
const MAX_RUN: Duration = Duration::from_secs(60);

/// The present boot. None where a restart is not applicable: an endpoint in a folder does not run.
pub(super) fn boot(config: &Config) -> anyhow::Result<Option<BootId>> {
    let file = match &config.restart.boot_id {
        Some(file) => file,
        None if config.root == Path::new("/") => Path::new(BOOT_ID),
        None => return Ok(None),
    };
    let name = std::fs::read_to_string(file);
    let name = name.with_context(|| format!("{} does not say which boot this is", file.display()))?;
    ensure!(!name.trim().is_empty(), "{} is empty and does not say which boot this is", file.display());
    Ok(Some(BootId::of(&name)))
}

/// Tells the machine to restart.
pub(super) async fn restart(config: &Config) -> anyhow::Result<()> {
    let (program, arguments) = config.restart.command.split_first().context("restart.command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let shown = config.restart.command.join(" ");
    let mut child = command.spawn().with_context(|| format!("`{shown}` cannot be run: see restart.command"))?;
    // It is not killed when its time is up: what restarts a machine may wait for this very agent to end.
    let Ok(ended) = timeout(MAX_RUN, child.wait()).await else { return Ok(()) };
    let status = ended.with_context(|| format!("`{shown}` cannot be waited for"))?;
    ensure!(status.success(), "`{shown}` failed ({status}): see restart.command in agent.toml");
    Ok(())
}
