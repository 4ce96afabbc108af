//! C, by the clang that PyPI's `ziglang` ships, with the C library of its WASI target: what of that needs no operating
//! system imports nothing.

use super::{WORLD, Work, run, tools};
use crate::vendor;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

const VERSION: &str = "0.17.1";
/// The name of the header, and the header: what an author in C includes.
pub(super) const HEADER_FILE: &str = "farrier.h";
pub(super) const HEADER: &str = include_str!("c/farrier.h");
const ADAPTER: &str = include_str!("c/farrier.c");
/// Bytes of the stack; the linker's default would make every guest start with 16 MiB of memory.
const STACK: &str = "-Wl,-z,stack-size=65536";

/// Where the compiler is.
pub(super) fn compiler() -> Result<PathBuf> {
    tools::python("ziglang", VERSION)
}

/// The core module of the plugin.
pub(super) fn build(work: &Work) -> Result<Vec<u8>> {
    let python = compiler()?;
    let generated = bindings(work)?;
    work.put(HEADER_FILE, HEADER)?;
    // The header has to fit the adapter, so it is this program's that counts; the project's copy is for its author.
    let copy = work.folder.join(vendor::FOLDER).join(HEADER_FILE);
    if fs::read_to_string(&copy).is_ok_and(|text| text != HEADER) {
        eprintln!("{} is that of another farrier: `farrier plugin vendor` brings this one's.", copy.display());
    }
    let adapter = work.put("farrier.c", ADAPTER)?;
    let module = work.target.join("plugin.core.wasm");
    let mut cc = Command::new(python);
    cc.args([
        "-m",
        "ziglang",
        "cc",
        "-target",
        "wasm32-wasi",
        "-mexec-model=reactor",
        "-Oz",
        "-std=c11",
        "-Wall",
        STACK,
    ]);
    // The same sources make the same bytes wherever they are.
    cc.arg("-s").arg(format!("-ffile-prefix-map={}=.", work.folder.display()));
    cc.arg("-I").arg(&work.target).arg("-o").arg(&module).arg(work.folder.join("plugin.c")).arg(adapter);
    run(cc.args(generated))?;
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

/// What `wit/` says, as C. Returns what has to be compiled and linked of it.
fn bindings(work: &Work) -> Result<Vec<PathBuf>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&work.wit).with_context(|| format!("reading {}", work.wit.display()))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    let mut sources = Vec::new();
    for (name, content) in files.iter() {
        let path = work.target.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        if !name.ends_with(".h") {
            sources.push(path);
        }
    }
    Ok(sources)
}
