//! Where a shadow answers otherwise than the version that counts.

use super::detail::FailureRow;
use crate::database::views::sql::{Sql, client_id, update_id};
use crate::database::views::{Database, Page, as_text, state, title};
use crate::database::{RegisteredPlugin, Trial};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Updates on which most clients differ, that a summary shows.
const MAX_TOP: i64 = 20;

/// How the shadow of a plugin fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowSummary {
    /// The version that does not count.
    pub version: String,
    /// Clients that have compared it.
    pub clients: i64,
    /// Questions they compared, all together.
    pub compared: i64,
    /// How many of them it answers differently.
    pub differing: i64,
    /// On how many clients.
    pub differing_on: i64,
    /// What went wrong with it.
    pub failures: Vec<FailureRow>,
    /// The updates on which most clients differ.
    pub top: Vec<TopDifference>,
}

/// An update on which clients differ in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopDifference {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub update: UpdateId,
    /// Its title: `openssl 3.0.17-1~deb12u2`.
    pub title: String,
    /// What the version that counts says.
    pub state: ComplianceState,
    /// What the shadow says.
    pub shadow_state: ComplianceState,
    /// On how many clients.
    pub clients: i64,
    /// One of them, of which the explanations are.
    pub hostname: String,
    /// Why the version that counts says so.
    pub detail: String,
    /// Why the shadow says so.
    pub shadow_detail: String,
}

/// Which differences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DifferenceFilter {
    /// Words that must all occur in the update's name or in the host name.
    pub search: String,
    /// Only those of this update.
    pub update: Option<UpdateId>,
    /// Only those of this client.
    pub client: Option<ClientId>,
    /// The page, from 1; 0 is the first one, too.
    pub page: i64,
}

/// One update on one client, answered by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferenceRow {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub update: UpdateId,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub client: ClientId,
    /// Its host name.
    pub hostname: String,
    /// The version that counts there.
    pub version: String,
    /// The version that does not.
    pub shadow_version: String,
    /// When the scan ended.
    pub scanned_at: i64,
    /// What the version that counts says.
    pub state: ComplianceState,
    /// What the shadow says.
    pub shadow_state: ComplianceState,
    /// Why the version that counts says so.
    pub detail: String,
    /// Why the shadow says so.
    pub shadow_detail: String,
}

impl Database {
    /// How the shadow of a plugin fares; none if it has none.
    pub(super) async fn shadow_summary(&self, plugin: &RegisteredPlugin) -> Result<Option<ShadowSummary>, sqlx::Error> {
        let Some((version, _)) = plugin.trial(Trial::Shadow) else { return Ok(None) };
        let figures = self.trial_figures(&plugin.name, &version.version).await?;
        Ok(Some(ShadowSummary {
            version: version.version.clone(),
            clients: figures.compared_by,
            compared: figures.compared,
            differing: figures.differing,
            differing_on: figures.differing_on,
            failures: self.shadow_failures(&plugin.name, &version.version).await?,
            top: self.top_differences(&plugin.name, &version.version).await?,
        }))
    }

