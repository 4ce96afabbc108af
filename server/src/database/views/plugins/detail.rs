//! One plugin.

use super::differences::ShadowSummary;
use super::list::PluginRow;
use crate::database::views::sql::{Sql, client_id};
use crate::database::views::{Database, Page, as_text};
use crate::database::{RegisteredPlugin, RegisteredVersion, Trial};
use crate::plugins::AskedGrant;
use crate::plugins::approvals::{asked, undecided};
use crate::plugins::needs::cannot_run;
use farrier_protocol::{ClientId, Digest};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Rows of a table of reasons, at most.
const MAX_REASONS: i64 = 20;
/// Events that are shown.
const MAX_EVENTS: i64 = 100;

/// Everything about one plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginDetail {
    /// What the list shows of it.
    #[serde(flatten)]
    pub row: PluginRow,
    /// Its license.
    pub license: String,
    /// Where more is said of it.
    pub homepage: Option<String>,
    /// Its versions, the newest first.
    pub version_rows: Vec<PluginVersionRow>,
    /// How its shadow fares.
    pub shadow_summary: Option<ShadowSummary>,
    /// Clients that use another version because one failed again and again.
    pub fallbacks: Vec<FallBackRow>,
    /// What went wrong in the last scans.
    pub failures: Vec<FailureRow>,
    /// Clients that cannot run a version in use, and why.
    pub unable: Vec<CannotRunRow>,
    /// Clients that have not said yet which plugins they can run.
    pub silent: i64,
    /// What was done with it, the newest first.
    pub events: Vec<PluginEvent>,
}

/// A version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginVersionRow {
    /// Its number.
    pub version: String,
    /// What it is: `current`, `previous`, `canary`, `shadow`.
    pub roles: Vec<&'static str>,
    /// What it does, in a sentence.
    pub description: String,
    /// SHA-256 of the component.
    #[serde(serialize_with = "as_text")]
    pub digest: Digest,
    /// Bytes of it.
    pub component_bytes: i64,
    /// The version of `farrier:policy` it was built for.
    pub wit: String,
    /// MiB of memory it asks for, if it does.
    pub memory_mebibytes: Option<u32>,
    /// Whose signature it carries; empty for none.
    pub publisher: String,
    /// Who pushed it.
    pub pushed_by: String,
    /// When.
    pub pushed_at: i64,
    /// Clients that scan by it.
    pub clients: i64,
    /// What it asks for.
    pub grants: Vec<AskedGrant>,
    /// How much of that waits for a decision: it is not assigned while anything does.
    pub undecided: usize,
}

/// Clients that use another version because one failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FallBackRow {
    /// The version that failed.
    pub failed_version: String,
    /// The version that is used; empty if there is none.
    pub version: String,
    /// What the version that failed said last.
    pub reason: String,
    /// How many clients.
    pub clients: i64,
    /// One of them.
    pub hostname: String,
    /// The latest fall-back.
    pub since: i64,
}

/// What went wrong with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureRow {
    /// The version.
    pub version: String,
    /// What went wrong.
    pub error: String,
    /// On how many clients.
    pub clients: i64,
    /// One of them.
    pub hostname: String,
}

/// Clients that cannot run a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CannotRunRow {
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
    /// How many clients.
    pub clients: i64,
}

/// What was done with a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginEvent {
    /// When.
    pub at: i64,
    /// What.
    pub text: String,
}

/// Which clients of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginClientFilter {
    /// Words that must all occur in the host name.
    pub search: String,
    /// Only those that scan by this version.
    pub version: Option<String>,
    /// Only those on which it failed.
    pub failed: bool,
    /// The page, from 1; 0 is the first one, too.
    pub page: i64,
}

/// A client that runs a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginClientRow {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its host name.
    pub hostname: String,
    /// The version in its last scan; empty if only a fall-back is known.
    pub version: String,
    /// Empty, or what went wrong.
    pub error: String,
    /// The version that is not used because it failed; empty if none.
    pub failed_version: String,
    /// What that said last.
    pub reason: String,
}

