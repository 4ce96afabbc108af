//! Compiling a guest crate into a core module.

use crate::{
    Workspace,
    toolchain::{Library, TARGET, Toolchain},
};
use anyhow::{Context, Result, ensure};
use std::{
    env, fs,
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

/// Builds the core module of a plugin.
pub fn build(workspace: &Workspace, toolchain: &Toolchain, name: &str) -> Result<Vec<u8>> {
    let package = format!("farrier-plugin-{name}");
    let mut cargo = cargo();
    cargo.current_dir(workspace.root()).arg("rustc").args(["--locked", "--lib", "--package", &package]);
    cargo.args(["--crate-type", "cdylib", "--target", TARGET, "--profile", "guest"]);
    cargo.arg("--target-dir").arg(workspace.target());
    cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    if toolchain.compiler.library == Library::Source {
        cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,alloc");
    }
    let flags = toolchain.remapped_paths(workspace)?.into_iter();
    let flags: Vec<String> = flags.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status().context("starting cargo")?;
    ensure!(status.success(), "cargo failed to compile {package}");
    let module = workspace.target().join(TARGET).join("guest").join(package.replace('-', "_") + ".wasm");
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
