//! Publishing: the software updates of the database as a signed repository that any cache may serve.
//!
//! Every suite becomes a catalog per architecture ([`catalog`]), cut into content-addressed chunks ([`chunks`]);
//! versions of plugins and the policies of deployments are targets beside them ([`plugins`], [`policies`]). Publishing
//! takes no input and is idempotent: it makes the repository what the database says, and signs a new index only when
//! that differs from the current one or the current one grows old.

mod authored;
mod catalog;
mod chunks;
mod contents;
mod plugins;
mod policies;

use crate::database::{
    CatalogUpdate, Database, Follow, Publication, PublishableDeployment, PublishedContent, PublishedDeployments,
    PublishedPolicy, Suite, now,
};
pub use crate::plugins::components as components_in_box;
use crate::repository::RepositoryFolder;
use crate::signals::Signals;
use anyhow::{Context as _, anyhow, ensure};
pub(crate) use catalog::PLUGIN as PLUGIN_OF_SUITES;
use farrier_protocol::assignment::MAX_CATALOGS;
use farrier_protocol::catalog::Catalog;
use farrier_protocol::deployment::{DeploymentPolicy, POLICIES};
use farrier_protocol::{DeploymentId, Digest};
use farrier_trust::{Index, Repository, RepositoryKey, Target};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long an index is valid.
const INDEX_DAYS: i64 = 14;
/// An index with less time left is signed anew, so that a site may be away for a week.
const RENEW_DAYS: i64 = 7;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// How often to look whether the index grows old.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How soon to try again when publishing failed.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Publishes whenever content changed, for ever.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run(
    database: Database,
    repository: RepositoryFolder,
    key: RepositoryKey,
    signals: Signals,
) -> anyhow::Result<()> {
    register_plugins(&database).await;
    let publisher = Publisher { database, repository, key };
    loop {
        let pause = match publisher.publish().await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "Publishing failed and is tried again");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = signals.content_changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Makes the plugins in the box known, once a process: what other processes of the site brought is not undone.
async fn register_plugins(database: &Database) {
    while let Err(error) = crate::plugins::register(database, now()).await {
        tracing::error!(error = format!("{error:#}"), "The plugins in the box are registered again later");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// What is published.
struct Current {
    publication: Arc<Publication>,
    index: Index,
}

impl Current {
    /// The policy of a deployment, as a target and as what clients are assigned.
    fn policy(&self, deployment: DeploymentId) -> Option<(Target, PublishedPolicy)> {
        let policy = self.publication.deployments.policy(deployment)?;
        let target = self.index.targets.iter().find(|target| *target.name == *policy.target)?;
        Some((target.clone(), policy.clone()))
    }
}

/// The role, with what it works on.
#[derive(Debug)]
pub struct Publisher {
    /// The site database.
    pub database: Database,
    /// Where content goes.
    pub repository: RepositoryFolder,
    /// Signs the index.
    pub key: RepositoryKey,
}

impl Publisher {
    /// Makes the repository what the database says.
    ///
    /// # Errors
    /// When the database or the disk fails; the current publication stays.
    pub async fn publish(&self) -> anyhow::Result<()> {
        while !self.publish_once().await? {
            tracing::info!("Another process of this site has published meanwhile: publishing starts over");
        }
        Ok(())
    }

    /// The same; `false` if another process was faster, which may have read newer content or older.
    async fn publish_once(&self) -> anyhow::Result<bool> {
        let waiting = self.database.unpublished_sync_runs().await.context("reading the synchronizations")?;
        let current = self.current().await?;
        let (targets, content, deployments) = self.targets(current.as_ref()).await?;
        let renewal = now() + RENEW_DAYS * DAY_SECONDS;
        let is_current = |Current { publication, index }: &Current| {
            let is_same = publication.content == content && publication.deployments == deployments;
            is_same && index.targets == targets && index.expires > renewal
        };
        if !current.as_ref().is_some_and(is_current) {
            let last_version = current.map_or(0, |current| current.publication.version);
            if !self.sign(targets, content, deployments, last_version).await? {
                return Ok(false);
            }
            self.remove_what_nobody_names().await?;
        }
        self.database.mark_sync_runs_published(&waiting).await.context("recording the publication")?;
        Ok(true)
    }

    async fn current(&self) -> anyhow::Result<Option<Current>> {
        let publication = self.database.current_publication().await.context("reading the publications")?;
        let current = publication.map(|publication| {
            let index = self.index_of(&publication)?;
            Ok(Current { publication, index })
        });
        current.transpose()
    }

    async fn sign(
        &self,
        targets: Vec<Target>,
        content: PublishedContent,
        deployments: PublishedDeployments,
        last_version: u64,
    ) -> anyhow::Result<bool> {
        let published_at = now();
        // Not only the next number, but one of this time: clients take no lower version than they have seen, and a site
        // whose database was restored from a backup must get above it again.
        let version = (last_version + 1).max(published_at.unsigned_abs());
        let expires_at = published_at + INDEX_DAYS * DAY_SECONDS;
        let index = Index { version, expires: expires_at, targets };
        let signed_index = self.key.sign(&index)?;
        let publication = Publication { version, published_at, expires_at, signed_index, content, deployments };
        let recorded = self.database.record_publication(&publication, last_version);
        if !recorded.await.context("recording the publication")? {
            return Ok(false);
        }
        tracing::info!(publication.version = version, targets = index.targets.len(), "Repository published");
        Ok(true)
    }

    /// Everything the repository should hold, stored, and what clients are assigned of it.
    async fn targets(
        &self,
        current: Option<&Current>,
    ) -> anyhow::Result<(Vec<Target>, PublishedContent, PublishedDeployments)> {
        let mut targets = Vec::new();
        let mut content = PublishedContent::default();
        let mut deployments = PublishedDeployments::default();
        let (database, repository) = (&self.database, &self.repository);
        plugins::publish(database, repository, &mut targets, &mut content, &mut deployments).await?;
        let suites = self.database.suites().await.context("reading the suites")?;
        for suite in suites.iter().filter(|suite| suite.imported.is_some()) {
            self.publish_suite(suite, &suites, &mut targets, &mut content).await?;
        }
        authored::publish(&self.database, &self.repository, &mut targets, &mut content).await?;
        for deployment in self.database.publishable_deployments().await.context("reading the deployments")? {
            self.publish_deployment(deployment, current, &mut targets, &mut deployments).await?;
        }
        deployments.policies.sort_unstable_by_key(|policy| policy.deployment);
        targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((targets, content, deployments))
    }

    /// One that cannot be published says why, stays as it was published before, and harms no other.
    async fn publish_deployment(
        &self,
        deployment: PublishableDeployment,
        current: Option<&Current>,
        targets: &mut Vec<Target>,
        deployments: &mut PublishedDeployments,
    ) -> anyhow::Result<()> {
        let group = deployment.update_group;
        let updates = self.database.publishable_updates(group).await.context("reading what is deployed")?;
        let previous = match deployment.settings.roll_back {
            true => self.database.previous_updates(group).await.context("reading what is rolled back to")?,
            false => Vec::new(),
        };
        let (repository, row, id) = (self.repository.clone(), deployment.row, deployment.id);
        let known = deployment.problem.clone();
        let published =
            tokio::task::spawn_blocking(move || policies::publish(&repository, &deployment, &updates, &previous));
        let problem = match published.await.context("building a policy panicked")? {
            Ok((target, policy)) => {
                targets.push(target);
                deployments.policies.push(policy);
                None
            }
            Err(error) => {
                tracing::error!(deployment.id = %id, error = format!("{error:#}"), "A deployment cannot be published");
                if let Some((target, policy)) = current.and_then(|current| current.policy(id)) {
                    targets.push(target);
                    deployments.policies.push(policy);
                }
                Some(format!("{error:#}"))
            }
        };
        if problem != known {
            self.database.record_deployment_problem(row, problem.as_deref()).await.context("noting a problem")?;
        }
        Ok(())
    }

    async fn publish_suite(
        &self,
        suite: &Suite,
        suites: &[Suite],
        targets: &mut Vec<Target>,
        content: &mut PublishedContent,
    ) -> anyhow::Result<()> {
        let updates = self.database.catalog_updates(suite.id).await.context("reading the software updates")?;
        let ordinary = self.ordinary_updates(suite, suites).await?;
        let (repository, suite) = (self.repository.clone(), suite.clone());
        // Some seconds of computing and of waiting for the disk: not on a thread that answers clients.
        let catalogs = tokio::task::spawn_blocking(move || catalog::of_suite(&repository, &suite, &updates, &ordinary));
        for (target, assigned) in catalogs.await.context("building a catalog panicked")?? {
            targets.push(target);
            content.catalogs.push(assigned);
            ensure!(content.catalogs.len() <= MAX_CATALOGS, too_many_catalogs());
        }
        Ok(())
    }

    /// What the ordinary suites of the release offer; it matters only to a suite that is not followed by itself.
    async fn ordinary_updates(&self, suite: &Suite, suites: &[Suite]) -> anyhow::Result<Vec<CatalogUpdate>> {
        let mut updates = Vec::new();
        if suite.follow != Follow::Always {
            let same_release = |other: &&Suite| {
                (&other.distribution, &other.release) == (&suite.distribution, &suite.release)
                    && other.follow == Follow::Always
            };
            for ordinary in suites.iter().filter(same_release) {
                updates
                    .extend(self.database.catalog_updates(ordinary.id).await.context("reading the software updates")?);
            }
        }
        Ok(updates)
    }

    fn index_of(&self, publication: &Publication) -> anyhow::Result<Index> {
        let mut repository = Repository::new(self.key.root(), 0);
        let index = repository.restore(&publication.signed_index).with_context(|| {
            format!("publication {} is not signed by this site's repository key", publication.version)
        })?;
        Ok(index.clone())
    }

    /// Clients in the middle of a fetch may still ask for what the publication before named.
    async fn remove_what_nobody_names(&self) -> anyhow::Result<()> {
        let mut targets = Vec::new();
        for publication in self.database.publications().await.context("reading the publications")? {
            targets.extend(self.index_of(&publication)?.targets);
        }
        let repository = self.repository.clone();
        tokio::task::spawn_blocking(move || retain(&repository, &targets))
            .await?
            .context("the repository cannot be cleaned")
    }
}

/// Keeps these targets, the chunks of the catalogs and what the policies among them deploy.
fn retain(repository: &RepositoryFolder, targets: &[Target]) -> anyhow::Result<()> {
    let mut named: HashSet<Digest> = targets.iter().map(|target| target.digest).collect();
    for target in targets {
        let parts: fn(&[u8]) -> Result<Vec<Digest>, postcard::Error> = match &target.name {
            name if name.starts_with(catalog::TARGETS) => chunks_of,
            name if name.starts_with(POLICIES) => scopes_of,
            _ => continue,
        };
        match std::fs::read(repository.path(&target.digest)) {
            Ok(bytes) => {
                named.extend(parts(&bytes).with_context(|| format!("{} is damaged in the repository", target.name))?);
            }
            // Of the publication before: then nobody can be fetching it either.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    repository.retain(|digest| named.contains(digest))?;
    Ok(())
}

fn chunks_of(catalog: &[u8]) -> Result<Vec<Digest>, postcard::Error> {
    let catalog: Catalog = farrier_protocol::decode(catalog)?;
    Ok(catalog.chunks.iter().map(|chunk| chunk.digest).collect())
}

fn scopes_of(policy: &[u8]) -> Result<Vec<Digest>, postcard::Error> {
    let policy: DeploymentPolicy = farrier_protocol::decode(policy)?;
    Ok(policy.scopes.iter().map(|scope| scope.digest).collect())
}

fn too_many_catalogs() -> anyhow::Error {
    anyhow!(
        "the suites have more than {MAX_CATALOGS} catalogs (one per suite and architecture): configure fewer suites or \
         architectures, or divide them among sites"
    )
}
