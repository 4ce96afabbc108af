//! A scan: every assigned plugin is asked about every chunk of the catalogs that concern this client.

mod chunks;
mod plugin;

pub(crate) use chunks::{ChunkError, Chunks};
pub(crate) use plugin::{Guest, Tally};

use crate::agent::Agent;
use crate::content::{Content, Unavailable};
use crate::identity::Identity;
use crate::policy::Policy;
use anyhow::{Context as _, ensure};
use farrier_protocol::assignment::AssignedPlugin;
use farrier_protocol::state_message::{PluginResult, bounded};
use farrier_runtime::{ArtefactCache, Grants, Plugin, Profile, Runtime};
use plugin::PluginScan;

/// Loads plugins and puts them to work on the endpoint.
pub(crate) struct Scanner<'a> {
    agent: &'a Agent,
    content: &'a Content,
    runtime: Runtime,
    artefacts: ArtefactCache,
}

/// What a scan found.
pub(crate) struct Outcome {
    /// The verdicts.
    pub(crate) tally: Tally,
    /// How each plugin fared.
    pub(crate) plugins: Vec<PluginResult>,
}

impl<'a> Scanner<'a> {
    /// A scanner of the agent's endpoint.
    pub(crate) fn open(agent: &'a Agent, identity: &Identity, content: &'a Content) -> anyhow::Result<Self> {
        let runtime = Runtime::new(Profile::Native, agent.config.limits.limits())?;
        let folder = agent.layout.artefacts();
        let artefacts = ArtefactCache::open(&folder, identity.device_key)
            .with_context(|| format!("the folder of compiled plugins {} cannot be made", folder.display()))?;
        Ok(Self { agent, content, runtime, artefacts })
    }

    /// The plugin, ready to be asked, with the grants that the site, its manifest and this client agree on.
    pub(crate) fn guest(&self, assigned: &AssignedPlugin) -> anyhow::Result<farrier_runtime::Scan> {
        let plugin = self.load(assigned)?;
        let grants = Grants::new(plugin.manifest(), &assigned.read, &self.agent.config.plugins.read)?;
        Ok(plugin.scan(&self.agent.endpoint, grants))
    }

    /// Forgets the compiled form of every plugin that is not assigned.
    pub(crate) fn forget_others(&self, plugins: &[AssignedPlugin]) {
        let assigned: Vec<_> = plugins.iter().map(|plugin| plugin.digest).collect();
        if let Err(error) = self.artefacts.retain(&assigned) {
            tracing::warn!(%error, "Old compiled plugins could not be removed");
        }
    }

    /// Asks every plugin of the policy about everything. Names are collected for people, not for the site.
    pub(crate) fn scan(&self, policy: &Policy, with_names: bool) -> anyhow::Result<Outcome> {
        let mut tally = Tally::new(with_names);
        let mut chunks = Chunks::new(self.content)?;
        let mut results = Vec::new();
        for assigned in &policy.assignment.assessment.plugins {
            let scan = PluginScan::new(&assigned.name, &mut chunks, &mut tally);
            let catalogs =
                policy.assignment.assessment.catalogs.iter().filter(|catalog| catalog.plugin == assigned.name);
            let error = match self.guest(assigned) {
                Ok(mut guest) => scan.run(&mut guest, catalogs),
                Err(error) => scan.fail(&format!("{error:#}"), error.is::<Unavailable>()),
            };
            let (name, version) = (assigned.name.clone(), assigned.version.clone());
            results.push(PluginResult { name, version, error: bounded(&error) });
        }
        Ok(Outcome { tally, plugins: results })
    }

    fn load(&self, assigned: &AssignedPlugin) -> anyhow::Result<Plugin> {
        let AssignedPlugin { name, version, digest, .. } = assigned;
        let mut component = Vec::new();
        self.content.read(digest, self.runtime.limits().component_bytes, &mut component)?;
        self.agent.progress.show(format_args!("Preparing plugin {name} {version}"));
        let loaded = self.runtime.load(&component, &self.artefacts, &self.agent.compiler);
        self.agent.progress.clear();
        let plugin = loaded?;
        let manifest = plugin.manifest();
        ensure!(
            *manifest.name == **name && *manifest.version == **version,
            "it is assigned as {name} {version}, but its manifest says {} {}",
            manifest.name,
            manifest.version
        );
        Ok(plugin)
    }
}