    /// The differences of a plugin's shadow, side by side.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_differences(
        &self,
        name: &str,
        filter: &DifferenceFilter,
    ) -> Result<Page<DifferenceRow>, sqlx::Error> {
        let from = |columns: &str| {
            let mut sql = Sql::new(columns);
            sql.push(
                " FROM shadow_differences d JOIN shadow_results r ON r.client_id = d.client_id AND r.plugin = d.plugin \
                 JOIN clients c ON c.id = d.client_id JOIN software_updates u ON u.id = d.software_update_id \
                 WHERE d.plugin = ",
            );
            sql.bind(name);
            // Not what a client said of another shadow, before it heard of this one.
            sql.push(
                " AND r.shadow_version = (SELECT v.version FROM plugin_assignments a JOIN plugins p \
                 ON p.id = a.plugin_id JOIN plugin_versions v ON v.id = a.version_id WHERE p.name = ",
            );
            sql.bind(name).push(" AND a.kind = ").bind(Trial::Shadow as i64).push(")");
            if let Some(update) = filter.update {
                sql.push(" AND u.update_id = ").bind(update);
            }
            if let Some(client) = filter.client {
                sql.push(" AND c.client_id = ").bind(client);
            }
            sql.search(&filter.search, &["u.name", "c.hostname"], None);
            sql
        };
        let page = filter.page.max(1);
        let mut rows = from(
            "SELECT u.update_id, u.name, u.source, u.version AS update_version, c.client_id, c.hostname, r.version, \
             r.shadow_version, r.scanned_at, d.state, d.shadow_state, d.detail, d.shadow_detail",
        );
        rows.push(" ORDER BY u.name, c.hostname, c.id").page(page);
        let items = rows.all(&self.pool).await?.iter().map(DifferenceRow::of).collect::<Result<Vec<_>, _>>()?;
        let total = from("SELECT COUNT(*)").total(&self.pool, page, items.len()).await?;
        Ok(Page::new(items, total, page))
    }

    async fn shadow_failures(&self, name: &str, version: &str) -> Result<Vec<FailureRow>, sqlx::Error> {
        let sql = "SELECT r.error, COUNT(*) AS clients, MIN(c.hostname) AS hostname FROM shadow_results r \
                   JOIN clients c ON c.id = r.client_id WHERE r.plugin = $1 AND r.shadow_version = $2 \
                   AND r.error <> '' GROUP BY r.error ORDER BY 2 DESC, 1 LIMIT $3";
        let query = sqlx::query(sql).bind(name.to_owned()).bind(version.to_owned()).bind(MAX_TOP);
        let of_row = |row: &AnyRow| {
            Ok(FailureRow {
                version: version.to_owned(),
                error: row.try_get("error")?,
                clients: row.try_get("clients")?,
                hostname: row.try_get("hostname")?,
            })
        };
        query.fetch_all(&self.pool).await?.iter().map(of_row).collect()
    }

    async fn top_differences(&self, name: &str, version: &str) -> Result<Vec<TopDifference>, sqlx::Error> {
        let sql = "SELECT u.update_id, u.source, u.version, d.state, d.shadow_state, t.clients, c.hostname, d.detail, \
                   d.shadow_detail FROM (SELECT d.software_update_id, d.state, d.shadow_state, COUNT(*) AS clients, \
                   MIN(d.client_id) AS example FROM shadow_differences d JOIN shadow_results r \
                   ON r.client_id = d.client_id AND r.plugin = d.plugin WHERE d.plugin = $1 AND r.shadow_version = $2 \
                   GROUP BY d.software_update_id, d.state, d.shadow_state ORDER BY 4 DESC, 1, 2, 3 LIMIT $3) AS t \
                   JOIN shadow_differences d ON d.client_id = t.example AND d.plugin = $1 \
                   AND d.software_update_id = t.software_update_id \
                   JOIN clients c ON c.id = t.example JOIN software_updates u ON u.id = t.software_update_id \
                   ORDER BY t.clients DESC, u.name, d.state, d.shadow_state";
        let query = sqlx::query(sql).bind(name.to_owned()).bind(version.to_owned()).bind(MAX_TOP);
        query.fetch_all(&self.pool).await?.iter().map(TopDifference::of).collect()
    }
}

impl TopDifference {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            update: update_id(row, "update_id")?,
            title: title(row.try_get("source")?, row.try_get("version")?),
            state: state(row.try_get("state")?)?,
            shadow_state: state(row.try_get("shadow_state")?)?,
            clients: row.try_get("clients")?,
            hostname: row.try_get("hostname")?,
            detail: row.try_get("detail")?,
            shadow_detail: row.try_get("shadow_detail")?,
        })
    }
}

impl DifferenceRow {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            update: update_id(row, "update_id")?,
            name: row.try_get("name")?,
            title: title(row.try_get("source")?, row.try_get("update_version")?),
            client: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            version: row.try_get("version")?,
            shadow_version: row.try_get("shadow_version")?,
            scanned_at: row.try_get("scanned_at")?,
            state: state(row.try_get("state")?)?,
            shadow_state: state(row.try_get("shadow_state")?)?,
            detail: row.try_get("detail")?,
            shadow_detail: row.try_get("shadow_detail")?,
        })
    }
}
