//! What is published of the deployments.

use super::settings_of;
use crate::database::Database;
use crate::deployment::settings::DeploymentSettings;
use farrier_protocol::{DeploymentId, Digest, UpdateId};
use futures_util::TryStreamExt as _;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

/// A deployment that is active or paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishableDeployment {
    /// Its row.
    pub row: i64,
    /// Its id.
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// Its update group.
    pub update_group: i64,
    /// How it is deployed.
    pub settings: DeploymentSettings,
    /// When it was made.
    pub created_at: i64,
    /// Why it was not published the last time.
    pub problem: Option<String>,
}

/// An update with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishableUpdate {
    /// Which update.
    pub id: UpdateId,
    /// `{suite}/{source}/{version}`.
    pub name: String,
    /// The source package.
    pub source: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// The upstream's own priority.
    pub priority: i64,
    /// How long its installation may take, if its group says so.
    pub max_run_seconds: Option<i64>,
    /// The clients' distribution.
    pub distribution: String,
    /// The clients' release.
    pub release: String,
    /// The architectures that its suite is synchronized for, space-separated.
    pub architectures: String,
    /// The archive's address.
    pub mirror: String,
    /// What its author says, if it is an authored update.
    pub authored: Option<AuthoredPart>,
    /// Its packages, sorted.
    pub files: Vec<PublishableFile>,
}

/// What the author of an update says of its installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoredPart {
    /// The applicability plugin that names the scopes.
    pub plugin: String,
    /// The scopes it concerns.
    pub scopes: Vec<String>,
    /// The installer plugin; none if it can only be observed.
    pub installer: Option<String>,
    /// What that is told.
    pub instructions: Vec<u8>,
    /// How long its installation may take.
    pub max_run_seconds: Option<u32>,
}

/// One package of an update.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishableFile {
    /// Its name.
    pub name: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// Where it is below the mirror.
    pub file: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256.
    pub sha256: Digest,
}

const COLUMNS: &str = "SELECT u.id, u.update_id, u.name, u.source, u.version, u.summary, u.priority, s.distribution, \
    s.release, s.architectures, s.mirror, a.plugin AS authored_plugin, a.scopes AS authored_scopes, a.installer, \
    a.instructions, a.definition, p.name AS package, p.architecture, p.version AS package_version, p.file, \
    p.size, p.sha256";

impl Database {
    /// The deployments whose policies are published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publishable_deployments(&self) -> Result<Vec<PublishableDeployment>, sqlx::Error> {
        let query = "SELECT id, deployment_id, name, update_group_id, settings, created_at, problem FROM deployments \
                     WHERE status <> 2 ORDER BY id";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(PublishableDeployment::of_row).collect()
    }

    /// The updates of a group that are neither expired nor superseded, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publishable_updates(&self, group: i64) -> Result<Vec<PublishableUpdate>, sqlx::Error> {
        let sql = format!(
            "{COLUMNS}, g.max_run_seconds FROM update_group_updates g JOIN software_updates u ON u.id = \
             g.software_update_id JOIN suites s ON s.id = u.suite_id LEFT JOIN authored_updates a ON \
             a.software_update_id = u.id LEFT JOIN packages p ON p.software_update_id = u.id \
             WHERE g.update_group_id = $1 AND u.expired_at IS NULL AND u.superseded_by IS NULL ORDER BY u.id"
        );
        self.read_updates(sql, group).await
    }

    /// Other updates of the same source packages in the same releases whose files can still be had: from the upstream,
    /// or from this site's distribution point.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn previous_updates(&self, group: i64) -> Result<Vec<PublishableUpdate>, sqlx::Error> {
        let sql = format!(
            "{COLUMNS}, CAST(NULL AS BIGINT) AS max_run_seconds FROM software_updates u JOIN suites s ON s.id = \
             u.suite_id LEFT JOIN authored_updates a ON a.software_update_id = u.id \
             JOIN packages p ON p.software_update_id = u.id WHERE EXISTS (SELECT 1 FROM \
             update_group_updates g JOIN software_updates n ON n.id = g.software_update_id JOIN suites t ON t.id = \
             n.suite_id WHERE g.update_group_id = $1 AND n.source = u.source AND t.distribution = s.distribution \
             AND t.release = s.release AND n.id <> u.id AND n.expired_at IS NULL AND n.superseded_by IS NULL) \
             AND (u.expired_at IS NULL OR EXISTS (SELECT 1 FROM contents k WHERE k.sha256 = p.sha256 AND k.state = 1)) \
             ORDER BY u.id"
        );
        self.read_updates(sql, group).await
    }

    /// Notes why a deployment is not published; none: it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_deployment_problem(&self, deployment: i64, problem: Option<&str>) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE deployments SET problem = $1 WHERE id = $2 AND problem IS DISTINCT FROM $1")
            .bind(problem.map(str::to_owned))
            .bind(deployment)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn read_updates(&self, sql: String, group: i64) -> Result<Vec<PublishableUpdate>, sqlx::Error> {
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(group).fetch(&self.pool);
        let mut updates: Vec<PublishableUpdate> = Vec::new();
        let mut last = None;
        while let Some(row) = rows.try_next().await? {
            let id: i64 = row.try_get("id")?;
            if last.replace(id) != Some(id) {
                updates.push(PublishableUpdate::of_row(&row)?);
            }
            if let Some(update) = updates.last_mut() {
                update.files.extend(PublishableFile::of_row(&row)?);
            }
        }
        updates.iter_mut().for_each(|update| update.files.sort_unstable());
        updates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(updates)
    }
}

