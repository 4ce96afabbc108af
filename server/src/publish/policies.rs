//! Deployments as signed targets: a policy each, and what it deploys per scope beside it.
//!
//! A policy says nothing of how its phases stand, so that it changes only when what is deployed does. The updates of
//! all suites of one release go into one blob for each architecture, which is addressed by its digest like a catalog's
//! chunks.

use super::contents::{Mirrors, entries};
use crate::database::{PublishableDeployment, PublishableUpdate, PublishedPolicy};
use crate::deployment::settings::{ContentSource, DeploymentSettings, Purpose};
use crate::repository::RepositoryFolder;
use anyhow::{Context as _, anyhow, ensure};
use farrier_protocol::deployment::{
    DeployedScope, DeployedUpdate, DeployedUpdates, DeploymentPolicy, MAX_DEPLOYED_BYTES, MAX_DEPLOYED_UPDATES,
    MAX_POLICY_BYTES, Phase, policy_target,
};
use farrier_trust::Target;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The plugin that names the scopes of Debian's clients.
const PLUGIN: &str = "dpkg";
/// The plugin that installs there.
const INSTALLER: &str = "dpkg-installer";
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
    for scope in scopes_of(updates) {
        if let Some(scope) = scope.store(repository, &deployment.settings, updates, previous)? {
            scopes.push(scope);
        }
    }
    let has_upstream = updates.iter().any(|update| super::contents::upstream(&update.mirror).is_some());
    let policy = policy(deployment, has_upstream, scopes);
    let bytes = farrier_protocol::encode(&policy)?;
    ensure!(bytes.len() <= MAX_POLICY_BYTES, "its policy has {} bytes, more than {MAX_POLICY_BYTES}", bytes.len());
    let digest = repository.put(&bytes).context("its policy cannot be stored")?;
    let target = policy_target(deployment.id);
    let name = target.as_str().to_owned();
    let published = PublishedPolicy { deployment: deployment.id, target, digest };
    Ok((Target { name, digest, length: bytes.len() as u64 }, published))
}

fn policy(deployment: &PublishableDeployment, has_upstream: bool, scopes: Vec<DeployedScope>) -> DeploymentPolicy {
    let PublishableDeployment { id, name, settings, created_at, .. } = deployment;
    let mut sources = settings.sources.clone();
    sources.retain(|source| has_upstream || *source != ContentSource::Upstream);
    if sources.is_empty() {
        sources.push(ContentSource::DistributionPoint);
    }
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

/// The clients that some of the updates are for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope<'a> {
    distribution: &'a str,
    release: &'a str,
    architecture: &'a str,
}

fn scopes_of(updates: &[PublishableUpdate]) -> BTreeSet<Scope<'_>> {
    let mut scopes = BTreeSet::new();
    for update in updates {
        for architecture in update.architectures.split_whitespace() {
            scopes.insert(Scope { distribution: &update.distribution, release: &update.release, architecture });
        }
    }
    scopes
}

impl Scope<'_> {
    fn has(&self, update: &PublishableUpdate) -> bool {
        update.distribution == self.distribution
            && update.release == self.release
            && update.architectures.split_whitespace().any(|architecture| architecture == self.architecture)
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
        let name = format!("{}/{}/{}", self.distribution, self.release, self.architecture);
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
            plugin: heapless::String::try_from(PLUGIN).map_err(|_| anyhow!("{PLUGIN} is too long a name"))?,
            scope: heapless::String::try_from(name.as_str()).map_err(|_| anyhow!("{name:?} is too long a name"))?,
            installer: heapless::String::try_from(INSTALLER).map_err(|_| anyhow!("{INSTALLER} is too long a name"))?,
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
        let mut of_scope: Vec<_> = updates.iter().filter(|update| self.has(update)).collect();
        // What everything else rests on goes first.
        of_scope.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        for update in of_scope {
            let contents = entries(update, self.architecture, &mut mirrors)?;
            if contents.is_empty() {
                continue;
            }
            let mut before = Vec::new();
            for earlier in self.earlier(update, previous).filter(|_| settings.roll_back) {
                before.extend(entries(earlier, self.architecture, &mut mirrors)?);
            }
            let seconds = update.max_run_seconds.and_then(|seconds| u32::try_from(seconds).ok());
            deployed.push(DeployedUpdate {
                update: update.id,
                name: update.name.clone(),
                summary: update.summary.clone(),
                max_run_seconds: seconds.unwrap_or(settings.max_run_seconds),
                contents,
                previous: before,
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
                && self.has(other)
                && compare(&other.version, &update.version) == Ordering::Less
        };
        let mut earlier: Vec<_> = previous.iter().filter(is_earlier).collect();
        earlier.sort_by(|a, b| compare(&b.version, &a.version).then_with(|| a.name.cmp(&b.name)));
        earlier.into_iter().take(PREVIOUS_UPDATES)
    }
}
