//! Everything that a policy needs, from the site onto the disk.

use crate::deployments::{Policies, Scopes, concerns, is_published};
use crate::health;
use crate::policy::Policy;
use crate::scan::{Chunks, Scanner};
use crate::session::Session;
use crate::site::Site;
use anyhow::{Context as _, ensure};
use farrier_agent_core::assignment::components;
use farrier_agent_core::versions::Version;
use farrier_protocol::Digest;
use farrier_protocol::assignment::{AssignedCatalog, AssignedDeployment, AssignedPlugin};
use farrier_protocol::catalog::{ChunkEntry, MAX_CATALOG_BYTES};
use farrier_protocol::deployment::MAX_POLICY_BYTES;
use std::collections::BTreeSet;

/// Brings what only shadows need onto the disk. Nothing else waits for that, so it comes last; what cannot be had is
/// merely missing, and the shadow's report says so.
pub(crate) async fn fetch_for_shadows(session: &mut Session<'_>, site: &Site) -> anyhow::Result<()> {
    let Some(policy) = session.policy() else { return Ok(()) };
    let shadows = &policy.assignment.shadows;
    if shadows.is_empty() {
        return Ok(());
    }
    let scanner = Scanner::open(session.agent, &session.identity, &session.content, &policy)?;
    let mut supply = Supply::new(session, site, &policy);
    for shadow in shadows {
        supply.spare("shadow", &**shadow).await;
        supply.catalogs_of_shadow(&scanner, shadow).await;
    }
    session.agent.progress.clear();
    Ok(())
}

/// Brings everything that a policy needs onto the disk.
pub(crate) struct Supply<'a> {
    session: &'a Session<'a>,
    site: &'a Site,
    policy: &'a Policy,
    keep: BTreeSet<Digest>,
}

impl<'a> Supply<'a> {
    /// From this site, for this policy.
    pub(crate) fn new(session: &'a Session<'a>, site: &'a Site, policy: &'a Policy) -> Self {
        Self { session, site, policy, keep: BTreeSet::new() }
    }

    /// Returns what the policy refers to, or nothing if a plugin could not say what it needs.
    pub(crate) async fn everything(mut self) -> anyhow::Result<Option<BTreeSet<Digest>>> {
        let (session, assignment) = (self.session, &self.policy.assignment);
        for plugin in &assignment.assessment.plugins {
            self.component(plugin).await?;
        }
        // Before the plugins are asked: one of them may have fallen back already.
        for fallback in &assignment.fallbacks {
            self.spare("fallback", &**fallback).await;
        }
        let scanner = Scanner::open(session.agent, &session.identity, &session.content, self.policy)?;
        scanner.forget_others(components(assignment));
        let health = health::load(&session.spool, assignment)?;
        let (mut all_known, mut known_scopes) = (true, Scopes::new());
        for plugin in &assignment.assessment.plugins {
            let guest = scanner.guest_in_use(self.policy, &health, plugin);
            let scopes = guest.and_then(|mut guest| Ok(guest.scopes()?)).unwrap_or_else(|error| {
                // The scan meets the same failure and reports it; the other plugins get their catalogs.
                tracing::warn!(plugin.name = %plugin.name, error = format!("{error:#}"), "A plugin names no scopes");
                all_known = false;
                Vec::new()
            });
            self.catalogs(&plugin.name, &scopes).await?;
            known_scopes.insert(plugin.name.to_string(), scopes);
        }
        for installer in &assignment.installers {
            self.component(installer).await?;
        }
        for deployment in assignment.deployments.iter().filter(|deployment| is_published(deployment)) {
            self.deployment(deployment, &known_scopes).await?;
        }
        for fallback in &assignment.installer_fallbacks {
            self.spare("fallback", &**fallback).await;
        }
        // They are fetched when everything that counts is done, and stay then.
        let engine = session.agent.engine();
        for shadow in &assignment.shadows {
            let artefact = engine.and_then(|engine| self.policy.artefact(engine, &shadow.digest));
            self.keep.extend([shadow.digest].into_iter().chain(artefact.map(|artefact| artefact.digest)));
        }
        session.agent.progress.clear();
        Ok(all_known.then_some(self.keep))
    }

    /// A plugin's component. One that is too large for this client is left where it is: whoever needs it says so, and
    /// everything else goes on.
    async fn component(&mut self, component: &impl Version) -> anyhow::Result<()> {
        let most = self.session.agent.config.limits.limits().component_bytes;
        if let Some(bytes) = self.policy.too_large(component, most) {
            tracing::warn!(
                plugin.name = component.name(),
                bytes,
                most,
                "A plugin is too large: see limits.component_bytes"
            );
            return Ok(());
        }
        self.target(component.target(), &component.digest(), most).await?;
        self.artefact(component).await
    }

