//! Deployments as signed targets: a policy each, and what it deploys per scope beside it.
//!
//! A policy says nothing of how its phases stand, so that it changes only when what is deployed does. The updates of
//! all suites of one release go into one blob for each architecture, those of policies' authors into one for each
//! applicability plugin, scope and installer; it is addressed by its digest like a catalog's chunks.

use super::Target;
use super::contents::{Mirrors, entries};
use crate::database::{PublishableDeployment, PublishableUpdate, PublishedPolicy};
use crate::deployment::settings::{ContentSource, DeploymentSettings, Purpose};
use crate::repository::RepositoryFolder;
use anyhow::{Context as _, anyhow, ensure};
use farrier_protocol::deployment::{
    DeployedScope, DeployedUpdate, DeployedUpdates, DeploymentPolicy, MAX_DEPLOYED_BYTES, MAX_DEPLOYED_UPDATES,
    MAX_POLICY_BYTES, Phase, policy_target,
};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The plugin that names the scopes of Debian's clients.
const PLUGIN: &str = "dpkg";
/// The plugin that installs there.
pub(super) const INSTALLER: &str = "dpkg-installer";
/// Fixed, like the compressor's version in Cargo.lock: equal updates have to become equal bytes.
const COMPRESSION_LEVEL: i32 = 12;
/// Earlier updates of a source package that are named for rolling back, the newest: a client has one of the last few.
const PREVIOUS_UPDATES: usize = 4;

/// Stores the policy of a deployment, and what it deploys, and returns it as a target and as what clients are assigned.
/// `previous` are earlier updates of the same source packages.
pub(super) fn publish(
    repository: &RepositoryFolder,
    deployment: &PublishableDeployment,
    updates: &[PublishableUpdate],
    previous: &[PublishableUpdate],
) -> anyhow::Result<(Target, PublishedPolicy)> {
    let count = updates.len();
    ensure!(
        count <= MAX_DEPLOYED_UPDATES,
        "it deploys {count} updates, more than {MAX_DEPLOYED_UPDATES}: take some out of its update group"
    );
    let mut scopes = Vec::new();
    for scope in scopes_of(updates)? {
        if let Some(scope) = scope.store(repository, &deployment.settings, updates, previous)? {
            scopes.push(scope);
        }
    }
    let policy = policy(deployment, sources(&deployment.settings, updates), scopes);
    let bytes = farrier_protocol::encode(&policy)?;
    ensure!(bytes.len() <= MAX_POLICY_BYTES, "its policy has {} bytes, more than {MAX_POLICY_BYTES}", bytes.len());
    let digest = repository.put(&bytes).context("its policy cannot be stored")?;
    let target = policy_target(deployment.id);
    let name = target.as_str().to_owned();
    let published = PublishedPolicy { deployment: deployment.id, target, digest };
    Ok((Target { name, digest, length: bytes.len() as u64 }, published))
}

/// Where clients get the content. What an administrator imported is nowhere but here.
fn sources(settings: &DeploymentSettings, updates: &[PublishableUpdate]) -> Vec<ContentSource> {
    let has_upstream = updates.iter().any(|update| super::contents::upstream(&update.mirror).is_some());
    let has_authored = updates.iter().any(|update| update.authored.is_some() && !update.files.is_empty());
    let mut sources = settings.sources.clone();
    sources.retain(|source| has_upstream || *source != ContentSource::Upstream);
    if sources.is_empty() || (has_authored && !sources.contains(&ContentSource::DistributionPoint)) {
        sources.push(ContentSource::DistributionPoint);
    }
    sources
}

fn policy(
    deployment: &PublishableDeployment,
    sources: Vec<ContentSource>,
    scopes: Vec<DeployedScope>,
) -> DeploymentPolicy {
    let PublishableDeployment { id, name, settings, created_at, .. } = deployment;
    let phase = |phase: &crate::deployment::settings::PhaseSettings| Phase {
        name: phase.name.clone(),
        members: phase.members_on_the_wire(),
        deadline_after_seconds: phase.deadline_after_seconds,
    };
    DeploymentPolicy {
        deployment: *id,
        name: name.clone(),
        purpose: settings.purpose,
        available_at: settings.available.moment(*created_at),
        deadline: settings
            .deadline
            .filter(|_| settings.purpose == Purpose::Required)
            .map(|deadline| deadline.moment(*created_at)),
        random_delay_seconds: settings.random_delay_seconds,
        grace_seconds: settings.grace_seconds,
        download_ahead: settings.download_ahead,
        restart: settings.restart,
        install_any_time: settings.install_any_time,
        restart_any_time: settings.restart_any_time,
        notification: settings.notification.clone(),
        sources,
        allow_removals: settings.allow_removals,
        roll_back: settings.roll_back,
        attempts: settings.attempts,
        phases: settings.phases.iter().map(phase).collect(),
        scopes,
    }
}

/// The clients that some of the updates are for, and what installs them there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    plugin: String,
    name: String,
    installer: String,
}