impl PublishableDeployment {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            row: row.try_get("id")?,
            id: DeploymentId::from_slice(row.try_get("deployment_id")?)
                .ok_or_else(|| sqlx::Error::Decode("a deployment's id is no id".into()))?,
            name: row.try_get("name")?,
            update_group: row.try_get("update_group_id")?,
            settings: settings_of(row.try_get("settings")?)?,
            created_at: row.try_get("created_at")?,
            problem: row.try_get("problem")?,
        })
    }
}

impl PublishableUpdate {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: UpdateId::from_slice(row.try_get("update_id")?)
                .ok_or_else(|| sqlx::Error::Decode("an update's id is no id".into()))?,
            name: row.try_get("name")?,
            source: row.try_get("source")?,
            version: row.try_get("version")?,
            summary: row.try_get("summary")?,
            priority: row.try_get("priority")?,
            max_run_seconds: row.try_get("max_run_seconds")?,
            distribution: row.try_get("distribution")?,
            release: row.try_get("release")?,
            architectures: row.try_get("architectures")?,
            mirror: row.try_get("mirror")?,
            authored: AuthoredPart::of_row(row)?,
            files: Vec::new(),
        })
    }
}

impl AuthoredPart {
    fn of_row(row: &AnyRow) -> Result<Option<Self>, sqlx::Error> {
        let Some(plugin) = row.try_get::<Option<String>, _>("authored_plugin")? else { return Ok(None) };
        let scopes: String = row.try_get("authored_scopes")?;
        Ok(Some(Self {
            plugin,
            scopes: scopes.lines().map(str::to_owned).collect(),
            installer: row.try_get("installer")?,
            instructions: row.try_get("instructions")?,
            max_run_seconds: crate::authored::max_run_seconds(row.try_get("definition")?),
        }))
    }
}

impl PublishableFile {
    /// None in the row of an update without files.
    fn of_row(row: &AnyRow) -> Result<Option<Self>, sqlx::Error> {
        let Some(name) = row.try_get("package")? else { return Ok(None) };
        Ok(Some(Self {
            name,
            architecture: row.try_get("architecture")?,
            version: row.try_get("package_version")?,
            file: row.try_get("file")?,
            size: row.try_get("size")?,
            sha256: Digest::from_slice(row.try_get("sha256")?)
                .ok_or_else(|| sqlx::Error::Decode("a package's digest is none".into()))?,
        }))
    }
}
