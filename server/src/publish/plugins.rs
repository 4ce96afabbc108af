//! The plugins among the targets: every version that some client may need, `plugins/{name}/{version}`.

use super::{Target, Wish};
use crate::database::{Database, RegisteredVersion};
use crate::plugins::rollout::{assigned_installer, assigned_plugin, target};
use crate::repository::RepositoryFolder;
use anyhow::Context as _;
use farrier_protocol::Digest;
use farrier_runtime::World;

/// What installs the updates of upstreams.
const USUAL_INSTALLER: &str = "dpkg-installer";

/// Stores the versions in use and names them, as targets and as what clients are assigned. One that is damaged is left
/// out: whoever would have it gets another version.
pub(super) async fn publish(database: &Database, repository: &RepositoryFolder, wish: &mut Wish) -> anyhow::Result<()> {
    let plugins = database.registered_plugins().await.context("reading the plugins")?;
    for plugin in &plugins {
        for version in plugin.in_use() {
            let stored = store(database, repository, version).await;
            if !stored.with_context(|| format!("plugin {} {} cannot be stored", plugin.name, version.version))? {
                tracing::error!(
                    plugin.name = plugin.name,
                    plugin.version = version.version,
                    "A plugin is damaged in the site database and is not published: push the same component again"
                );
                continue;
            }
            wish.targets.push(Target {
                name: target(&plugin.name, &version.version),
                digest: version.digest,
                length: u64::try_from(version.component_bytes)?,
            });
            match plugin.world {
                World::Applicability => wish.content.plugins.extend(assigned_plugin(plugin, version)),
                World::Installer => wish.deployments.installers.extend(assigned_installer(plugin, version)),
            }
        }
    }
    // Clients are told only of installers that some deployment needs, the most needed first.
    let needed = database.needed_installers(USUAL_INSTALLER).await.context("reading what is deployed")?;
    let place = |name: &str| needed.iter().position(|known| known == name);
    let installers = &mut wish.deployments.installers;
    installers.retain(|installer| place(&installer.name).is_some());
    installers.sort_by_key(|installer| place(&installer.name));
    Ok(())
}

/// Stores a component, if it is not there. `false` if the site database has no such component any more.
async fn store(
    database: &Database,
    repository: &RepositoryFolder,
    version: &RegisteredVersion,
) -> anyhow::Result<bool> {
    let is_it = |component: &[u8]| Digest::of(component) == version.digest;
    let stored = tokio::fs::read(repository.path(&version.digest)).await;
    if stored.is_ok_and(|component| is_it(&component)) {
        return Ok(true);
    }
    let component = database.plugin_component(version.row).await?;
    let Some(component) = component.filter(|component| is_it(component)) else { return Ok(false) };
    let repository = repository.clone();
    tokio::task::spawn_blocking(move || repository.put(&component)).await??;
    Ok(true)
}
