//! Compiling a guest crate into a core module.

use crate::{
    cargo::{Crate, Lock},
    toolchain::{Library, TARGET, Toolchain},
};
use anyhow::{Context, Result, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How guests are compiled. It is not in the workspace's Cargo.toml: it is part of what a component is made from.
pub const PROFILE: [&str; 6] = [
    "profile.guest.inherits='release'",
    "profile.guest.opt-level='s'",
    "profile.guest.lto='fat'",
    "profile.guest.codegen-units=1",
    "profile.guest.panic='abort'",
    "profile.guest.strip='symbols'",
];

/// Whether Cargo.lock has to be there and to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// It has: what is built is recorded.
    Yes,
    /// It is made or mended if need be.
    No,
}

/// Builds the core module of a plugin.
pub fn build(
    guest: &Crate,
    toolchain: &Toolchain,
    target: &Path,
    remapped: &[(PathBuf, String)],
    locked: Locked,
) -> Result<Vec<u8>> {
    let root = guest.workspace()?;
    let target = std::path::absolute(target).with_context(|| format!("finding {}", target.display()))?;
    let mut cargo = cargo();
    cargo.current_dir(&guest.folder).arg("rustc").args(["--lib", "--package", &guest.package]);
    if locked == Locked::Yes {
        ensure!(Lock::is_there(&root), "{} has no Cargo.lock", root.display());
        cargo.arg("--locked");
    }
    cargo.args(["--crate-type", "cdylib", "--target", TARGET, "--profile", "guest"]);
    cargo.arg("--target-dir").arg(&target);
    cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    if toolchain.compiler.library == Library::Source {
        cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,alloc");
    }
    let flags = remapped.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"));
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status().context("starting cargo")?;
    ensure!(status.success(), "cargo failed to compile {}", guest.package);
    let module = target.join(TARGET).join("guest").join(format!("{}.wasm", guest.library));
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

/// Beginnings of the names of variables that say how to compile.
const SETTINGS: [&str; 5] = ["RUSTFLAGS", "CARGO_BUILD_", "CARGO_INCREMENTAL", "CARGO_PROFILE_", "CARGO_TARGET_"];

/// Cargo, without what the environment says about how to compile.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if SETTINGS.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(&*name);
        }
    }
    cargo
}
