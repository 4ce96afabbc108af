//! Builds the in-box plugins: guest crates in, components with their manifests out, into `plugins/dist/`.
//!
//! A component depends on its sources and the compiler only: the same commit gives the same bytes in every folder of
//! every machine. `dist` records what it was built from, so that a machine that cannot build guests can still tell
//! whether it is current.

mod component;
mod dist;
mod guest;
mod rust_src;
mod sources;
mod toolchain;
mod workspace;

pub use component::Component;
pub use dist::{Dist, Entry};
pub use toolchain::{Compiler, Library, Toolchain};
pub use workspace::Workspace;

use anyhow::{Context, Result, bail};

/// Builds every plugin and writes `plugins/dist/`. Installs the wasm target if need be.
///
/// # Errors
/// What could not be built, and why.
pub fn build(workspace: &Workspace) -> Result<Vec<Component>> {
    let toolchain = Toolchain::install()?;
    let components = build_all(workspace, &toolchain)?;
    Dist::of(workspace, &toolchain, &components)?.write(workspace, &components)?;
    Ok(components)
}

/// Builds every plugin afresh and compares with `plugins/dist/`.
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

/// Builds every plugin, in memory.
///
/// # Errors
/// What could not be built, and why.
pub fn build_all(workspace: &Workspace, toolchain: &Toolchain) -> Result<Vec<Component>> {
    let build_one = |name: &String| -> Result<Component> {
        let module = guest::build(workspace, toolchain, name)?;
        let component = Component::of(workspace, name, &sources::Sources::of(workspace, name)?.version, &module)?;
        if let Some(path) = toolchain.private_path_in(workspace, &component.bytes) {
            bail!("the component names {path}, a path of this machine; it must be remapped in plugins/build");
        }
        Ok(component)
    };
    workspace.plugins()?.iter().map(|name| build_one(name).with_context(|| format!("building plugin {name}"))).collect()
}
