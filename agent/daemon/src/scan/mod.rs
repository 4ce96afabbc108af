//! A scan: every assigned plugin is asked about every chunk of the catalogs that concern this client.

mod chunks;
mod conduct;
mod plugin;
mod shadow;

pub(crate) use chunks::{ChunkError, Chunks};
pub(crate) use conduct::{Unfit, conduct};
pub(crate) use plugin::{Guest, Tally};
pub(crate) use shadow::Counting;

use crate::agent::Agent;
use crate::artefacts::{Artefacts, load_error};
use crate::clock::now;
use crate::content::Content;
use crate::identity::Identity;
use crate::policy::Policy;
use anyhow::bail;
use farrier_agent_core::versions::{Conduct, Health, Version};
use farrier_protocol::Digest;
use farrier_protocol::assignment::{AssignedInstaller, AssignedPlugin};
use farrier_protocol::state_message::{PluginResult, bounded};
use farrier_runtime::{Grants, InstallerPlugin, LoadError, Manifest, Plugin, Runtime, Source};
use plugin::PluginScan;

/// Loads plugins and puts them to work on the endpoint.
pub(crate) struct Scanner<'a> {
    agent: &'a Agent,
    content: &'a Content,
    runtime: Runtime,
    artefacts: Artefacts<'a>,
}

/// What a scan found.
pub(crate) struct Outcome {
    /// The verdicts.
    pub(crate) tally: Tally,
    /// How each plugin fared.
    pub(crate) plugins: Vec<PluginResult>,
    /// What that says of the versions that were used, by digest.
    pub(crate) conducts: Vec<(Digest, Conduct)>,
}

impl<'a> Scanner<'a> {
    /// A scanner of the agent's endpoint, for the plugins of this policy.
    pub(crate) fn open(
        agent: &'a Agent,
        identity: &Identity,
        content: &'a Content,
        policy: &Policy,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::new(agent.config.plugins.profile(), agent.config.limits.limits())?;
        let artefacts = Artefacts::open(agent, identity, content, policy)?;
        Ok(Self { agent, content, runtime, artefacts })
    }

    /// The plugin, ready to be asked, with the grants that the site, its manifest and this client agree on.
    pub(crate) fn guest(&self, policy: &Policy, assigned: &AssignedPlugin) -> anyhow::Result<farrier_runtime::Scan> {
        let limit = self.runtime.limits().component_bytes;
        if let Some(bytes) = policy.too_large(assigned, limit) {
            bail!(Unfit::TooLarge { bytes, limit });
        }
        let plugin = self.plugin(assigned)?;
        let grants = Grants::new(plugin.manifest(), &assigned.read, &self.agent.config.plugins.read)?;
        Ok(plugin.scan(&self.agent.endpoint, grants))
    }

    /// The version of a plugin that is used, ready to be asked.
    pub(crate) fn guest_in_use(
        &self,
        policy: &Policy,
        health: &Health,
        assigned: &AssignedPlugin,
    ) -> anyhow::Result<farrier_runtime::Scan> {
        let chosen = health.choose(assigned, &policy.assignment.fallbacks, now()).version();
        self.guest(policy, chosen.map_err(anyhow::Error::msg)?)
    }

    /// Forgets the compiled form of every plugin but these.
    pub(crate) fn forget_others(&self, components: impl Iterator<Item = Digest>) {
        let assigned: Vec<_> = components.collect();
        if let Err(error) = self.artefacts.retain(&assigned) {
            tracing::warn!(%error, "Old compiled plugins could not be removed");
        }
    }

    /// Asks every plugin of the policy about everything, each in the version that is used.
    pub(crate) fn scan(&self, policy: &Policy, health: &Health, mut tally: Tally) -> anyhow::Result<Outcome> {
        let mut chunks = Chunks::new(self.content)?;
        let (mut plugins, mut conducts) = (Vec::new(), Vec::new());
        for assigned in &policy.assignment.assessment.plugins {
            let scan = PluginScan::new(&assigned.name, &mut chunks, &mut tally);
            let catalogs =
                policy.assignment.assessment.catalogs.iter().filter(|catalog| catalog.plugin == assigned.name);
            let chosen = health.choose(assigned, &policy.assignment.fallbacks, now()).version();
            let version = chosen.as_ref().map_or(assigned, |chosen| chosen);
            let faring = match chosen.as_ref().map(|chosen| self.guest(policy, chosen)) {
                Ok(Ok(mut guest)) => scan.run(&mut guest, catalogs),
                Ok(Err(error)) => scan.fail(&error),
                Err(reason) => scan.leave_out(reason),
            };
            conducts.push((version.digest, faring.conduct));
            let (name, version) = (assigned.name.clone(), version.version.clone());
            plugins.push(PluginResult { name, version, error: bounded(&faring.error) });
        }
        Ok(Outcome { tally, plugins, conducts })
    }

    /// An installer plugin, loaded.
    pub(crate) fn installer(&self, assigned: &AssignedInstaller) -> anyhow::Result<InstallerPlugin> {
        let AssignedInstaller { name, version, digest, .. } = assigned;
        let load = |component: &[u8], source: Source<'_>| self.runtime.load_installer(component, source);
        let plugin = self.load(digest, &format!("{name} {version}"), load)?;
        check(assigned, plugin.manifest())?;
        Ok(plugin)
    }

    fn plugin(&self, assigned: &AssignedPlugin) -> anyhow::Result<Plugin> {
        let AssignedPlugin { name, version, digest, .. } = assigned;
        let load = |component: &[u8], source: Source<'_>| self.runtime.load(component, source);
        let plugin = self.load(digest, &format!("{name} {version}"), load)?;
        check(assigned, plugin.manifest())?;
        Ok(plugin)
    }

    fn load<T>(
        &self,
        digest: &Digest,
        what: &str,
        load: impl FnOnce(&[u8], Source<'_>) -> Result<T, LoadError>,
    ) -> anyhow::Result<T> {
        let mut component = Vec::new();
        self.content.read(digest, self.runtime.limits().component_bytes, &mut component)?;
        self.agent.progress.show(format_args!("Preparing plugin {what}"));
        let loaded = load(&component, self.artefacts.source());
        self.agent.progress.clear();
        loaded.map_err(load_error)
    }
}

fn check(assigned: &impl Version, manifest: &Manifest) -> Result<(), Unfit> {
    let (name, version) = (assigned.name(), assigned.version());
    if manifest.name == name && manifest.version == version {
        return Ok(());
    }
    let found = format!("{} {}", manifest.name, manifest.version);
    Err(Unfit::Misnamed { name: name.to_owned(), version: version.to_owned(), found })
}
