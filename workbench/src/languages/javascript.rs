//! JavaScript, by npm's `@bytecodealliance/componentize-js`: the engine SpiderMonkey goes into every component.

use super::{WORLD, Work, run, tools};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PACKAGE: &str = "@bytecodealliance/componentize-js";
const VERSION: &str = "0.23.0";
const ADAPTER: &str = include_str!("javascript/adapter.js");
/// Everything the engine would ask an operating system for is left out: no plugin gets it.
const BUILD: &str = r#"
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
const [sourcePath, witPath, worldName, component] = process.argv.slice(2);
const disableFeatures = ["stdio", "random", "clocks", "http", "fetch-event"];
await writeFile(component, (await componentize({ sourcePath, witPath, worldName, disableFeatures })).component);
"#;

/// Where the compiler is.
pub(super) fn compiler() -> Result<PathBuf> {
    tools::node(PACKAGE, VERSION)
}

/// The component of the plugin, without its manifest.
pub(super) fn build(work: &Work) -> Result<Vec<u8>> {
    let tool = compiler()?;
    let script = tool.join("build.mjs");
    crate::vendor::write(&script, BUILD.as_bytes())?;
    // Beside each other: the adapter imports the plugin.
    let adapter = work.put("adapter.js", ADAPTER)?;
    fs::copy(work.folder.join("plugin.js"), work.target.join("plugin.js")).context("copying plugin.js")?;
    let component = work.target.join("plugin.component.wasm");
    let mut node = Command::new("node");
    node.current_dir(&work.target).arg(script).arg(adapter).arg(&work.wit).arg(WORLD).arg(&component);
    run(&mut node)?;
    fs::read(&component).with_context(|| format!("reading {}", component.display()))
}
