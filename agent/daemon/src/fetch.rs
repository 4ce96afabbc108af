//! A poll: asks whether the assignment or the repository changed, and takes what is new once all of it is on disk.

use crate::agent::Agent;
use crate::deployments::{Policies, Scopes, concerns, is_published};
use crate::health;
use crate::policy::{Policy, StoredPolicy};
use crate::scan::{Chunks, Scanner};
use crate::session::Session;
use crate::site::{Document, Site};
use anyhow::{Context as _, ensure};
use farrier_agent_core::assignment::Refusal;
use farrier_agent_core::versions::Version;
use farrier_protocol::assignment::{AssignedCatalog, AssignedDeployment, AssignedPlugin, Assignment};
use farrier_protocol::catalog::{ChunkEntry, MAX_CATALOG_BYTES};
use farrier_protocol::deployment::MAX_POLICY_BYTES;
use farrier_protocol::{ClientId, Digest};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing new.
    Unchanged,
    /// Something new, which is followed from now on.
    Adopted,
}

/// What the site answered last and everything about it is done: enough to ask whether it changed, without opening,
/// locking or writing anything.
#[derive(Debug)]
pub(crate) struct Settled {
    client: ClientId,
    assignment_tag: String,
    index_tag: String,
    spool_written_at: SystemTime,
}

impl Settled {
    /// Closes a session. Nothing is returned where there is still something to do.
    pub(crate) fn close(session: Session<'_>) -> Option<Self> {
        let StoredPolicy { assignment, index } = StoredPolicy::load(&session.spool).ok()??;
        let unsent = session.spool.stream().ok()?.unsent();
        let (client, agent) = (session.identity.client, session.agent);
        drop(session);
        if unsent > 0 || assignment.tag.is_empty() || index.tag.is_empty() {
            return None;
        }
        let spool_written_at = written_at(agent)?;
        Some(Self { client, assignment_tag: assignment.tag, index_tag: index.tag, spool_written_at })
    }

    /// Polls the site: true if there is still nothing to do.
    pub(crate) async fn is_unchanged(&self, agent: &Agent) -> anyhow::Result<bool> {
        let identity = agent.identity()?;
        if identity.client != self.client || written_at(agent) != Some(self.spool_written_at) {
            return Ok(false);
        }
        let site = agent.site(&identity, &agent.floors(&identity)?)?;
        let unchanged = site.assignment(Some(&self.assignment_tag)).await?.is_none()
            && site.index(Some(&self.index_tag)).await?.is_none();
        agent.note_contact();
        Ok(unchanged)
    }
}

/// When anybody wrote the spool.
fn written_at(agent: &Agent) -> Option<SystemTime> {
    std::fs::metadata(agent.layout.spool()).and_then(|file| file.modified()).ok()
}

/// Polls the site. On an error the client goes on with what it has.
pub(crate) async fn poll(session: &mut Session<'_>, site: &Site) -> anyhow::Result<Polled> {
    let known = match session.policy()? {
        Some(_) => StoredPolicy::load(&session.spool)?,
        None => None,
    };
    match fetch(session, site, known).await {
        // The site published between the two requests: ask for both again, once.
        Err(error) if matches!(error.downcast_ref(), Some(Refusal::NotInRepository(_))) => {
            fetch(session, site, None).await
        }
        polled => polled,
    }
}

async fn fetch(session: &mut Session<'_>, site: &Site, known: Option<StoredPolicy>) -> anyhow::Result<Polled> {
    let tag = |document: &Document| Some(document.tag.clone()).filter(|tag| !tag.is_empty());
    let assignment = site.assignment(known.as_ref().and_then(|known| tag(&known.assignment)).as_deref()).await?;
    session.agent.note_contact();
    let index = site.index(known.as_ref().and_then(|known| tag(&known.index)).as_deref()).await?;
    let documents = match (assignment, index, known) {
        (None, None, Some(_)) => return Ok(Polled::Unchanged),
        (assignment, index, Some(known)) => {
            StoredPolicy { assignment: assignment.unwrap_or(known.assignment), index: index.unwrap_or(known.index) }
        }
        (Some(assignment), Some(index), None) => StoredPolicy { assignment, index },
        _ => anyhow::bail!("the site says that nothing changed to a client that has nothing"),
    };
    let policy = session.verify(&documents)?;
    let keep = Download { session, site, policy: &policy, keep: BTreeSet::new() }.everything().await?;
    session.adopt(&documents, &policy)?;
    tracing::info!(assignment.version = policy.assignment.assessment.version, "Assignment adopted");
    if let Some(keep) = keep
        && let Err(error) = session.content.retain(&keep)
    {
        tracing::warn!(%error, "Old content could not be removed");
    }
    Ok(Polled::Adopted)
}

/// Brings what only shadows need onto the disk. Nothing else waits for that, so it comes last; what cannot be had is
/// merely missing, and the shadow's report says so.
pub(crate) async fn fetch_for_shadows(session: &mut Session<'_>, site: &Site) -> anyhow::Result<()> {
    let Some(policy) = session.policy()? else { return Ok(()) };
    let shadows = &policy.assignment.shadows;
    if shadows.is_empty() {
        return Ok(());
    }
    let scanner = Scanner::open(session.agent, &session.identity, &session.content)?;
    let mut download = Download { session, site, policy: &policy, keep: BTreeSet::new() };
    for shadow in shadows {
        download.spare("shadow", &**shadow).await;
        download.catalogs_of_shadow(&scanner, shadow).await;
    }
    session.agent.progress.clear();
    Ok(())
}

/// Brings everything that a policy needs onto the disk.
struct Download<'a> {
    session: &'a Session<'a>,
    site: &'a Site,
    policy: &'a Policy,
    keep: BTreeSet<Digest>,
}

impl Download<'_> {
    /// Returns what the policy refers to, or nothing if a plugin could not say what it needs.
    async fn everything(mut self) -> anyhow::Result<Option<BTreeSet<Digest>>> {
        let (session, assignment) = (self.session, &self.policy.assignment);
        for plugin in &assignment.assessment.plugins {
            self.component(plugin).await?;
        }
        // Before the plugins are asked: one of them may have fallen back already.
        for fallback in &assignment.fallbacks {
            self.spare("fallback", &**fallback).await;
        }
        let scanner = Scanner::open(session.agent, &session.identity, &session.content)?;
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
        self.keep.extend(assignment.shadows.iter().map(|shadow| shadow.digest));
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
        self.target(component.target(), &component.digest(), most).await
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
        let target = self.policy.repository.target(name, digest).with_context(|| format!("{name} is not signed"))?;
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

/// Every component of an assignment.
fn components(assignment: &Assignment) -> impl Iterator<Item = Digest> {
    let Assignment { assessment, installers, shadows, fallbacks, installer_fallbacks, .. } = assignment;
    let plugins = assessment.plugins.iter().map(Version::digest);
    let others = shadows.iter().chain(fallbacks).map(|plugin| plugin.digest);
    let installers = installers.iter().map(Version::digest);
    plugins.chain(others).chain(installers).chain(installer_fallbacks.iter().map(|installer| installer.digest))
}
