//! What the benchmark scans: this machine against its own apt suites, or a generated sample.

mod apt;
mod sample;

use farrier_dpkg_rules::{Binary, RuleBuilder};
use farrier_protocol::catalog::{MAX_CHUNK_RULE_BYTES, MAX_CHUNK_RULES};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Set (to anything) to use the sample although there is a Debian.
const SAMPLE_VARIABLE: &str = "FARRIER_BENCH_SAMPLE";

/// Rules and the endpoint they are for.
pub struct Subject {
    /// What it is, for people.
    pub name: String,
    /// The root of the endpoint.
    pub root: PathBuf,
    /// The chunks, as a catalog holds them.
    pub chunks: Vec<Chunk>,
    // Removed with it.
    _folder: Option<tempfile::TempDir>,
}

/// One chunk of rules.
#[derive(Default)]
pub struct Chunk {
    /// The rules behind their lengths.
    pub rules: Vec<u8>,
    /// How many they are.
    pub count: usize,
}

/// A binary package of an upstream.
struct Package {
    source: String,
    source_version: String,
    name: String,
    version: String,
    all: bool,
}

impl Subject {
    /// This machine and its suites if it is a Debian with package lists, else the sample.
    pub fn of_this_machine() -> Self {
        let real = std::env::var_os(SAMPLE_VARIABLE).is_none().then(apt::packages).flatten();
        match real {
            Some((architecture, packages)) => Self::new("/".into(), None, &architecture, &packages),
            None => {
                let (folder, packages) = sample::endpoint();
                Self::new(folder.path().to_owned(), Some(folder), sample::ARCHITECTURE, &packages)
            }
        }
    }

    fn new(root: PathBuf, folder: Option<tempfile::TempDir>, architecture: &str, packages: &[Package]) -> Self {
        let chunks = chunks(architecture, packages);
        let updates = chunks.iter().map(|chunk| chunk.count).sum::<usize>();
        let origin = if folder.is_some() { "a generated sample" } else { "this machine's suites" };
        let (binaries, pieces) = (packages.len(), chunks.len());
        let name = format!("{origin}: {updates} updates with {binaries} packages in {pieces} chunks");
        Self { name, root, chunks, _folder: folder }
    }
}

/// One rule for each source package's version, as the publisher makes them.
fn chunks(architecture: &str, packages: &[Package]) -> Vec<Chunk> {
    let mut sources = BTreeMap::<_, Vec<_>>::new();
    for package in packages {
        sources.entry((&package.source, &package.source_version)).or_default().push(package);
    }
    let mut chunks = vec![Chunk::default()];
    for ((_, version), binaries) in sources {
        let mut rule = RuleBuilder::new(version, architecture).unwrap();
        for Package { name, version, all, .. } in binaries {
            let (name, version) = (name.as_bytes(), version.as_bytes());
            rule.push(&Binary { name, version, all: *all, above: None }).unwrap();
        }
        append(&mut chunks, &rule.finish());
    }
    chunks
}

fn append(chunks: &mut Vec<Chunk>, rule: &[u8]) {
    let full =
        |chunk: &Chunk| chunk.count == MAX_CHUNK_RULES || chunk.rules.len() + 2 + rule.len() > MAX_CHUNK_RULE_BYTES;
    if chunks.last().is_some_and(full) {
        chunks.push(Chunk::default());
    }
    if let Some(chunk) = chunks.last_mut() {
        chunk.rules.extend_from_slice(&u16::try_from(rule.len()).unwrap().to_le_bytes());
        chunk.rules.extend_from_slice(rule);
        chunk.count += 1;
    }
}
