//! Python, by PyPI's `componentize-py`: the interpreter CPython and its library go into every component.

use super::{WORLD, Work, run, tools};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "0.25.1";
const ADAPTER: [(&str, &str); 2] = [
    ("farrier_app.py", include_str!("python/adapter/farrier_app.py")),
    ("compliance.py", include_str!("python/adapter/compliance.py")),
];

/// Where the compiler is.
pub(super) fn compiler() -> Result<PathBuf> {
    tools::python("componentize-py", VERSION)
}

/// The component of the plugin, without its manifest.
pub(super) fn build(work: &Work) -> Result<Vec<u8>> {
    let python = compiler()?;
    let adapter = work.target.join("adapter");
    for (name, content) in ADAPTER {
        work.put(&format!("adapter/{name}"), content)?;
    }
    let component = work.target.join("plugin.component.wasm");
    let mut tool = Command::new(python.with_file_name("componentize-py"));
    tool.current_dir(&work.target).arg("--wit-path").arg(&work.wit).args(["--world", WORLD, "componentize"]);
    // What the interpreter would ask an operating system for is stubbed out: no plugin gets it.
    tool.arg("--stub-wasi").arg("--python-path").arg(&adapter).arg("--python-path").arg(&work.folder);
    run(tool.arg("--output").arg(&component).arg("farrier_app"))?;
    fs::read(&component).with_context(|| format!("reading {}", component.display()))
}
