//! `farrier plugin inspect`: what a component is, asks for and consists of, before anything of it runs.

use crate::project::Built;
use crate::sign::Signature;
use anyhow::{Context as _, Result};
use farrier_protocol::Digest;
use farrier_runtime::{Inspection, Manifest, Request, Sizes};
use serde::Serialize;
use std::fmt;

/// A component, looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// SHA-256 of the component.
    pub sha256: String,
    /// The public key of who signed it; none, if there is no signature beside it.
    pub publisher: Option<String>,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// Where its bytes are.
    pub bytes: Bytes,
    /// Core modules, linear memories and tables.
    pub core_modules: usize,
    /// Linear memories of all core modules.
    pub memories: usize,
    /// Tables of all core modules.
    pub tables: usize,
    /// Bytes its memories begin with.
    pub initial_memory_bytes: u64,
    /// Bytes its memories can grow to, if they say so.
    pub max_memory_bytes: Option<u64>,
    /// What is unusual, a sentence each.
    pub warnings: Vec<String>,
}

/// Bytes of a component, by what they are.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bytes {
    /// All.
    pub total: usize,
    /// Code.
    pub code: usize,
    /// Data.
    pub data: usize,
    /// Custom sections, the manifest among them.
    pub custom: usize,
    /// The rest.
    pub other: usize,
}

/// Looks at a component, and checks the signature beside it.
///
/// # Errors
/// When it is no plugin, or the signature beside it is not its own.
pub fn inspect(component: &Built) -> Result<Inspected> {
    let name = || component.path.display().to_string();
    let inspection = farrier_runtime::inspect(&component.bytes).with_context(name)?;
    let signature = Signature::beside(&component.path)?;
    if let Some(signature) = &signature {
        signature.verify(&component.bytes).with_context(name)?;
    }
    let Inspection { manifest, imports, exports, sizes, core_modules, memories, tables, .. } = inspection;
    let Sizes { total, code, data, custom, other } = sizes;
    Ok(Inspected {
        sha256: Digest::of(&component.bytes).to_string(),
        publisher: signature.map(|signature| signature.publisher_hex()),
        manifest,
        imports,
        exports,
        bytes: Bytes { total, code, data, custom, other },
        core_modules,
        memories,
        tables,
        initial_memory_bytes: inspection.initial_memory_bytes,
        max_memory_bytes: inspection.max_memory_bytes,
        warnings: inspection.warnings,
    })
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { name, version, description, license, wit, world, .. } = &self.manifest;
        writeln!(f, "{name} {version}: {description}")?;
        line(f, "world", &format!("{world} of farrier:policy {wit}"))?;
        line(f, "license", license)?;
        if let Some(homepage) = &self.manifest.homepage {
            line(f, "homepage", homepage)?;
        }
        line(f, "SHA-256", &self.sha256)?;
        line(f, "source", self.manifest.source.as_deref().unwrap_or("not told"))?;
        line(f, "publisher", self.publisher.as_deref().unwrap_or("none: there is no signature beside it"))?;
        self.fmt_grants(f)?;
        self.fmt_component(f)?;
        if self.warnings.is_empty() {
            return write!(f, "Nothing about it is unusual.");
        }
        write!(f, "{} unusual:", self.warnings.len())?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
    }
}

impl Inspected {
    fn fmt_grants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        if !manifest.scopes.is_empty() {
            line(f, "scopes", &manifest.scopes.join(", "))?;
        }
        let rules = manifest.rules.as_ref().map_or_else(
            || "nothing".to_owned(),
            |rules| format!("{}{}", rules.encoding, if rules.schema.is_some() { " with a schema" } else { "" }),
        );
        line(f, "is told", &rules)?;
        for (what, requests) in [("read", &manifest.read), ("write", &manifest.write), ("run", &manifest.run)] {
            for Request { grant, reason } in requests {
                line(f, what, &format!("{grant}  ({reason})"))?;
            }
        }
        Ok(())
    }

    fn fmt_component(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "imports", &self.imports.join(", "))?;
        line(f, "exports", &self.exports.join(", "))?;
        let Bytes { total, code, data, custom, other } = self.bytes;
        line(f, "bytes", &format!("{total}: {code} code, {data} data, {custom} custom sections, {other} other"))?;
        let counts = (self.core_modules, self.memories, self.tables);
        line(f, "inside", &format!("{} core modules, {} memories, {} tables", counts.0, counts.1, counts.2))?;
        let limits = self.manifest.limits;
        let most = self.max_memory_bytes.map_or_else(|| "as much as the agent gives".to_owned(), kibibytes);
        let asked = limits.memory_mebibytes.map_or_else(String::new, |asked| format!("; asks for {asked} MiB"));
        line(f, "memory", &format!("{} at first, at most {most}{asked}", kibibytes(self.initial_memory_bytes)))?;
        if let Some(seconds) = limits.call_seconds {
            line(f, "time", &format!("asks for {seconds} s a call"))?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {name:<10} {value}")
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}
