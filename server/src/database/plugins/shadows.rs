//! How a version that is tried fares, in numbers: what decides whether it may be promoted.

use crate::database::Database;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::HashMap;

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
    /// Clients that scan by it, and had something to ask it about.
    pub running: i64,
    /// Clients on which it counted and failed: an error in the last scan, or a fall-back.
    pub failures: i64,
}

/// A condition on what went wrong: it is no fault of the version, which had nothing to answer to. The site has no catalog,
/// or it did not reach the client. These are an agent's words; one that uses others is not excused.
const IS_EXCUSED: &str = "(error LIKE 'the site has no catalog for %' OR error LIKE 'catalogs/%')";

impl Database {
    /// How this version of this plugin fares.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trial_figures(&self, plugin: &str, version: &str) -> Result<TrialFigures, sqlx::Error> {
        Ok(self.plugin_trial_figures(plugin).await?.remove(version).unwrap_or_default())
    }

    /// How the versions of this plugin fare, by version; those of which no client has said anything are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_trial_figures(&self, plugin: &str) -> Result<HashMap<String, TrialFigures>, sqlx::Error> {
        let mut figures: HashMap<String, TrialFigures> = HashMap::new();
        let shadows = format!(
            "SELECT shadow_version AS version, \
             CAST(SUM(CASE WHEN {IS_EXCUSED} AND compared = 0 THEN 0 ELSE 1 END) AS BIGINT) AS clients, \
             CAST(SUM(compared) AS BIGINT) AS compared, CAST(SUM(differing) AS BIGINT) AS differing, \
             CAST(SUM(CASE WHEN differing > 0 THEN 1 ELSE 0 END) AS BIGINT) AS differing_on, \
             CAST(SUM(CASE WHEN error <> '' AND NOT {IS_EXCUSED} THEN 1 ELSE 0 END) AS BIGINT) AS failures \
             FROM shadow_results WHERE plugin = $1 GROUP BY shadow_version"
        );
        for row in self.of_plugin(shadows, plugin).await? {
            let of_version = figures.entry(row.try_get("version")?).or_default();
            of_version.compared_by = row.try_get("clients")?;
            of_version.compared = row.try_get("compared")?;
            of_version.differing = row.try_get("differing")?;
            of_version.differing_on = row.try_get("differing_on")?;
            of_version.shadow_failures = row.try_get("failures")?;
        }
        let running = format!(
            "SELECT version, COUNT(*) AS clients FROM client_plugins WHERE name = $1 AND NOT {IS_EXCUSED} \
             GROUP BY version"
        );
        for row in self.of_plugin(running, plugin).await? {
            figures.entry(row.try_get("version")?).or_default().running = row.try_get("clients")?;
        }
        // A client that failed and fell back is one.
        let failures = format!(
            "SELECT version, COUNT(*) AS clients FROM (SELECT client_id, version FROM client_plugins \
             WHERE name = $1 AND error <> '' AND NOT {IS_EXCUSED} UNION SELECT client_id, failed_version FROM client_fallbacks \
             WHERE plugin = $1) AS f GROUP BY version"
        );
        for row in self.of_plugin(failures, plugin).await? {
            figures.entry(row.try_get("version")?).or_default().failures = row.try_get("clients")?;
        }
        Ok(figures)
    }

    async fn of_plugin(&self, sql: String, plugin: &str) -> Result<Vec<AnyRow>, sqlx::Error> {
        sqlx::query(AssertSqlSafe(sql)).bind(plugin.to_owned()).fetch_all(&self.pool).await
    }
}
