//! Publishing: the software updates of the database as a signed repository that any cache may serve.
//!
//! Every suite becomes a catalog per architecture ([`catalog`]), cut into content-addressed chunks ([`chunks`]);
//! versions of plugins, their artefacts and the policies of deployments are targets beside them ([`plugins`],
//! [`native`], [`policies`]). Publishing takes no input and is idempotent: it makes the repository what the database
//! says, and signs ([`signing`]) only what differs from what is signed or grows old.

mod assigned;
mod authored;
mod catalog;
mod chunks;
mod contents;
mod native;
mod plugins;
mod policies;
mod signing;

use crate::database::{
    CatalogUpdate, Database, Follow, Publication, PublishableDeployment, PublishedContent, PublishedDeployments,
    PublishedPolicy, Suite, now,
};
use crate::keys::Keys;
pub use crate::plugins::components as components_in_box;
use crate::repository::{RepositoryFolder, roles};
use crate::signals::Signals;
use anyhow::{Context as _, anyhow, ensure};
pub(crate) use catalog::PLUGIN as PLUGIN_OF_SUITES;
use farrier_protocol::assignment::MAX_CATALOGS;
use farrier_protocol::catalog::Catalog;
use farrier_protocol::deployment::{DeploymentPolicy, POLICIES};
use farrier_protocol::{DeploymentId, Digest, UnixTime};
use farrier_runtime::Compiler;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether what is signed grows old.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often to look whether clients have come that need other artefacts.
const LOOK_FOR_ENGINES_EVERY: Duration = Duration::from_secs(60);
/// How soon to try again when publishing failed.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Publishes whenever content changed, for ever.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run(publisher: Publisher, signals: Signals) -> anyhow::Result<()> {
    register_plugins(&publisher.database).await;
    loop {
        let new_engine = native::new_engine(&publisher.database, LOOK_FOR_ENGINES_EVERY).await;
        let pause = match publisher.publish().await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "Publishing failed and is tried again");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = signals.content_changed.notified() => {}
            () = new_engine => {}
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

/// One named, immutable piece of content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// `plugins/dpkg/1.0.0`, `catalogs/bookworm-security/amd64`.
    name: String,
    /// SHA-256 of the content.
    digest: Digest,
    /// Bytes of the content.
    length: u64,
}

/// What the repository should hold, and what clients should be assigned of it.
#[derive(Debug, Default)]
struct Wish {
    targets: Vec<Target>,
    content: PublishedContent,
    deployments: PublishedDeployments,
}

impl Wish {
    /// The digests of the plugins in it.
    fn components(&self) -> Vec<Digest> {
        let is_plugin = |target: &&Target| roles::role_of(&target.name) == Some(roles::PLUGINS);
        self.targets.iter().filter(is_plugin).map(|target| target.digest).collect()
    }
}

/// What is published.
struct Current {
    publication: Arc<Publication>,
    targets: Vec<Target>,
}

impl Current {
    /// Nothing else than this.
    fn as_it_is(&self) -> Wish {
        let Publication { content, deployments, .. } = &*self.publication;
        Wish { targets: self.targets.clone(), content: content.clone(), deployments: deployments.clone() }
    }

    /// The policy of a deployment, as a target and as what clients are assigned.
    fn policy(&self, deployment: DeploymentId) -> Option<(Target, PublishedPolicy)> {
        let policy = self.publication.deployments.policy(deployment)?;
        let target = self.targets.iter().find(|target| *target.name == *policy.target)?;
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
    /// What the repository is signed by.
    pub keys: Keys,
    /// Compiles plugins for clients that cannot.
    pub compiler: Compiler,
}

impl Publisher {
    /// Makes the repository what the database says.
    ///
    /// # Errors
    /// When the database or the disk fails, something cannot be published, or a key is missing that has to be on the site;
    /// the current publication stays, and is signed anew in time.
    pub async fn publish(&self) -> anyhow::Result<()> {
        self.publish_at(now()).await
    }

    /// The same at another time than now.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_at(&self, now: UnixTime) -> anyhow::Result<()> {
        loop {
            let waiting = self.database.unpublished_sync_runs().await.context("reading the synchronizations")?;
            let current = self.current().await?;
            let wish = match self.wish(current.as_ref(), now).await {
                Ok(wish) => wish,
                Err(error) => {
                    // What is published goes on counting meanwhile.
                    if let Some(current) = current {
                        self.record(current.as_it_is(), Some(current), now).await?;
                    }
                    return Err(error);
                }
            };
            if self.record(wish, current, now).await? {
                self.database.mark_sync_runs_published(&waiting).await.context("recording the publication")?;
                return Ok(());
            }
            tracing::info!("Another process of this site has published or signed meanwhile: publishing starts over");
        }
    }

