//! Where components come from, and where their artefacts go.

use farrier_runtime::ArtefactCache;
use std::path::PathBuf;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Artefacts of all tests of this process: what one compiled, the others load.
pub fn cache() -> &'static ArtefactCache {
    static CACHE: OnceLock<(TempDir, ArtefactCache)> = OnceLock::new();
    let (_, cache) = CACHE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path(), [1; 32]).unwrap();
        (folder, cache)
    });
    cache
}

/// The folder of all plugins.
pub fn plugins() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins"))
}

/// A built plugin.
pub fn built(plugin: &str) -> Vec<u8> {
    std::fs::read(plugins().join("dist").join(plugin).with_extension("wasm")).unwrap()
}
