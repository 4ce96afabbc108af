//! How a version that is tried fares, in numbers: what decides whether it may be promoted.

use crate::database::Database;
use sqlx::Row as _;

/// How a version fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrialFigures {
    /// Clients that have compared it as a shadow.
    pub compared_by: i64,
    /// Updates that those compared, all together.
    pub compared: i64,
    /// On how many of these it differs.
    pub differing: i64,
    /// On how many clients it differs.
    pub differing_on: i64,
    /// Clients on which it failed as a shadow.
    pub shadow_failures: i64,
    /// Clients that scan by it.
    pub running: i64,
    /// Clients on which it counted and failed: an error in the last scan, or a fall-back.
    pub failures: i64,
}

impl Database {
    /// How this version of this plugin fares.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trial_figures(&self, plugin: &str, version: &str) -> Result<TrialFigures, sqlx::Error> {
        let shadow = sqlx::query(
            "SELECT COUNT(*) AS clients, CAST(COALESCE(SUM(compared), 0) AS BIGINT) AS compared, \
             CAST(COALESCE(SUM(differing), 0) AS BIGINT) AS differing, \
             CAST(COALESCE(SUM(CASE WHEN differing > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS differing_on, \
             CAST(COALESCE(SUM(CASE WHEN error <> '' THEN 1 ELSE 0 END), 0) AS BIGINT) AS failures \
             FROM shadow_results WHERE plugin = $1 AND shadow_version = $2",
        )
        .bind(plugin.to_owned())
        .bind(version.to_owned())
        .fetch_one(&self.pool)
        .await?;
        let counts = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM client_plugins WHERE name = $1 AND version = $2) AS running, \
             (SELECT COUNT(*) FROM clients c WHERE \
             EXISTS (SELECT 1 FROM client_plugins p WHERE p.client_id = c.id AND p.name = $1 AND p.version = $2 \
             AND p.error <> '') OR EXISTS (SELECT 1 FROM client_fallbacks f WHERE f.client_id = c.id \
             AND f.plugin = $1 AND f.failed_version = $2)) AS failures",
        )
        .bind(plugin.to_owned())
        .bind(version.to_owned())
        .fetch_one(&self.pool)
        .await?;
        Ok(TrialFigures {
            compared_by: shadow.try_get("clients")?,
            compared: shadow.try_get("compared")?,
            differing: shadow.try_get("differing")?,
            differing_on: shadow.try_get("differing_on")?,
            shadow_failures: shadow.try_get("failures")?,
            running: counts.try_get("running")?,
            failures: counts.try_get("failures")?,
        })
    }
}
