//! The plugins that come with Farrier.
//!
//! They are approved with everything they ask for, once: what an administrator refused later stays refused. The newest
//! counts by itself, unless an administrator chose another version or the name is somebody else's.

use super::GrantStanding;
use super::approvals::{requests, standing};
use crate::database::{Database, NewVersion, PluginChange, RegisteredPlugin, RegisteredVersion, compare_versions};
use anyhow::{Context as _, anyhow};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::Manifest;
use std::cmp::Ordering;

/// Who publishes them.
pub const FARRIER: &str = "Farrier";
/// What `cargo plugins` built.
const COMPONENTS: &[&[u8]] = include!(concat!(env!("OUT_DIR"), "/in_box.rs"));

/// The components in the box.
#[must_use]
pub fn components() -> &'static [&'static [u8]] {
    COMPONENTS
}

/// Makes the plugins in the box known to the site. Says whether anything changed.
///
/// # Errors
/// When one is damaged or the database fails.
pub async fn register(database: &Database, now: UnixTime) -> anyhow::Result<bool> {
    let manifests = COMPONENTS.iter().map(|component| Ok((Manifest::read(component)?, *component)));
    let manifests: Vec<_> = manifests.collect::<anyhow::Result<_>>().context("a plugin in the box is damaged")?;
    let known = database.registered_plugins().await.context("reading the plugins")?;
    let is_known = |(manifest, component): &(Manifest, &[u8])| {
        let digest = Digest::of(component);
        let plugin = known.iter().find(|plugin| plugin.name == manifest.name);
        plugin.and_then(|plugin| plugin.version(&manifest.version)).is_some_and(|version| version.digest == digest)
    };
    if manifests.iter().all(is_known) {
        return Ok(false);
    }
    let mut change = database.change_plugins(now).await.context("writing the plugins")?;
    for (manifest, component) in &manifests {
        let new = NewVersion { manifest, component, publisher: FARRIER, by: FARRIER };
        let registered = register_one(&mut change, &new).await;
        registered.with_context(|| format!("plugin {} cannot be registered", manifest.name))?;
    }
    change.commit().await.context("writing the plugins")?;
    Ok(true)
}

async fn register_one(change: &mut PluginChange, new: &NewVersion<'_>) -> anyhow::Result<()> {
    let Manifest { name, version, .. } = new.manifest;
    let world = new.manifest.known_world().ok_or_else(|| anyhow!("it is for a world that this site does not know"))?;
    let stored = change.plugin(name).await?;
    if let Some(stored) = &stored
        && (stored.world != world || stored.current_version().is_some_and(|current| current.publisher != FARRIER))
    {
        tracing::warn!(plugin.name = name, "A plugin in the box is not used: an administrator's has its name");
        return Ok(());
    }
    match stored.as_ref().and_then(|stored| stored.version(version)) {
        Some(known) if known.digest == Digest::of(new.component) => return Ok(()),
        Some(known) if known.publisher != FARRIER => {
            tracing::warn!(plugin.name = name, "A plugin in the box is not used: somebody pushed this version of it");
            return Ok(());
        }
        // Farrier was built again: only between releases, whose versions differ.
        Some(known) => change.replace_version(known.row, new).await?,
        None => {
            let row = match &stored {
                Some(stored) => stored.row,
                None => change.add_plugin(name, world).await?,
            };
            change.add_version(row, new).await?;
            change.note(row, &format!("{version} came with Farrier.")).await?;
        }
    }
    let plugin = change.plugin(name).await?.context("it is not there")?;
    approve(change, &plugin, new.manifest).await?;
    make_current(change, &plugin, version).await
}

async fn approve(change: &mut PluginChange, plugin: &RegisteredPlugin, manifest: &Manifest) -> Result<(), sqlx::Error> {
    for (access, request) in requests(manifest) {
        if standing(&plugin.decisions, access, &request.grant) == GrantStanding::Undecided {
            change.decide(plugin.row, (access, &request.grant), true, FARRIER).await?;
        }
    }
    Ok(())
}

async fn make_current(change: &mut PluginChange, plugin: &RegisteredPlugin, version: &str) -> anyhow::Result<()> {
    let new = super::version_of(plugin, version)?;
    let is_newer = |current: &RegisteredVersion| compare_versions(&current.version, version) == Ordering::Less;
    if !plugin.pinned && plugin.current_version().is_none_or(is_newer) {
        change.set_current(plugin.row, Some(new.row), plugin.current, false).await?;
        change.note(plugin.row, &format!("{version} counts now.")).await?;
    }
    Ok(())
}

/// Whether this version is the newest that came with Farrier.
pub(super) fn is_newest(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> bool {
    let newest = plugin.versions.iter().rev().find(|known| known.publisher == FARRIER);
    newest.is_some_and(|newest| newest.row == version.row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_in_the_box_has_a_name_and_a_version_of_its_own() {
        let names = components().iter().map(|component| Manifest::read(component).unwrap().name);
        let mut names: Vec<String> = names.collect();
        assert!(names.contains(&"dpkg".to_owned()) && names.iter().all(|name| !name.starts_with("hostile")));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
