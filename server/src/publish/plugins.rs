//! The plugins that come with Farrier.

use crate::repository::RepositoryFolder;
use anyhow::{Context as _, anyhow};
use farrier_protocol::Digest;
use farrier_protocol::assignment::{AssignedInstaller, AssignedPlugin};
use farrier_runtime::{Manifest, World};
use farrier_trust::Target;

/// A built component.
pub(super) struct Plugin(&'static [u8]);

/// A plugin as clients are assigned it.
pub(super) enum Assigned {
    /// It scans.
    Applicability(Box<AssignedPlugin>),
    /// It installs.
    Installer(Box<AssignedInstaller>),
}

/// The plugins in the box: what `cargo plugins` built.
pub(super) fn in_box() -> [Plugin; 2] {
    [
        Plugin(include_bytes!("../../../plugins/dist/dpkg.wasm")),
        Plugin(include_bytes!("../../../plugins/dist/dpkg-installer.wasm")),
    ]
}

impl Plugin {
    /// Stores the component and returns it as a target, and as what clients are assigned.
    ///
    /// A plugin that comes with Farrier is approved with everything its manifest asks for.
    pub(super) fn publish(&self, repository: &RepositoryFolder) -> anyhow::Result<(Target, Assigned)> {
        let manifest = Manifest::read(self.0).context("a plugin in the box is damaged")?;
        let digest = repository.put(self.0).context("a plugin cannot be stored")?;
        let target = format!("plugins/{}", manifest.name);
        let assigned = assigned(&manifest, &target, digest)?.ok_or_else(|| {
            anyhow!("the manifest of plugin {} has more or longer entries than a client takes", manifest.name)
        })?;
        Ok((Target { name: target, digest, length: self.0.len() as u64 }, assigned))
    }
}

fn assigned(manifest: &Manifest, target: &str, digest: Digest) -> anyhow::Result<Option<Assigned>> {
    match World::ALL.into_iter().find(|world| world.as_str() == manifest.world) {
        Some(World::Applicability) => {
            Ok(applicability(manifest, target, digest).map(|plugin| Assigned::Applicability(Box::new(plugin))))
        }
        Some(World::Installer) => {
            Ok(installer(manifest, target, digest).map(|installer| Assigned::Installer(Box::new(installer))))
        }
        None => {
            Err(anyhow!("plugin {} is for the world {}, which this site does not know", manifest.name, manifest.world))
        }
    }
}

fn applicability(manifest: &Manifest, target: &str, digest: Digest) -> Option<AssignedPlugin> {
    Some(AssignedPlugin {
        name: bounded(&manifest.name)?,
        version: bounded(&manifest.version)?,
        target: bounded(target)?,
        digest,
        read: all(&manifest.read)?,
    })
}

fn installer(manifest: &Manifest, target: &str, digest: Digest) -> Option<AssignedInstaller> {
    Some(AssignedInstaller {
        name: bounded(&manifest.name)?,
        version: bounded(&manifest.version)?,
        target: bounded(target)?,
        digest,
        read: all(&manifest.read)?,
        write: all(&manifest.write)?,
        run: all(&manifest.run)?,
    })
}

fn bounded<const N: usize>(text: &str) -> Option<heapless::String<N>> {
    heapless::String::try_from(text).ok()
}

fn all<const N: usize, const M: usize>(grants: &[String]) -> Option<heapless::Vec<heapless::String<N>, M>> {
    let mut all = heapless::Vec::new();
    for grant in grants {
        all.push(bounded(grant)?).ok()?;
    }
    Some(all)
}