impl Database {
    /// One plugin by its name; none if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin(&self, name: &str) -> Result<Option<PluginDetail>, sqlx::Error> {
        let Some(plugin) = self.registered_plugin(name).await? else { return Ok(None) };
        let figures = self.plugin_figures().await?;
        let groups = self.ability_groups(None).await?;
        let row = PluginRow::of(&plugin, &figures, &groups);
        let mut version_rows: Vec<_> =
            plugin.versions.iter().map(|version| PluginVersionRow::of(&plugin, version, &row)).collect();
        version_rows.reverse();
        let unable = plugin.in_use().into_iter().flat_map(|version| {
            let of_reason = |(reason, clients)| CannotRunRow { version: version.version.clone(), reason, clients };
            cannot_run(version, &groups).into_iter().map(of_reason).collect::<Vec<_>>()
        });
        let shown = plugin.current_version().or(plugin.newest());
        Ok(Some(PluginDetail {
            license: shown.map_or_else(String::new, |shown| shown.manifest.license.clone()),
            homepage: shown.and_then(|shown| shown.manifest.homepage.clone()),
            version_rows,
            shadow_summary: self.shadow_summary(&plugin).await?,
            fallbacks: self.plugin_fallbacks(name).await?,
            failures: self.plugin_failures(name).await?,
            unable: unable.collect(),
            silent: groups.iter().filter(|group| group.abilities.wit.is_empty()).map(|group| group.clients).sum(),
            events: self.plugin_events(&plugin).await?,
            row,
        }))
    }

    /// The clients of a plugin, by host name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_clients(
        &self,
        name: &str,
        filter: &PluginClientFilter,
    ) -> Result<Page<PluginClientRow>, sqlx::Error> {
        let from = |columns: &str| {
            let mut sql = Sql::new(columns);
            sql.push(" FROM clients c LEFT JOIN client_plugins p ON p.client_id = c.id AND p.name = ").bind(name);
            sql.push(" LEFT JOIN client_fallbacks f ON f.client_id = c.id AND f.plugin = ").bind(name);
            sql.push(" WHERE (p.client_id IS NOT NULL OR f.client_id IS NOT NULL)");
            if let Some(version) = &filter.version {
                sql.push(" AND p.version = ").bind(version.as_str());
            }
            if filter.failed {
                sql.push(" AND (p.error <> '' OR f.client_id IS NOT NULL)");
            }
            sql.search(&filter.search, &["c.hostname"], None);
            sql
        };
        let page = filter.page.max(1);
        let mut rows = from(
            "SELECT c.client_id, c.hostname, COALESCE(p.version, '') AS version, COALESCE(p.error, '') AS error, \
             COALESCE(f.failed_version, '') AS failed_version, COALESCE(f.reason, '') AS reason",
        );
        rows.push(" ORDER BY c.hostname, c.id").page(page);
        let items = rows.all(&self.pool).await?.iter().map(PluginClientRow::of).collect::<Result<Vec<_>, _>>()?;
        let total = from("SELECT COUNT(*)").total(&self.pool, page, items.len()).await?;
        Ok(Page::new(items, total, page))
    }

    async fn plugin_fallbacks(&self, name: &str) -> Result<Vec<FallBackRow>, sqlx::Error> {
        let sql = "SELECT f.failed_version, f.version, f.reason, COUNT(*) AS clients, MIN(c.hostname) AS hostname, \
                   MAX(f.since) AS since FROM client_fallbacks f JOIN clients c ON c.id = f.client_id \
                   WHERE f.plugin = $1 GROUP BY f.failed_version, f.version, f.reason ORDER BY 4 DESC, 1, 3 LIMIT $2";
        let rows = sqlx::query(sql).bind(name.to_owned()).bind(MAX_REASONS).fetch_all(&self.pool).await?;
        let of_row = |row: &AnyRow| {
            Ok(FallBackRow {
                failed_version: row.try_get("failed_version")?,
                version: row.try_get("version")?,
                reason: row.try_get("reason")?,
                clients: row.try_get("clients")?,
                hostname: row.try_get("hostname")?,
                since: row.try_get("since")?,
            })
        };
        rows.iter().map(of_row).collect()
    }

    async fn plugin_failures(&self, name: &str) -> Result<Vec<FailureRow>, sqlx::Error> {
        let sql = "SELECT p.version, p.error, COUNT(*) AS clients, MIN(c.hostname) AS hostname FROM client_plugins p \
                   JOIN clients c ON c.id = p.client_id WHERE p.name = $1 AND p.error <> '' \
                   GROUP BY p.version, p.error ORDER BY 3 DESC, 1, 2 LIMIT $2";
        let rows = sqlx::query(sql).bind(name.to_owned()).bind(MAX_REASONS).fetch_all(&self.pool).await?;
        let of_row = |row: &AnyRow| {
            Ok(FailureRow {
                version: row.try_get("version")?,
                error: row.try_get("error")?,
                clients: row.try_get("clients")?,
                hostname: row.try_get("hostname")?,
            })
        };
        rows.iter().map(of_row).collect()
    }

    async fn plugin_events(&self, plugin: &RegisteredPlugin) -> Result<Vec<PluginEvent>, sqlx::Error> {
        let sql = "SELECT at, text FROM plugin_events WHERE plugin_id = $1 ORDER BY at DESC, id DESC LIMIT $2";
        let rows = sqlx::query(sql).bind(plugin.row).bind(MAX_EVENTS).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(PluginEvent { at: row.try_get("at")?, text: row.try_get("text")? })).collect()
    }
}

impl PluginVersionRow {
    fn of(plugin: &RegisteredPlugin, version: &RegisteredVersion, row: &PluginRow) -> Self {
        let is = |of: Option<i64>| of == Some(version.row);
        let trial = |trial| is(plugin.trial(trial).map(|(tried, _)| tried.row));
        let roles = [
            ("current", is(plugin.current)),
            ("previous", is(plugin.previous)),
            (Trial::Canary.as_str(), trial(Trial::Canary)),
            (Trial::Shadow.as_str(), trial(Trial::Shadow)),
        ];
        let running = row.running.iter().find(|running| running.version == version.version);
        Self {
            version: version.version.clone(),
            roles: roles.into_iter().filter(|(_, is)| *is).map(|(role, _)| role).collect(),
            description: version.manifest.description.clone(),
            digest: version.digest,
            component_bytes: version.component_bytes,
            wit: version.manifest.wit.clone(),
            memory_mebibytes: version.manifest.limits.memory_mebibytes,
            publisher: version.publisher.clone(),
            pushed_by: version.pushed_by.clone(),
            pushed_at: version.pushed_at,
            clients: running.map_or(0, |running| running.clients),
            grants: asked(plugin, version),
            undecided: undecided(plugin, version).len(),
        }
    }
}

impl PluginClientRow {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            version: row.try_get("version")?,
            error: row.try_get("error")?,
            failed_version: row.try_get("failed_version")?,
            reason: row.try_get("reason")?,
        })
    }
}
