//! A look into a component without compiling it: for authors, and for whoever approves it.

use crate::grants::{Glob, RunGrant};
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError, Request};
use crate::parts;
use crate::plugin::{export, imports, without_version};
use crate::text::printable;
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// Bytes of a component above which it is no plugin for small devices, and no agent takes it by default.
const LARGE_BYTES: usize = 1 << 20;
/// Bytes of a path that are shown.
const MAX_SHOWN_BYTES: usize = 80;
/// Encodings that a site knows.
const ENCODINGS: [&str; 4] = ["json", "text", "bytes", "dpkg"];
/// The beginnings of paths that are a builder's own.
const BUILDERS_PATHS: [&str; 4] = ["/home/", "/root/", "/Users/", "C:\\Users\\"];
/// Programs that do whatever they are told: a grant of one is a grant of everything.
const INTERPRETERS: [&str; 24] = [
    "sh", "bash", "dash", "ash", "ksh", "zsh", "busybox", "env", "sudo", "su", "doas", "xargs", "find", "awk", "gawk",
    "mawk", "sed", "perl", "ruby", "node", "lua", "php", "chroot", "nsenter",
];
/// Files that nobody should read, by way of example.
const SECRETS: [&str; 5] = [
    "/etc/shadow",
    "/etc/ssh/ssh_host_ed25519_key",
    "/root/.ssh/id_ed25519",
    "/etc/ssl/private/key.pem",
    "/var/lib/farrier-agent/key",
];
/// Files with which whoever writes them is the administrator, by way of example.
const KEYS: [&str; 7] = [
    "/etc/passwd",
    "/etc/sudoers",
    "/etc/ld.so.preload",
    "/etc/crontab",
    "/root/.ssh/authorized_keys",
    "/usr/bin/sudo",
    "/var/lib/farrier-agent/key",
];

/// What is in a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The interfaces it imports, with their versions.
    pub imports: Vec<String>,
    /// The interfaces it exports, with their versions.
    pub exports: Vec<String>,
    /// Where its bytes are.
    pub sizes: Sizes,
    /// Core modules inside.
    pub core_modules: usize,
    /// Linear memories of all of them.
    pub memories: usize,
    /// Tables of all of them.
    pub tables: usize,
    /// Bytes its memories begin with.
    pub initial_memory_bytes: u64,
    /// Bytes its memories can grow to, if they say so.
    pub max_memory_bytes: Option<u64>,
    /// What is unusual, a sentence each.
    pub warnings: Vec<String>,
}

/// Bytes of a component by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All.
    pub total: usize,
    /// Code of all core modules.
    pub code: usize,
    /// Data of all core modules.
    pub data: usize,
    /// Custom sections, the manifest among them.
    pub custom: usize,
    /// The rest: types, names of imports and exports, how the parts belong together.
    pub other: usize,
}

