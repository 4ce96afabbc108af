//! Where components come from, and where their artefacts go.

use farrier_runtime::{ArtefactCache, Compiler, Source};
use std::path::PathBuf;
use std::sync::OnceLock;
use tempfile::TempDir;
use wasmparser::{Parser, Payload};

/// Artefacts of all tests of this process: what one compiled, the others load.
pub fn compiled() -> Source<'static> {
    static CACHE: OnceLock<(TempDir, ArtefactCache)> = OnceLock::new();
    let (_, cache) = CACHE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path(), [1; 32]).unwrap();
        (folder, cache)
    });
    Source::Compiled(cache, &Compiler::InProcess)
}

/// The folder of all plugins.
pub fn plugins() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins"))
}

/// A built plugin.
pub fn built(plugin: &str) -> Vec<u8> {
    std::fs::read(plugins().join("dist").join(plugin).with_extension("wasm")).unwrap()
}

/// A component with this manifest in the place of its own.
pub fn with_manifest(component: &[u8], manifest: &[u8]) -> Vec<u8> {
    let mut whole = component.to_vec();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                let content = section.range();
                let begin = content.start - 1 - number(content.len()).len();
                assert_eq!(component[begin], 0, "the id of a custom section");
                whole.drain(begin..content.end);
            }
            _ => {}
        }
    }
    let content = [number(SECTION.len()), SECTION.as_bytes().to_vec(), manifest.to_vec()].concat();
    [whole, vec![0], number(content.len()), content].concat()
}

const SECTION: &str = "farrier-manifest";

/// As the format writes numbers: seven bits a byte, the lowest first.
fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
