//! The plugins that come with Farrier.

use crate::repository::RepositoryFolder;
use anyhow::{Context as _, anyhow};
use farrier_protocol::assignment::AssignedPlugin;
use farrier_runtime::Manifest;
use farrier_trust::Target;

/// A built component.
pub(super) struct Plugin(&'static [u8]);

/// The plugins in the box: what `cargo plugins` built.
pub(super) fn in_box() -> [Plugin; 1] {
    [Plugin(include_bytes!("../../../plugins/dist/dpkg.wasm"))]
}

impl Plugin {
    /// Stores the component and returns it as a target, and as what clients are assigned.
    ///
    /// A plugin that comes with Farrier is approved with everything its manifest asks for.
    pub(super) fn publish(&self, repository: &RepositoryFolder) -> anyhow::Result<(Target, AssignedPlugin)> {
        let manifest = Manifest::read(self.0).context("a plugin in the box is damaged")?;
        let digest = repository.put(self.0).context("a plugin cannot be stored")?;
        let target = format!("plugins/{}", manifest.name);
        let assigned = assigned(&manifest, &target, digest).ok_or_else(|| {
            anyhow!("the manifest of plugin {} has more or longer entries than a client takes", manifest.name)
        })?;
        Ok((Target { name: target, digest, length: self.0.len() as u64 }, assigned))
    }
}

fn assigned(manifest: &Manifest, target: &str, digest: farrier_protocol::Digest) -> Option<AssignedPlugin> {
    let mut read = heapless::Vec::new();
    for grant in &manifest.read {
        read.push(heapless::String::try_from(grant.as_str()).ok()?).ok()?;
    }
    Some(AssignedPlugin {
        name: heapless::String::try_from(manifest.name.as_str()).ok()?,
        version: heapless::String::try_from(manifest.version.as_str()).ok()?,
        target: heapless::String::try_from(target).ok()?,
        digest,
        read,
    })
}