fn scopes_of(updates: &[PublishableUpdate]) -> anyhow::Result<BTreeSet<Scope>> {
    let mut scopes = BTreeSet::new();
    for update in updates {
        match &update.authored {
            None => scopes.extend(update.architectures.split_whitespace().map(|architecture| Scope {
                plugin: PLUGIN.to_owned(),
                name: format!("{}/{}/{architecture}", update.distribution, update.release),
                installer: INSTALLER.to_owned(),
            })),
            Some(authored) => {
                let installer = authored.installer.as_ref().with_context(|| {
                    format!(
                        "{} can only be observed: take it out of the update group, or import a version of its policy \
                         with [installation]",
                        update.name
                    )
                })?;
                scopes.extend(authored.scopes.iter().map(|name| Scope {
                    plugin: authored.plugin.clone(),
                    name: name.clone(),
                    installer: installer.clone(),
                }));
            }
        }
    }
    Ok(scopes)
}

impl Scope {
    /// The architecture of the update's files for these clients; none if it is not for them.
    fn architecture_of<'a>(&'a self, update: &PublishableUpdate) -> Option<&'a str> {
        match &update.authored {
            None => {
                let is_ours = self.plugin == PLUGIN && self.installer == INSTALLER;
                let release = self.name.strip_prefix(&*update.distribution)?.strip_prefix('/')?;
                let architecture = release.strip_prefix(&*update.release)?.strip_prefix('/')?;
                let has = update.architectures.split_whitespace().any(|known| known == architecture);
                (is_ours && has).then_some(architecture)
            }
            Some(authored) => {
                let is_its = authored.plugin == self.plugin && authored.installer.as_ref() == Some(&self.installer);
                (is_its && authored.scopes.contains(&self.name)).then_some(super::contents::ALL)
            }
        }
    }

    /// Stores what is deployed to it; none if that is nothing.
    fn store(
        &self,
        repository: &RepositoryFolder,
        settings: &DeploymentSettings,
        updates: &[PublishableUpdate],
        previous: &[PublishableUpdate],
    ) -> anyhow::Result<Option<DeployedScope>> {
        let deployed = self.deployed(settings, updates, previous)?;
        if deployed.updates.is_empty() {
            return Ok(None);
        }
        let name = &self.name;
        let bytes = farrier_protocol::encode(&deployed)?;
        ensure!(
            bytes.len() <= MAX_DEPLOYED_BYTES,
            "what it deploys to {name} has {} bytes, more than {MAX_DEPLOYED_BYTES}: deploy it in several parts",
            bytes.len()
        );
        let compressed = zstd::bulk::compress(&bytes, COMPRESSION_LEVEL)?;
        let digest =
            repository.put(&compressed).with_context(|| format!("what it deploys to {name} cannot be stored"))?;
        Ok(Some(DeployedScope {
            plugin: bounded(&self.plugin)?,
            scope: bounded(name)?,
            installer: bounded(&self.installer)?,
            digest,
            length: u32::try_from(compressed.len())?,
            updates: u32::try_from(deployed.updates.len())?,
        }))
    }

    fn deployed(
        &self,
        settings: &DeploymentSettings,
        updates: &[PublishableUpdate],
        previous: &[PublishableUpdate],
    ) -> anyhow::Result<DeployedUpdates> {
        let mut mirrors = Mirrors::default();
        let mut deployed = Vec::new();
        let with_architecture = |update| self.architecture_of(update).map(|architecture| (update, architecture));
        let mut of_scope: Vec<_> = updates.iter().filter_map(with_architecture).collect();
        // What everything else rests on goes first.
        of_scope.sort_by(|(a, _), (b, _)| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        for (update, architecture) in of_scope {
            let contents = entries(update, architecture, &mut mirrors)?;
            // An author may have everything in the instructions.
            if contents.is_empty() && update.authored.is_none() {
                continue;
            }
            let mut before = Vec::new();
            for earlier in self.earlier(update, previous).filter(|_| settings.roll_back) {
                before.extend(entries(earlier, architecture, &mut mirrors)?);
            }
            let authored = update.authored.as_ref();
            let seconds = update.max_run_seconds.and_then(|seconds| u32::try_from(seconds).ok());
            let seconds = seconds.or(authored.and_then(|authored| authored.max_run_seconds));
            deployed.push(DeployedUpdate {
                update: update.id,
                name: update.name.clone(),
                summary: update.summary.clone(),
                max_run_seconds: seconds.unwrap_or(settings.max_run_seconds),
                contents,
                previous: before,
                instructions: authored.map(|authored| authored.instructions.clone()).unwrap_or_default(),
            });
        }
        Ok(DeployedUpdates { mirrors: mirrors.finish(), updates: deployed })
    }

    /// What a client may have had before the update, the newest first.
    fn earlier<'a>(
        &'a self,
        update: &'a PublishableUpdate,
        previous: &'a [PublishableUpdate],
    ) -> impl Iterator<Item = &'a PublishableUpdate> {
        let compare = |a: &str, b: &str| farrier_dpkg_rules::compare(a.as_bytes(), b.as_bytes());
        let is_earlier = move |other: &&PublishableUpdate| {
            other.source == update.source
                && self.architecture_of(other).is_some()
                && compare(&other.version, &update.version) == Ordering::Less
        };
        let mut earlier: Vec<_> = previous.iter().filter(is_earlier).collect();
        earlier.sort_by(|a, b| compare(&b.version, &a.version).then_with(|| a.name.cmp(&b.name)));
        earlier.into_iter().take(PREVIOUS_UPDATES)
    }
}

fn bounded<const N: usize>(name: &str) -> anyhow::Result<heapless::String<N>> {
    heapless::String::try_from(name).map_err(|_| anyhow!("{name:?} is too long a name"))
}