    async fn current(&self) -> anyhow::Result<Option<Current>> {
        let publication = self.database.current_publication().await.context("reading the publications")?;
        let Some(publication) = publication else { return Ok(None) };
        let targets = signing::targets_of(&self.database, &publication).await?;
        Ok(Some(Current { publication, targets }))
    }

    /// Signs and publishes what is new in a wish, if anything is. `false` if another process was faster, which may have
    /// read newer content or older.
    async fn record(&self, wish: Wish, current: Option<Current>, now: UnixTime) -> anyhow::Result<bool> {
        let current = current.map(|current| current.publication);
        let Wish { targets, content, deployments } = wish;
        let stored = signing::Stored::read(&self.database, current.as_deref()).await?;
        let signed = signing::sign(stored, &targets, &self.keys, now)?;
        signed.note_pending(&self.database).await.context("noting what waits for a signature")?;
        let (content, deployments) = assigned::of_signed(content, deployments, current.as_deref(), &signed.targets);
        let is_same = |before: &&Publication| before.content == content && before.deployments == deployments;
        let same = current.as_deref().filter(is_same);
        if same.is_some_and(|before| !signed.is_new(before, now)) {
            return Ok(true);
        }
        let signing::Complete { new, roles, version, timestamp, basis } = signed.complete(&self.keys, now)?;
        let publication = Publication {
            version,
            published_at: now,
            content_version: same.map_or(version, |before| before.content_version),
            content_at: same.map_or(now, |before| before.content_at),
            timestamp,
            roles,
            content,
            deployments,
        };
        let recorded = self.database.record_publication(&publication, &new, &basis).await;
        if !recorded.context("recording the publication")? {
            return Ok(false);
        }
        tracing::info!(publication.version = version, "Repository published");
        self.remove_what_nobody_names().await?;
        Ok(true)
    }

    /// Everything the repository should hold, stored, and what clients are assigned of it.
    async fn wish(&self, current: Option<&Current>, now: UnixTime) -> anyhow::Result<Wish> {
        let mut wish = Wish::default();
        let (database, repository) = (&self.database, &self.repository);
        plugins::publish(database, repository, &mut wish).await?;
        native::publish(self, &mut wish, now).await?;
        let suites = self.database.suites().await.context("reading the suites")?;
        for suite in suites.iter().filter(|suite| suite.imported.is_some()) {
            self.publish_suite(suite, &suites, &mut wish).await?;
        }
        authored::publish(&self.database, &self.repository, &mut wish).await?;
        for deployment in self.database.publishable_deployments().await.context("reading the deployments")? {
            self.publish_deployment(deployment, current, &mut wish).await?;
        }
        wish.deployments.policies.sort_unstable_by_key(|policy| policy.deployment);
        Ok(wish)
    }

    /// One that cannot be published says why, stays as it was published before, and harms no other.
    async fn publish_deployment(
        &self,
        deployment: PublishableDeployment,
        current: Option<&Current>,
        wish: &mut Wish,
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
                wish.targets.push(target);
                wish.deployments.policies.push(policy);
                None
            }
            Err(error) => {
                tracing::error!(deployment.id = %id, error = format!("{error:#}"), "A deployment cannot be published");
                if let Some((target, policy)) = current.and_then(|current| current.policy(id)) {
                    wish.targets.push(target);
                    wish.deployments.policies.push(policy);
                }
                Some(format!("{error:#}"))
            }
        };
        if problem != known {
            self.database.record_deployment_problem(row, problem.as_deref()).await.context("noting a problem")?;
        }
        Ok(())
    }

    async fn publish_suite(&self, suite: &Suite, suites: &[Suite], wish: &mut Wish) -> anyhow::Result<()> {
        let updates = self.database.catalog_updates(suite.id).await.context("reading the software updates")?;
        let ordinary = self.ordinary_updates(suite, suites).await?;
        let (repository, suite) = (self.repository.clone(), suite.clone());
        // Some seconds of computing and of waiting for the disk: not on a thread that answers clients.
        let catalogs = tokio::task::spawn_blocking(move || catalog::of_suite(&repository, &suite, &updates, &ordinary));
        for (target, assigned) in catalogs.await.context("building a catalog panicked")?? {
            wish.targets.push(target);
            wish.content.catalogs.push(assigned);
            ensure!(wish.content.catalogs.len() <= MAX_CATALOGS, too_many_catalogs());
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

    /// Clients in the middle of a fetch may still ask for what the publication before named. What waits for a signature
    /// is kept as well.
    async fn remove_what_nobody_names(&self) -> anyhow::Result<()> {
        let mut targets = signing::pending_targets(&self.database).await?;
        for publication in self.database.publications().await.context("reading the publications")? {
            targets.extend(signing::targets_of(&self.database, &publication).await?);
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
