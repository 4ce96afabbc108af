//! Publications: what the repository holds, and what the management point hands out of it.

use super::{Database, Engine, now};
use farrier_protocol::assignment::{AssignedCatalog, AssignedInstaller, AssignedPlugin, Name};
use farrier_protocol::{DeploymentId, Digest, UpdateId};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use std::sync::{Arc, PoisonError};

/// Publications that are kept: the current one, and the one before it for clients in the middle of fetching it.
const KEPT_PUBLICATIONS: i64 = 2;

/// One version of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its version, which grows.
    pub version: u64,
    /// When it was made.
    pub published_at: i64,
    /// When its index expires.
    pub expires_at: i64,
    /// The signed index.
    pub signed_index: Vec<u8>,
    /// What clients are assigned of it.
    pub content: PublishedContent,
    /// What clients with deployments are assigned of it.
    pub deployments: PublishedDeployments,
}

/// What clients of the site are assigned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedContent {
    /// The versions of applicability plugins among the targets; which of them a client gets is decided when it asks.
    pub plugins: Vec<AssignedPlugin>,
    /// The catalogs, as many as an assignment holds.
    pub catalogs: Vec<AssignedCatalog>,
}

/// The installer plugins and the policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedDeployments {
    /// The versions of installer plugins among the targets that deployments need, the most needed plugin first.
    pub installers: Vec<AssignedInstaller>,
    /// The policies, by deployment.
    pub policies: Vec<PublishedPolicy>,
}

/// The policy of a deployment among the targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPolicy {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The target's name.
    pub target: Name,
    /// The digest of the policy.
    pub digest: Digest,
}

impl PublishedContent {
    /// Whether a Farrier made it that knew no versions of plugins: nothing is assigned of it any more.
    #[must_use]
    pub fn is_without_versions(&self) -> bool {
        self.plugins.iter().any(|plugin| plugin.target.matches('/').count() < 2)
    }
}

impl PublishedDeployments {
    /// The policy of a deployment, if it is published.
    #[must_use]
    pub fn policy(&self, deployment: DeploymentId) -> Option<&PublishedPolicy> {
        let place = self.policies.binary_search_by_key(&deployment, |policy| policy.deployment);
        place.ok().and_then(|place| self.policies.get(place))
    }
}

/// A software update as a catalog needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogUpdate {
    /// Its id.
    pub id: UpdateId,
    /// Its name.
    pub name: String,
    /// The source package's version.
    pub version: String,
    /// Its binary packages, sorted.
    pub packages: Vec<CatalogPackage>,
}

/// A binary package as a catalog needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogPackage {
    /// Its name.
    pub name: String,
    /// Its Debian architecture, or `all`.
    pub architecture: String,
    /// Its version.
    pub version: String,
}

