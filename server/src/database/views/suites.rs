//! The upstream suites, with how many updates they hold.

use super::{Database, classification};
use crate::config::Classification;
use serde::Serialize;
use sqlx::Row as _;

/// One suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteRow {
    /// Its name on this site.
    pub name: String,
    /// The distribution it updates.
    pub distribution: String,
    /// The release it updates.
    pub release: String,
    /// Where it comes from.
    pub mirror: String,
    /// The architectures, separated by spaces.
    pub architectures: String,
    /// What its updates are.
    pub classification: Classification,
    /// The date the upstream gave its release.
    pub released_at: Option<i64>,
    /// When the upstream was last asked.
    pub checked_at: Option<i64>,
    /// When that last brought something new.
    pub changed_at: Option<i64>,
    /// Software updates that are not expired.
    pub updates: i64,
}

impl Database {
    /// The configured suites, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suite_rows(&self) -> Result<Vec<SuiteRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT s.name, s.distribution, s.release, s.mirror, s.architectures, s.classification, s.released_at, \
             s.checked_at, s.changed_at, (SELECT COUNT(*) FROM software_updates u WHERE u.suite_id = s.id AND u.expired_at IS NULL) \
             AS updates FROM suites s WHERE s.architectures <> '' ORDER BY s.name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SuiteRow {
                    name: row.try_get("name")?,
                    distribution: row.try_get("distribution")?,
                    release: row.try_get("release")?,
                    mirror: row.try_get("mirror")?,
                    architectures: row.try_get("architectures")?,
                    classification: classification(row.try_get("classification")?)?,
                    released_at: row.try_get("released_at")?,
                    checked_at: row.try_get("checked_at")?,
                    changed_at: row.try_get("changed_at")?,
                    updates: row.try_get("updates")?,
                })
            })
            .collect()
    }

    /// The names of the suites that have updates or are configured, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suite_names(&self) -> Result<Vec<String>, sqlx::Error> {
        // No configuration names the suite of authored updates.
        sqlx::query_scalar(
            "SELECT s.name FROM suites s WHERE s.architectures <> '' OR EXISTS (SELECT 1 FROM software_updates u \
             WHERE u.suite_id = s.id AND u.expired_at IS NULL) ORDER BY s.name",
        )
        .fetch_all(&self.pool)
        .await
    }
}