    /// What the site has compiled of a component, for an agent that does not. Where it has not, or too much, whoever
    /// needs it says so.
    async fn artefact(&mut self, component: &impl Version) -> anyhow::Result<()> {
        let Some(engine) = self.session.agent.engine() else { return Ok(()) };
        let most = self.session.agent.config.limits.limits().artefact_bytes;
        match self.policy.artefact(engine, &component.digest()) {
            Some(target) if target.length <= most as u64 => {
                self.target(&engine.target(&component.digest()), &target.digest, most).await
            }
            found => {
                let bytes = found.map(|target| target.length);
                tracing::warn!(plugin.name = component.name(), %engine, bytes, most, "A plugin has no usable artefact");
                Ok(())
            }
        }
    }

    /// A component that does not count, or not yet: nothing else waits for it.
    async fn spare(&mut self, part: &'static str, component: &impl Version) {
        if let Err(error) = self.component(component).await {
            let error = format!("{error:#}");
            tracing::warn!(plugin.name = component.name(), part, error, "Another version of a plugin is not here");
        }
    }

    /// The catalogs of a plugin that names these scopes.
    async fn catalogs(&mut self, plugin: &str, scopes: &[String]) -> anyhow::Result<()> {
        let catalogs = &self.policy.assignment.assessment.catalogs;
        let concerns = |catalog: &&AssignedCatalog| {
            *catalog.plugin == *plugin && scopes.iter().any(|scope| *scope == *catalog.scope)
        };
        for catalog in catalogs.iter().filter(concerns) {
            self.catalog(catalog).await?;
        }
        Ok(())
    }

    /// The catalogs that only a shadow names. Its scan meets the same failure and reports it.
    async fn catalogs_of_shadow(&mut self, scanner: &Scanner<'_>, shadow: &AssignedPlugin) {
        let scopes = scanner.guest(self.policy, shadow).and_then(|mut guest| Ok(guest.scopes()?));
        let fetched = match scopes {
            Ok(scopes) => self.catalogs(&shadow.name, &scopes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = fetched {
            tracing::warn!(plugin.name = %shadow.name, error = format!("{error:#}"), "A shadow may lack catalogs");
        }
    }

    async fn catalog(&mut self, catalog: &AssignedCatalog) -> anyhow::Result<()> {
        self.target(&catalog.target, &catalog.digest, MAX_CATALOG_BYTES).await?;
        let chunks = Chunks::new(&self.session.content)?.catalog(&catalog.digest)?.chunks;
        let missing = |chunk: &&ChunkEntry| !self.session.content.has(&chunk.digest);
        let missing: Vec<_> = chunks.iter().filter(missing).collect();
        for (number, chunk) in missing.iter().enumerate() {
            let (number, count, target) = (number + 1, missing.len(), &catalog.target);
            self.session.agent.progress.show(format_args!("Downloading {target}: chunk {number} of {count}"));
            self.content(&chunk.digest, chunk.length.into()).await?;
        }
        self.keep.extend(chunks.iter().map(|chunk| chunk.digest));
        Ok(())
    }

    async fn deployment(&mut self, assigned: &AssignedDeployment, scopes: &Scopes) -> anyhow::Result<()> {
        self.target(&assigned.target, &assigned.digest, MAX_POLICY_BYTES).await?;
        let policy = match Policies::new(&self.session.content)?.policy(assigned) {
            Ok(policy) => policy,
            Err(error) => {
                // Signed nonsense is no reason to refuse everything else. Nothing of it is installed.
                tracing::warn!(deployment.id = %assigned.deployment, %error, "A deployment is not followed");
                return Ok(());
            }
        };
        for scope in policy.scopes.iter().filter(|scope| concerns(scope, scopes)) {
            self.keep.insert(scope.digest);
            if !self.session.content.has(&scope.digest) {
                self.session.agent.progress.show(format_args!("Downloading {}", assigned.target));
                let taken = self.content(&scope.digest, scope.length.into()).await;
                taken.with_context(|| format!("what {} installs was not taken", assigned.target))?;
            }
        }
        Ok(())
    }

    async fn target(&mut self, name: &str, digest: &Digest, max_bytes: usize) -> anyhow::Result<()> {
        let target = self.policy.target(name, digest).with_context(|| format!("{name} is not signed"))?;
        ensure!(target.length <= max_bytes as u64, "{name} has {} bytes, more than {max_bytes}", target.length);
        self.keep.insert(*digest);
        if self.session.content.has(digest) {
            return Ok(());
        }
        self.session.agent.progress.show(format_args!("Downloading {name}"));
        self.content(digest, target.length).await.with_context(|| format!("{name} was not taken"))
    }

    async fn content(&self, digest: &Digest, length: u64) -> anyhow::Result<()> {
        let incoming = self.session.content.receive(digest, length).context("the disk does not take the content")?;
        self.site.download(digest, length, incoming).await
    }
}
