//! Lists the plugins in the box: every component that `cargo plugins` built, but for those that misbehave for tests.

// How a build script talks to Cargo.
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()));
    let folder = variable("CARGO_MANIFEST_DIR")?.join("../plugins/dist");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut list = String::from("&[\n");
    for file in components(&folder)? {
        println!("cargo:rerun-if-changed={}", file.display());
        let written = writeln!(list, "    include_bytes!({:?}),", file.display().to_string());
        written.map_err(io::Error::other)?;
    }
    list.push(']');
    fs::write(variable("OUT_DIR")?.join("in_box.rs"), list)
}

fn components(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        let misbehaves = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hostile"));
        if is_component && !misbehaves {
            files.push(fs::canonicalize(path)?);
        }
    }
    files.sort();
    Ok(files)
}