/// What there is in this component, and what is unusual about it.
///
/// # Errors
/// When it is no component, or has no valid manifest.
pub fn inspect(component: &[u8]) -> Result<Inspection, ManifestError> {
    let mut inspection = Inspection {
        manifest: Manifest::read(component)?,
        imports: Vec::new(),
        exports: Vec::new(),
        sizes: Sizes { total: component.len(), ..Sizes::default() },
        core_modules: 0,
        memories: 0,
        tables: 0,
        initial_memory_bytes: 0,
        max_memory_bytes: Some(0),
        warnings: Vec::new(),
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(ManifestError::Malformed)?;
        match &payload {
            Payload::ModuleSection { .. } => {
                inspection.core_modules += 1;
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        inspection.add(payload, depth == 0).map_err(ManifestError::Malformed)?;
    }
    let Sizes { total, code, data, custom, .. } = inspection.sizes;
    inspection.sizes.other = total.saturating_sub(code + data + custom);
    inspection.warnings = inspection.warn(component);
    Ok(inspection)
}

impl Inspection {
    fn add(&mut self, payload: Payload<'_>, is_outermost: bool) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::CodeSectionStart { range, .. } => self.sizes.code += range.len(),
            Payload::DataSection(section) => self.sizes.data += section.range().len(),
            Payload::CustomSection(section) => self.sizes.custom += section.range().len(),
            Payload::TableSection(section) => self.tables += section.count() as usize,
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
                    self.memories += 1;
                    let initial = memory.initial.saturating_mul(page);
                    self.initial_memory_bytes = self.initial_memory_bytes.saturating_add(initial);
                    let maximum = memory.maximum.map(|pages| pages.saturating_mul(page));
                    self.max_memory_bytes =
                        self.max_memory_bytes.zip(maximum).map(|(sum, most)| sum.saturating_add(most));
                }
            }
            Payload::ComponentImportSection(section) if is_outermost => {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if is_outermost => {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is unusual.
    fn warn(&self, component: &[u8]) -> Vec<String> {
        let mut warnings = Vec::new();
        self.warn_of_world(&mut warnings);
        self.warn_of_size(component, &mut warnings);
        self.warn_of_rules(&mut warnings);
        self.warn_of_grants(&mut warnings);
        warnings
    }

    fn warn_of_world(&self, warnings: &mut Vec<String>) {
        let Some(world) = self.manifest.known_world() else {
            warnings.push(format!("no agent of this version runs the world `{}`", self.manifest.world));
            return;
        };
        if let Err(problem) = self.manifest.check_runs_in(world) {
            warnings.push(problem);
        }
        for import in &self.imports {
            if import.starts_with("wasi:") {
                warnings.push(format!("it imports `{import}`, and no agent links WASI: build it without"));
            } else if !imports(world).contains(&without_version(import)) {
                warnings.push(format!(
                    "it imports `{import}`, which no plugin of the world `{world}` gets: no agent runs it"
                ));
            }
        }
        if !self.exports.iter().any(|name| without_version(name) == export(world)) {
            warnings.push(format!("it does not export `{}`: no agent runs it", export(world)));
        }
    }

    fn warn_of_size(&self, component: &[u8], warnings: &mut Vec<String>) {
        let default = Limits::default();
        if self.sizes.total > LARGE_BYTES {
            let bytes = self.sizes.total;
            warnings.push(format!(
                "it has {bytes} bytes: an agent takes at most {LARGE_BYTES} unless it is told otherwise"
            ));
        }
        let asked = self.manifest.limits.memory_mebibytes.map(|mebibytes| u64::from(mebibytes) << 20);
        if let Some(asked) = asked.filter(|asked| *asked > default.memory_bytes as u64) {
            let limit = default.memory_bytes;
            warnings.push(format!(
                "it asks for {asked} bytes of memory: an agent gives {limit} unless it is told otherwise"
            ));
        }
        let limit = asked.unwrap_or(default.memory_bytes as u64);
        if self.initial_memory_bytes > limit {
            let initial = self.initial_memory_bytes;
            warnings.push(format!(
                "its memory begins with {initial} bytes, more than the {limit} it gets: it never starts"
            ));
        }
        if let Some(seconds) = self.manifest.limits.call_seconds
            && u64::from(seconds) * 1_000 > default.call_milliseconds
        {
            let limit = default.call_milliseconds / 1_000;
            warnings
                .push(format!("it asks for {seconds} s a call: an agent gives {limit} s unless it is told otherwise"));
        }
        if let Err(problem) = parts::check(component, &default) {
            warnings.push(format!("no agent takes it: {problem}"));
        }
        if let Some(path) = builders_path(component) {
            warnings.push(format!("it tells where it was built: `{path}`"));
        }
        let counts = [
            ("memories", self.memories, default.memories),
            ("tables", self.tables, default.tables),
            ("core modules", self.core_modules, default.instances),
        ];
        for (things, count, limit) in counts {
            if count > limit {
                warnings.push(format!("it has {count} {things}, and an agent allows {limit}"));
            }
        }
    }

    fn warn_of_rules(&self, warnings: &mut Vec<String>) {
        if let Some(rules) = &self.manifest.rules {
            let encoding = &rules.encoding;
            if !ENCODINGS.contains(&encoding.as_str()) {
                warnings
                    .push(format!("no site of this version encodes `{encoding}`: it knows {}", ENCODINGS.join(", ")));
            }
            if encoding == "json" && rules.schema.is_none() {
                warnings
                    .push("its rules are JSON without a schema: nobody can check a policy before it fails".to_owned());
            }
        }
        if self.manifest.source.is_none() {
            warnings.push("it does not say what it was built from: build it with `farrier plugin build`".to_owned());
        }
    }

    fn warn_of_grants(&self, warnings: &mut Vec<String>) {
        let Manifest { read, write, run, .. } = &self.manifest;
        for (list, requests, precious) in [("read", read, SECRETS.as_slice()), ("write", write, KEYS.as_slice())] {
            for Request { grant, .. } in requests {
                let Ok(glob) = Glob::parse(grant) else { continue };
                if is_wide(grant, list == "write") {
                    warnings.push(format!("it asks to {list} `{grant}`, which is nearly everything"));
                } else if let Some(file) = precious.iter().find(|file| glob.is_match(file)) {
                    warnings.push(format!("it asks to {list} `{grant}`, and so {file}"));
                }
            }
        }
        let programs: BTreeSet<_> =
            run.iter().filter_map(|request| Some(RunGrant::parse(&request.grant).ok()?.program().to_owned())).collect();
        for program in programs.iter().filter(|program| is_interpreter(program)) {
            warnings.push(format!("it asks to run {program}, which does whatever it is told"));
        }
    }
}

/// Whether a glob covers most of an endpoint: nothing is fixed at its top, or, to write, right below it.
fn is_wide(glob: &str, to_write: bool) -> bool {
    let is_wild = |part: &str| part.contains(['*', '?', '[', '{']);
    let mut parts = glob.split('/').skip(1);
    let first = parts.next().unwrap_or_default();
    is_wild(first)
        || (to_write
            && parts.next().is_some_and(|part| part == "**")
            && matches!(first, "etc" | "usr" | "dev" | "boot" | "var"))
}

fn is_interpreter(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    INTERPRETERS.contains(&name) || name.starts_with("python") || name.starts_with("perl")
}

/// A path of the machine it was built on, if it is in there.
fn builders_path(component: &[u8]) -> Option<String> {
    let begin = BUILDERS_PATHS.into_iter().find_map(|path| find(component, path.as_bytes()))?;
    let rest = component.get(begin..)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len()).min(MAX_SHOWN_BYTES);
    Some(printable(&String::from_utf8_lossy(rest.get(..end)?), MAX_SHOWN_BYTES))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