impl Database {
    /// The updates of a suite that are not expired, sorted by name: equal content always comes in equal order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn catalog_updates(&self, suite: i64) -> Result<Vec<CatalogUpdate>, sqlx::Error> {
        let mut rows = sqlx::query(
            "SELECT u.id, u.update_id, u.name, u.version, p.name AS package, p.architecture, p.version AS \
             package_version FROM software_updates u JOIN packages p ON p.software_update_id = u.id \
             WHERE u.suite_id = $1 AND u.expired_at IS NULL ORDER BY u.id",
        )
        .bind(suite)
        .fetch(&self.pool);
        let mut updates: Vec<CatalogUpdate> = Vec::new();
        let mut last_row = None;
        while let Some(row) = rows.try_next().await? {
            let id: i64 = row.try_get("id")?;
            if last_row.replace(id) != Some(id) {
                let update_id: &[u8] = row.try_get("update_id")?;
                updates.push(CatalogUpdate {
                    id: UpdateId::from_slice(update_id).ok_or_else(|| sqlx::Error::Decode("no update id".into()))?,
                    name: row.try_get("name")?,
                    version: row.try_get("version")?,
                    packages: Vec::new(),
                });
            }
            let package = CatalogPackage {
                name: row.try_get("package")?,
                architecture: row.try_get("architecture")?,
                version: row.try_get("package_version")?,
            };
            if let Some(update) = updates.last_mut() {
                update.packages.push(package);
            }
        }
        updates.iter_mut().for_each(|update| update.packages.sort_unstable());
        updates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(updates)
    }

    /// The current publication and the one before it, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publications(&self) -> Result<Vec<Publication>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM publications ORDER BY version DESC").fetch_all(&self.pool).await?;
        rows.iter().map(Publication::of_row).collect()
    }

    /// The current publication, if anything was published yet. Every client asks for it with every poll: a version never
    /// changes, so that it is read and decoded once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn current_publication(&self) -> Result<Option<Arc<Publication>>, sqlx::Error> {
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(version) FROM publications").fetch_one(&self.pool).await?;
        let known = self.publication.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (newest.map(i64::cast_unsigned), known) {
            (None, _) => return Ok(None),
            (Some(newest), Some(known)) if known.version == newest => return Ok(Some(known)),
            (Some(_), _) => {}
        }
        let row = sqlx::query("SELECT * FROM publications ORDER BY version DESC LIMIT 1");
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        let publication = Arc::new(Publication::of_row(&row)?);
        *self.publication.lock().unwrap_or_else(PoisonError::into_inner) = Some(publication.clone());
        Ok(Some(publication))
    }

    /// Makes this the current publication; of the earlier ones, the last is kept. `false`, and nothing is recorded, if
    /// the current one is not the version that it was made after (0: none): another process has published meanwhile, and
    /// may have read newer content.
    ///
    /// # Errors
    /// When the database fails, or its version is not new.
    pub async fn record_publication(&self, publication: &Publication, after: u64) -> Result<bool, sqlx::Error> {
        let encoded = |result: Result<Vec<u8>, _>| result.map_err(|error| sqlx::Error::Encode(Box::new(error)));
        let content = encoded(farrier_protocol::encode(&publication.content))?;
        let deployments = encoded(farrier_protocol::encode(&publication.deployments))?;
        let version = i64::try_from(publication.version).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let mut transaction = self.begin_write().await?;
        if self.engine() == Engine::Postgres {
            let lock = sqlx::raw_sql("LOCK TABLE publications IN EXCLUSIVE MODE");
            lock.execute(&mut *transaction).await?;
        }
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(version) FROM publications").fetch_one(&mut *transaction).await?;
        if newest.unwrap_or_default().cast_unsigned() != after {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO publications (version, published_at, expires_at, signed_index, content, deployments) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(version)
        .bind(publication.published_at)
        .bind(publication.expires_at)
        .bind(&publication.signed_index)
        .bind(content)
        .bind(deployments)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM publications WHERE version NOT IN \
             (SELECT version FROM publications ORDER BY version DESC LIMIT $1)",
        )
        .bind(KEPT_PUBLICATIONS)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The synchronizations that have ended and wait for what they brought to be published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpublished_sync_runs(&self) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT id FROM sync_runs WHERE finished_at IS NOT NULL AND published_at IS NULL")
            .fetch_all(&self.pool)
            .await
    }

    /// Notes that what these synchronizations brought is published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_sync_runs_published(&self, runs: &[i64]) -> Result<(), sqlx::Error> {
        for run in runs {
            let query = sqlx::query("UPDATE sync_runs SET published_at = $1 WHERE id = $2").bind(now()).bind(*run);
            query.execute(&self.pool).await?;
        }
        Ok(())
    }
}

impl Publication {
    fn of_row(row: &sqlx::any::AnyRow) -> Result<Self, sqlx::Error> {
        let damaged =
            |error: &dyn std::fmt::Display| sqlx::Error::Decode(format!("the publication is damaged: {error}").into());
        let content: &[u8] = row.try_get("content")?;
        // None: it was made before there were deployments.
        let deployments: Option<Vec<u8>> = row.try_get("deployments")?;
        let deployments = deployments.map(|bytes| farrier_protocol::decode(&bytes)).transpose();
        let version: i64 = row.try_get("version")?;
        Ok(Self {
            version: u64::try_from(version).map_err(|error| damaged(&error))?,
            published_at: row.try_get("published_at")?,
            expires_at: row.try_get("expires_at")?,
            signed_index: row.try_get("signed_index")?,
            content: farrier_protocol::decode(content).map_err(|error| damaged(&error))?,
            deployments: deployments.map_err(|error| damaged(&error))?.unwrap_or_default(),
        })
    }
}
