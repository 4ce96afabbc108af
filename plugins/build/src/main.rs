//! `cargo plugins [build|check]`: builds the plugins of this repository into `plugins/dist/` and `policy-samples/`, or
//! compares them with a fresh build.

use anyhow::{Result, bail};
use farrier_plugins_build::{Workspace, build, check};

#[allow(clippy::print_stdout)]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let workspace = Workspace::find()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["build"] => {
            for (plugin, component) in build(&workspace)? {
                let path = plugin.component.strip_prefix(workspace.root()).unwrap_or(&plugin.component);
                println!("{}: {} bytes", path.display(), component.bytes.len());
            }
        }
        ["check"] => {
            check(&workspace)?;
            println!("The components are what the sources say.");
        }
        _ => bail!("usage: cargo plugins [build|check]"),
    }
    Ok(())
}
