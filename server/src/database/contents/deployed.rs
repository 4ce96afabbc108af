//! Which content belongs to deployments.

use super::digest_of;
use crate::database::Database;
use crate::database::rows::number_list;
use farrier_protocol::{ComplianceState, Digest, UnixTime};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

/// Clients that are asked which packages of an update they need. What only others need is fetched once they ask for it.
const ASKED_CLIENTS: i64 = 500;

/// A package that can become content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedPackage {
    /// Its name.
    pub name: String,
    /// Its Debian architecture, or `all`.
    pub architecture: String,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// Length of its file in bytes.
    pub size: i64,
    /// The suite it comes from.
    pub suite: i64,
    /// Where its file is below the mirror.
    pub file: String,
}

/// A deployment that is not cancelled, as far as content is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedGroup {
    /// The deployment.
    pub deployment: i64,
    /// Its update group.
    pub update_group: i64,
    /// Its settings, as JSON.
    pub settings: String,
}

impl Database {
    /// The deployments that are not cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployed_groups(&self) -> Result<Vec<DeployedGroup>, sqlx::Error> {
        let rows = sqlx::query("SELECT id, update_group_id, settings FROM deployments WHERE status <> 2 ORDER BY id");
        let group = |row: &AnyRow| {
            Ok(DeployedGroup {
                deployment: row.try_get("id")?,
                update_group: row.try_get("update_group_id")?,
                settings: row.try_get("settings")?,
            })
        };
        rows.fetch_all(&self.pool).await?.iter().map(group).collect()
    }

    /// The updates of an update group that are still offered upstream.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn group_updates(&self, update_group: i64) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT u.id FROM update_group_updates g JOIN software_updates u ON u.id = g.software_update_id \
             WHERE g.update_group_id = $1 AND u.expired_at IS NULL ORDER BY u.id",
        )
        .bind(update_group)
        .fetch_all(&self.pool)
        .await
    }

    /// Names of packages of an update that clients of a deployment need, each with the architecture of such a client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn needed_packages(&self, deployment: i64, update: i64) -> Result<Vec<(String, String)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT DISTINCT f.subject, c.machine FROM \
             (SELECT x.client_id FROM compliance_states x \
              JOIN deployment_clients d ON d.client_id = x.client_id AND d.deployment_id = $1 \
              WHERE x.software_update_id = $2 AND x.state = $3 LIMIT $4) AS needing \
             JOIN findings f ON f.client_id = needing.client_id AND f.software_update_id = $2 AND f.state = $3 \
             JOIN clients c ON c.id = needing.client_id",
        )
        .bind(deployment)
        .bind(update)
        .bind(ComplianceState::Required as i64)
        .bind(ASKED_CLIENTS)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("subject")?, row.try_get("machine")?))).collect()
    }

    /// The packages of an update.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_packages(&self, update: i64) -> Result<Vec<DeployedPackage>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT p.name, p.architecture, p.sha256, p.size, p.file, u.suite_id \
             FROM packages p JOIN software_updates u ON u.id = p.software_update_id WHERE u.id = $1",
        );
        rows.bind(update).fetch_all(&self.pool).await?.iter().map(DeployedPackage::of_row).collect()
    }

    /// Whether any package of any suite has this content.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_content_of_a_package(&self, digest: &Digest) -> Result<bool, sqlx::Error> {
        let found: Option<i64> = sqlx::query_scalar("SELECT size FROM packages WHERE sha256 = $1 LIMIT 1")
            .bind(digest.as_bytes())
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// The package with this content, if one of these update groups deploys it, or one of `rolling_back` deploys
    /// another version of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployed_package(
        &self,
        digest: &Digest,
        groups: &[i64],
        rolling_back: &[i64],
    ) -> Result<Option<DeployedPackage>, sqlx::Error> {
        let sql = format!(
            "SELECT p.name, p.architecture, p.sha256, p.size, p.file, u.suite_id \
             FROM packages p JOIN software_updates u ON u.id = p.software_update_id \
             WHERE p.sha256 = $1 AND {} LIMIT 1",
            is_deployed(groups, rolling_back)
        );
        let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(digest.as_bytes());
        row.fetch_optional(&self.pool).await?.as_ref().map(DeployedPackage::of_row).transpose()
    }

    /// What none of these update groups deploys (any more), of what has not changed since `before`. What an
    /// administrator imported can be had nowhere else: it stays as long as its update does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unneeded_contents(
        &self,
        groups: &[i64],
        rolling_back: &[i64],
        before: UnixTime,
    ) -> Result<Vec<Digest>, sqlx::Error> {
        let sql = format!(
            "SELECT c.sha256 FROM contents c WHERE c.changed_at < $1 AND NOT EXISTS (SELECT 1 FROM packages p \
             JOIN software_updates u ON u.id = p.software_update_id WHERE p.sha256 = c.sha256 AND {}) \
             AND NOT EXISTS (SELECT 1 FROM packages p JOIN authored_updates a ON a.software_update_id = \
             p.software_update_id JOIN software_updates u ON u.id = a.software_update_id \
             WHERE p.sha256 = c.sha256 AND u.expired_at IS NULL)",
            is_deployed(groups, rolling_back)
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(before).fetch_all(&self.pool).await?;
        rows.iter().map(digest_of).collect()
    }
}

/// A condition on a package `p` and its update `u`.
fn is_deployed(groups: &[i64], rolling_back: &[i64]) -> String {
    // No row has the id 0, and no list may be empty.
    let list = |groups: &[i64]| number_list(std::iter::once(0).chain(groups.iter().copied()));
    format!(
        "(EXISTS (SELECT 1 FROM update_group_updates g WHERE g.software_update_id = u.id \
         AND g.update_group_id IN ({})) \
         OR EXISTS (SELECT 1 FROM packages q JOIN update_group_updates g ON g.software_update_id = q.software_update_id \
         WHERE q.name = p.name AND q.architecture = p.architecture AND g.update_group_id IN ({})))",
        list(groups),
        list(rolling_back)
    )
}

impl DeployedPackage {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            architecture: row.try_get("architecture")?,
            digest: digest_of(row)?,
            size: row.try_get("size")?,
            suite: row.try_get("suite_id")?,
            file: row.try_get("file")?,
        })
    }
}
