//! Publications: what the repository holds, and what the management point hands out of it.

use super::{Database, Engine, StoredMetadata, metadata, now};
use farrier_protocol::assignment::{AssignedCatalog, AssignedInstaller, AssignedPlugin, Name};
use farrier_protocol::{DeploymentId, Digest, UnixTime, UpdateId};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use std::sync::{Arc, PoisonError};

/// Publications that are kept: the current one, and the one before it for clients in the middle of fetching it.
const KEPT_PUBLICATIONS: i64 = 2;

/// One version of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its version, which grows: that of its timestamp metadata.
    pub version: u64,
    /// When it was made.
    pub published_at: UnixTime,
    /// Since which version clients are assigned the same: what is only signed anew does not concern them.
    pub content_version: u64,
    /// When that one was made.
    pub content_at: UnixTime,
    /// SHA-256 of its timestamp metadata.
    pub timestamp: Digest,
    /// The metadata that it consists of.
    pub roles: Vec<PublishedRole>,
    /// What clients are assigned of it.
    pub content: PublishedContent,
    /// What clients with deployments are assigned of it.
    pub deployments: PublishedDeployments,
}

/// Which version of a role's metadata a publication consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRole {
    /// The role.
    pub name: String,
    /// The version.
    pub version: u64,
}

/// What was read before a publication was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Basis {
    /// The version of the publication before; 0 if there is none.
    pub publication: u64,
    /// The newest version of every role's metadata, by role.
    pub metadata: Vec<PublishedRole>,
}

impl Publication {
    /// The version of this role's metadata, if there is such a role.
    #[must_use]
    pub fn role_version(&self, name: &str) -> Option<u64> {
        self.roles.iter().find(|role| role.name == name).map(|role| role.version)
    }
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

    /// Makes this the current publication, with the metadata that is new in it; of the earlier ones, the last is kept.
    /// `false`, and nothing is recorded, if what it was made after is no longer the newest: another process has published
    /// or signed meanwhile, and may have read newer content.
    ///
    /// # Errors
    /// When the database fails, or its version or one of the metadata is not new.
    pub async fn record_publication(
        &self,
        publication: &Publication,
        new: &[StoredMetadata],
        after: &Basis,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        if self.engine() == Engine::Postgres {
            let lock = sqlx::raw_sql("LOCK TABLE publications, metadata IN EXCLUSIVE MODE");
            lock.execute(&mut *transaction).await?;
        }
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT MAX(version) FROM publications").fetch_one(&mut *transaction).await?;
        let newest = Basis {
            publication: newest.unwrap_or_default().cast_unsigned(),
            metadata: metadata::newest_versions(&mut transaction).await?,
        };
        if newest != *after {
            return Ok(false);
        }
        metadata::insert(&mut transaction, new).await?;
        publication.insert(&mut transaction).await?;
        sqlx::query(
            "DELETE FROM publications WHERE version NOT IN \
             (SELECT version FROM publications ORDER BY version DESC LIMIT $1)",
        )
        .bind(KEPT_PUBLICATIONS)
        .execute(&mut *transaction)
        .await?;
        let oldest = sqlx::query("SELECT * FROM publications ORDER BY version LIMIT 1");
        let oldest = Publication::of_row(&oldest.fetch_one(&mut *transaction).await?)?;
        for role in &oldest.roles {
            metadata::remove_before(&mut transaction, &role.name, role.version).await?;
        }
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
    async fn insert(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO publications (version, published_at, content_version, content_at, timestamp_digest, roles, \
             content, deployments) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(number(self.version)?)
        .bind(self.published_at)
        .bind(number(self.content_version)?)
        .bind(self.content_at)
        .bind(self.timestamp.as_bytes())
        .bind(encoded(&self.roles)?)
        .bind(encoded(&self.content)?)
        .bind(encoded(&self.deployments)?)
        .execute(connection)
        .await?;
        Ok(())
    }

    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            version: version(row, "version")?,
            published_at: row.try_get("published_at")?,
            content_version: version(row, "content_version")?,
            content_at: row.try_get("content_at")?,
            timestamp: Digest::from_slice(row.try_get("timestamp_digest")?).ok_or_else(|| damaged(&"no digest"))?,
            roles: decoded(row, "roles")?,
            content: decoded(row, "content")?,
            deployments: decoded(row, "deployments")?,
        })
    }
}

fn number(version: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(version).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn version(row: &AnyRow, column: &str) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|error| damaged(&error))
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>, sqlx::Error> {
    farrier_protocol::encode(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

fn decoded<T: for<'a> Deserialize<'a>>(row: &AnyRow, column: &str) -> Result<T, sqlx::Error> {
    farrier_protocol::decode(row.try_get(column)?).map_err(|error| damaged(&error))
}

fn damaged(error: &dyn std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("the publication is damaged: {error}").into())
}
