//! The plugins among the targets: every version that some client may need, `plugins/{name}/{version}`.

use crate::database::{Database, PublishedContent, PublishedDeployments, RegisteredPlugin, RegisteredVersion};
use crate::plugins::rollout::{assigned_installer, assigned_plugin, target};
use crate::repository::RepositoryFolder;
use anyhow::{Context as _, ensure};
use farrier_protocol::Digest;
use farrier_runtime::World;
use farrier_trust::Target;

/// What installs the updates of upstreams.
const USUAL_INSTALLER: &str = "dpkg-installer";

/// Stores the versions in use and names them, as targets and as what clients are assigned.
pub(super) async fn publish(
    database: &Database,
    repository: &RepositoryFolder,
    targets: &mut Vec<Target>,
    content: &mut PublishedContent,
    deployments: &mut PublishedDeployments,
) -> anyhow::Result<()> {
    let plugins = database.registered_plugins().await.context("reading the plugins")?;
    for plugin in &plugins {
        for version in plugin.in_use() {
            let stored = store(database, repository, plugin, version).await;
            stored.with_context(|| format!("plugin {} {} cannot be stored", plugin.name, version.version))?;
            targets.push(Target {
                name: target(&plugin.name, &version.version),
                digest: version.digest,
                length: u64::try_from(version.component_bytes)?,
            });
            match plugin.world {
                World::Applicability => content.plugins.extend(assigned_plugin(plugin, version)),
                World::Installer => deployments.installers.extend(assigned_installer(plugin, version)),
            }
        }
    }
    // Clients are told only of installers that some deployment needs, the most needed first.
    let needed = database.needed_installers(USUAL_INSTALLER).await.context("reading what is deployed")?;
    let place = |name: &str| needed.iter().position(|known| known == name);
    deployments.installers.retain(|installer| place(&installer.name).is_some());
    deployments.installers.sort_by_key(|installer| place(&installer.name));
    Ok(())
}

/// Stores a component, if it is not there.
async fn store(
    database: &Database,
    repository: &RepositoryFolder,
    plugin: &RegisteredPlugin,
    version: &RegisteredVersion,
) -> anyhow::Result<()> {
    let stored = tokio::fs::read(repository.path(&version.digest)).await;
    if stored.is_ok_and(|component| Digest::of(&component) == version.digest) {
        return Ok(());
    }
    let component = database.plugin_component(version.row).await?.context("it is gone from the site database")?;
    let (repository, digest) = (repository.clone(), version.digest);
    ensure!(
        Digest::of(&component) == digest,
        "it is damaged in the site database: push {} {} again",
        plugin.name,
        version.version
    );
    tokio::task::spawn_blocking(move || repository.put(&component)).await??;
    Ok(())
}
