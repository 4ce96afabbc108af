//! Builds plugins: guest crates in, components with their manifests out.
//!
//! [`Project`] is a plugin's crate in any folder; [`componentize`] is for what is not written in Rust. [`build`] and
//! [`check`] are `cargo plugins`: the plugins of this repository, into `plugins/dist/` and `policy-samples/`.
//!
//! A component depends on its sources and the compiler only: the same commit gives the same bytes in every folder of
//! every machine. `dist` records what it was built from, so that a machine that cannot build guests can still tell
//! whether it is current.

mod cargo;
mod component;
mod dist;
mod guest;
mod manifest;
mod project;
mod rust_src;
mod sources;
mod toolchain;
mod workspace;

pub use component::{Component, componentize};
pub use dist::{Dist, Entry};
pub use project::{Project, build_project};
pub use sources::digest_folder;
pub use toolchain::{Compiler, Library, Toolchain};
pub use workspace::{Plugin, Workspace};

use anyhow::{Context, Result, ensure};

/// Builds every plugin of the repository and writes the components. Installs the wasm target if need be.
///
/// # Errors
/// What could not be built, and why.
pub fn build(workspace: &Workspace) -> Result<Vec<(Plugin, Component)>> {
    let toolchain = Toolchain::install()?;
    let components = build_all(workspace, &toolchain)?;
    Dist::of(&toolchain, &components)?.write(workspace, &components)?;
    Ok(components)
}

/// Builds every plugin of the repository afresh and compares with what was written.
///
/// # Errors
/// Which component is not what its sources say.
pub fn check(workspace: &Workspace) -> Result<()> {
    let recorded = Dist::read(workspace)?;
    recorded.check_sources(workspace)?;
    recorded.check_components(workspace)?;
    let toolchain = Toolchain::install()?;
    recorded.check_rebuilt(&toolchain, &build_all(workspace, &toolchain)?)
}

/// Builds every plugin of the repository, in memory.
///
/// # Errors
/// What could not be built, and why.
pub fn build_all(workspace: &Workspace, toolchain: &Toolchain) -> Result<Vec<(Plugin, Component)>> {
    let build_one = |plugin: Plugin| -> Result<(Plugin, Component)> {
        let project = plugin.project()?;
        let component = project.build_with(toolchain, workspace.target(), guest::Locked::Yes)?;
        let is_in_box = !plugin.key.contains('/');
        ensure!(
            !is_in_box || component.name == plugin.key,
            "the manifest calls it {}, and its folder is {}: they have to be the same",
            component.name,
            plugin.key
        );
        Ok((plugin, component))
    };
    let plugins = workspace.plugins()?.into_iter();
    plugins.map(|plugin| build_one(plugin.clone()).with_context(|| format!("building {}", plugin.key))).collect()
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
