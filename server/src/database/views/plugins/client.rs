//! The plugins of one client.

use crate::database::views::Database;
use farrier_protocol::ClientId;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

/// A plugin as one client runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientPluginRow {
    /// Its name.
    pub name: String,
    /// Whether the site has a plugin of this name.
    pub known: bool,
    /// The version in the last scan; empty if that did not use it.
    pub version: String,
    /// Empty, or what went wrong in the last scan.
    pub error: String,
    /// What is used in place of a version that failed.
    pub fall_back: Option<ClientFallBack>,
    /// How the version fares that scans beside it.
    pub shadow: Option<ClientShadow>,
}

/// A fall-back on one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientFallBack {
    /// The version that failed.
    pub failed_version: String,
    /// The version that is used; empty if there is none.
    pub version: String,
    /// What the version that failed said last.
    pub reason: String,
    /// Since when.
    pub since: i64,
}

/// A shadow on one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientShadow {
    /// The version that does not count.
    pub version: String,
    /// Updates that were compared.
    pub compared: i64,
    /// On how many of them it differs.
    pub differing: i64,
    /// Empty, or what went wrong.
    pub error: String,
}

impl Database {
    /// The plugins of a client by name: those of its last scan, and those of which it said something else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_plugin_rows(&self, client: ClientId) -> Result<Vec<ClientPluginRow>, sqlx::Error> {
        let sql = "SELECT n.name, CAST(CASE WHEN k.id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS known, \
                   COALESCE(p.version, '') AS version, COALESCE(p.error, '') AS error, \
                   f.failed_version, COALESCE(f.version, '') AS fallback, COALESCE(f.reason, '') AS reason, \
                   COALESCE(f.since, 0) AS since, s.shadow_version, COALESCE(s.compared, 0) AS compared, \
                   COALESCE(s.differing, 0) AS differing, COALESCE(s.error, '') AS shadow_error \
                   FROM (SELECT client_id, name FROM client_plugins WHERE client_id = {id} \
                   UNION SELECT client_id, plugin FROM client_fallbacks WHERE client_id = {id} \
                   UNION SELECT client_id, plugin FROM shadow_results WHERE client_id = {id}) n \
                   LEFT JOIN plugins k ON k.name = n.name \
                   LEFT JOIN client_plugins p ON p.client_id = n.client_id AND p.name = n.name \
                   LEFT JOIN client_fallbacks f ON f.client_id = n.client_id AND f.plugin = n.name \
                   LEFT JOIN shadow_results s ON s.client_id = n.client_id AND s.plugin = n.name ORDER BY n.name";
        let sql = sql.replace("{id}", "(SELECT id FROM clients WHERE client_id = $1)");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(client.as_bytes()).fetch_all(&self.pool).await?;
        rows.iter().map(ClientPluginRow::of).collect()
    }
}

impl ClientPluginRow {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let fall_back = row.try_get::<Option<String>, _>("failed_version")?.map(|failed_version| {
            Ok::<_, sqlx::Error>(ClientFallBack {
                failed_version,
                version: row.try_get("fallback")?,
                reason: row.try_get("reason")?,
                since: row.try_get("since")?,
            })
        });
        let shadow = row.try_get::<Option<String>, _>("shadow_version")?.map(|version| {
            Ok::<_, sqlx::Error>(ClientShadow {
                version,
                compared: row.try_get("compared")?,
                differing: row.try_get("differing")?,
                error: row.try_get("shadow_error")?,
            })
        });
        Ok(Self {
            name: row.try_get("name")?,
            known: row.try_get::<i64, _>("known")? != 0,
            version: row.try_get("version")?,
            error: row.try_get("error")?,
            fall_back: fall_back.transpose()?,
            shadow: shadow.transpose()?,
        })
    }
}
