//! `cargo plugins [build|check]`: builds the in-box plugins into `plugins/dist/`, or compares it with a fresh build.

use anyhow::{Result, bail};
use farrier_plugins_build::{Workspace, build, check};

#[allow(clippy::print_stdout)]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let workspace = Workspace::find()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["build"] => {
            for component in build(&workspace)? {
                println!("plugins/dist/{}.wasm: {} bytes", component.name, component.bytes.len());
            }
        }
        ["check"] => {
            check(&workspace)?;
            println!("plugins/dist is what the sources say.");
        }
        _ => bail!("usage: cargo plugins [build|check]"),
    }
    Ok(())
}
