//! `farrier plugin precompile`: from a component to the artefacts that agents without a compiler run.

use crate::cli::say;
use anyhow::{Context as _, Result};
use clap::Args;
use farrier_protocol::Digest;
use farrier_runtime::{Compiler, EngineId, Limits, Manifest};
use farrier_workbench::component_at;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of an artefact for each byte of a component that is larger than what agents take by default.
const ARTEFACT_TIMES: usize = 8;

/// What is compiled, and for whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct PrecompileOptions {
    /// The component's file, or the plugin's folder.
    #[arg(value_name = "COMPONENT", required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// For this engine, as --list shows it; may be repeated.
    #[arg(long, value_name = "ENGINE", value_parser = parse_engine, required_unless_present_any = ["all", "list"])]
    engine: Vec<EngineId>,
    /// For every engine.
    #[arg(long, conflicts_with = "engine")]
    all: bool,
    /// Where to write: DIR/<engine>/<SHA-256 of the component>.
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    out: Option<PathBuf>,
    /// Show the engines.
    #[arg(long, conflicts_with_all = ["plugin", "engine", "all", "out"])]
    list: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An engine that components can be compiled for.
#[derive(Debug, Serialize)]
struct Listed {
    /// Its id, as agents say it.
    engine: String,
    /// What it executes.
    code: &'static str,
}

/// A component, compiled.
#[derive(Debug, Serialize)]
struct Precompiled {
    /// SHA-256 of the component.
    component: String,
    /// One for each engine.
    artefacts: Vec<Made>,
}

/// An artefact that was made.
#[derive(Debug, Serialize)]
struct Made {
    /// The id of the engine that runs it.
    engine: String,
    /// Its bytes.
    bytes: usize,
    /// How long it took.
    milliseconds: u128,
    /// Where it is.
    file: PathBuf,
}

/// Does it.
pub(super) fn run(options: &PrecompileOptions) -> Result<()> {
    let PrecompileOptions { plugin, engine, all, out, json, .. } = options;
    let (Some(plugin), Some(out)) = (plugin, out) else { return list(*json) };
    let engines = if *all { &EngineId::ALL[..] } else { engine };
    let precompiled = precompile(&Compiler::this_program(), plugin, engines, out)?;
    if *json { say(serde_json::to_string(&precompiled)?) } else { say(precompiled) }
}

fn list(json: bool) -> Result<()> {
    let engines = EngineId::ALL.map(|engine| Listed { engine: engine.to_string(), code: engine.code() });
    if json {
        return say(serde_json::to_string(&engines)?);
    }
    engines.iter().try_for_each(|Listed { engine, code }| say(format_args!("{code:<20}  {engine}")))
}

fn precompile(compiler: &Compiler, plugin: &Path, engines: &[EngineId], out: &Path) -> Result<Precompiled> {
    let component = component_at(plugin)?;
    let name = || component.path.display().to_string();
    Manifest::read(&component.bytes).with_context(name)?;
    let (digest, default) = (Digest::of(&component.bytes), Limits::default());
    let artefact_bytes = default.artefact_bytes.max(component.bytes.len().saturating_mul(ARTEFACT_TIMES));
    let limits = Limits { artefact_bytes, ..default };
    let artefact = |engine: &EngineId| {
        let begin = Instant::now();
        let made = compiler.precompile(*engine, &component.bytes, &limits);
        let bytes = made.with_context(|| format!("{} for {engine}", name()))?;
        let milliseconds = begin.elapsed().as_millis();
        let file = out.join(engine.path_segment()).join(digest.to_string());
        write(&file, &bytes).with_context(|| format!("writing {}", file.display()))?;
        Ok(Made { engine: engine.to_string(), bytes: bytes.len(), milliseconds, file })
    };
    let artefacts = engines.iter().map(artefact).collect::<Result<_>>()?;
    Ok(Precompiled { component: digest.to_string(), artefacts })
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, bytes)
}

/// An engine by its id, or by the code it executes.
fn parse_engine(text: &str) -> Result<EngineId, String> {
    let by_code = EngineId::ALL.into_iter().find(|engine| engine.code() == text);
    match by_code {
        Some(engine) => Ok(engine),
        None => text.parse().map_err(|_| {
            let known = EngineId::ALL.map(EngineId::code).join(", ");
            format!("this farrier compiles for {known} (`farrier plugin precompile --list` shows their ids)")
        }),
    }
}

impl fmt::Display for Precompiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.artefacts.iter().map(|made| made.engine.len()).max().unwrap_or_default();
        write!(f, "{:<width$}  {:>9}  {:>12}", "engine", "bytes", "milliseconds")?;
        for Made { engine, bytes, milliseconds, .. } in &self.artefacts {
            write!(f, "\n{engine:<width$}  {bytes:>9}  {milliseconds:>12}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dpkg() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/dpkg.wasm")
    }

    #[test]
    fn artefacts_are_where_the_repository_has_them() {
        let out = tempfile::tempdir().unwrap();
        let engines = [EngineId::NativeAarch64, EngineId::Pulley32];
        let made = precompile(&Compiler::InProcess, &dpkg(), &engines, out.path()).unwrap();
        let digest = Digest::of(&fs::read(dpkg()).unwrap());
        for (engine, made) in engines.iter().zip(&made.artefacts) {
            let bytes = fs::read(out.path().join(engine.path_segment()).join(digest.to_string())).unwrap();
            assert_eq!((made.engine.as_str(), made.bytes), (engine.to_string().as_str(), bytes.len()));
        }
        assert_eq!(made.to_string().lines().count(), 3, "{made}");
    }

    #[test]
    fn what_is_no_plugin_is_refused_by_name() {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("readme.wasm");
        fs::write(&file, "no component").unwrap();
        let refusal = |plugin: &Path| {
            let refused = precompile(&Compiler::InProcess, plugin, &EngineId::ALL, out.path());
            format!("{:#}", refused.unwrap_err())
        };
        assert!(refusal(&file).contains("readme.wasm: "), "{}", refusal(&file));
        assert!(refusal(Path::new("/nonexistent.wasm")).contains("/nonexistent.wasm cannot be read"));
    }

    #[test]
    fn engines_have_short_names() {
        for engine in EngineId::ALL {
            assert_eq!(parse_engine(engine.code()), Ok(engine));
            assert_eq!(parse_engine(&engine.to_string()), Ok(engine));
        }
        assert!(parse_engine("armv7").unwrap_err().contains("pulley32"));
    }
}
