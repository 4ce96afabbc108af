//! Publishing: the software updates of the database as a signed repository that any cache may serve.
//!
//! Every suite becomes a catalog per architecture ([`catalog`]), cut into content-addressed chunks ([`chunks`]); plugins
//! are targets beside them ([`plugins`]). Publishing takes no input and is idempotent: it makes the repository what the
//! database says, and signs a new index only when that differs from the current one or the current one grows old.

mod catalog;
mod chunks;
mod plugins;

use crate::database::{CatalogUpdate, Database, Follow, Publication, PublishedContent, Suite, now};
use crate::repository::RepositoryFolder;
use crate::signals::Signals;
use anyhow::{Context as _, anyhow};
use farrier_protocol::Digest;
use farrier_protocol::assignment::MAX_CATALOGS;
use farrier_protocol::catalog::Catalog;
use farrier_trust::{Index, Repository, RepositoryKey, Target};
use std::collections::HashSet;
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
/// When a plugin of this program is damaged.
pub async fn run(
    database: Database,
    repository: RepositoryFolder,
    key: RepositoryKey,
    signals: Signals,
) -> anyhow::Result<()> {
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
        let waiting = self.database.unpublished_sync_runs().await.context("reading the synchronizations")?;
        let (targets, content) = self.targets().await?;
        let earlier = self.database.publications().await.context("reading the publications")?;
        let current = earlier.first().map(|publication| self.index_of(publication)).transpose()?;
        let renewal = now() + RENEW_DAYS * DAY_SECONDS;
        let is_same =
            |index: &Index| index.targets == targets && earlier.first().is_some_and(|last| last.content == content);
        if !current.as_ref().is_some_and(|index| is_same(index) && index.expires > renewal) {
            self.sign(targets, content, current.map_or(0, |index| index.version)).await?;
            self.remove_what_nobody_names().await?;
        }
        self.database.mark_sync_runs_published(&waiting).await.context("recording the publication")
    }

    async fn sign(&self, targets: Vec<Target>, content: PublishedContent, last_version: u64) -> anyhow::Result<()> {
        let published_at = now();
        // Not only the next number, but one of this time: clients take no lower version than they have seen, and a site
        // whose database was restored from a backup must get above it again.
        let version = (last_version + 1).max(published_at.unsigned_abs());
        let expires_at = published_at + INDEX_DAYS * DAY_SECONDS;
        let index = Index { version, expires: expires_at, targets };
        let signed_index = self.key.sign(&index)?;
        let publication = Publication { version, published_at, expires_at, signed_index, content };
        self.database.record_publication(&publication).await.context("recording the publication")?;
        tracing::info!(publication.version = version, targets = index.targets.len(), "Repository published");
        Ok(())
    }

    /// Everything the repository should hold, stored, and what clients are assigned of it.
    async fn targets(&self) -> anyhow::Result<(Vec<Target>, PublishedContent)> {
        let mut targets = Vec::new();
        let mut content = PublishedContent::default();
        for plugin in plugins::in_box() {
            let (target, assigned) = plugin.publish(&self.repository)?;
            targets.push(target);
            content
                .plugins
                .push(assigned)
                .map_err(|_| anyhow!("there are more plugins than a client can be assigned"))?;
        }
        let suites = self.database.suites().await.context("reading the suites")?;
        for suite in suites.iter().filter(|suite| suite.imported.is_some()) {
            self.publish_suite(suite, &suites, &mut targets, &mut content).await?;
        }
        targets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((targets, content))
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
            content.catalogs.push(assigned).map_err(|_| too_many_catalogs())?;
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

/// Keeps these targets and the chunks of the catalogs among them.
fn retain(repository: &RepositoryFolder, targets: &[Target]) -> anyhow::Result<()> {
    let mut named: HashSet<Digest> = targets.iter().map(|target| target.digest).collect();
    for catalog in targets.iter().filter(|target| target.name.starts_with(catalog::TARGETS)) {
        match std::fs::read(repository.path(&catalog.digest)) {
            Ok(bytes) => {
                let catalog: Catalog = farrier_protocol::decode(&bytes)
                    .with_context(|| format!("{} is damaged in the repository", catalog.name))?;
                named.extend(catalog.chunks.iter().map(|chunk| chunk.digest));
            }
            // Of the publication before: then nobody can be fetching it either.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    repository.retain(|digest| named.contains(digest))?;
    Ok(())
}

fn too_many_catalogs() -> anyhow::Error {
    anyhow!(
        "the suites have more than {MAX_CATALOGS} catalogs (one per suite and architecture): configure fewer suites or \
         architectures, or divide them among sites"
    )
}
