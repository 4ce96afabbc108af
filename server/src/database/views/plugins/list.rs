//! All plugins.

use crate::database::views::Database;
use crate::database::{AbilityGroup, RegisteredPlugin, Trial};
use crate::plugins::approvals::undecided;
use crate::plugins::needs::cannot_run;
use serde::Serialize;
use sqlx::Row as _;
use std::collections::HashMap;

/// One plugin in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginRow {
    /// Its name.
    pub name: String,
    /// `applicability` or `installer`.
    pub world: &'static str,
    /// What it does, in a sentence.
    pub description: String,
    /// The version that counts wherever no canary does.
    pub current: Option<String>,
    /// The version that counted before it.
    pub previous: Option<String>,
    /// Whether an administrator chose the current version.
    pub pinned: bool,
    /// When the version that counts last changed.
    pub changed_at: i64,
    /// The version that counts for the members of a collection.
    pub canary: Option<TrialRow>,
    /// The version that scans beside the one that counts.
    pub shadow: Option<TrialRow>,
    /// The newest version.
    pub newest: String,
    /// How many versions there are.
    pub versions: usize,
    /// What the newest version asks for and nobody has decided.
    pub undecided: usize,
    /// Who runs which version, as of the last scans.
    pub running: Vec<VersionClients>,
    /// On how many clients it failed in the last scan.
    pub failing: i64,
    /// On how many clients another version is used because it failed.
    pub fallen_back: i64,
    /// How many clients cannot run the version that counts, as far as they have said what they can.
    pub cannot_run: i64,
    /// How many questions clients have compared that have a shadow.
    pub compared: i64,
    /// How many of them it answers differently.
    pub differing: i64,
}

/// A version that is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialRow {
    /// The version.
    pub version: String,
    /// The number of the collection.
    pub collection: i64,
    /// Its name.
    pub collection_name: String,
    /// Since when.
    pub since: i64,
}

/// How many clients scan by a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionClients {
    /// The version.
    pub version: String,
    /// How many clients.
    pub clients: i64,
    /// On how many of them it failed.
    pub failing: i64,
}

/// What clients say of plugins, by name.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) running: HashMap<String, Vec<VersionClients>>,
    fallen_back: HashMap<String, i64>,
    /// By name and version of the shadow.
    shadows: HashMap<(String, String), (i64, i64)>,
}

impl Database {
    /// All plugins, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugins(&self) -> Result<Vec<PluginRow>, sqlx::Error> {
        let plugins = self.registered_plugins().await?;
        let figures = self.plugin_figures().await?;
        let groups = self.ability_groups(None).await?;
        Ok(plugins.iter().map(|plugin| PluginRow::of(plugin, &figures, &groups)).collect())
    }

    pub(super) async fn plugin_figures(&self) -> Result<Figures, sqlx::Error> {
        let mut figures = Figures::default();
        let sql = "SELECT name, version, COUNT(*) AS clients, \
                   CAST(SUM(CASE WHEN error <> '' THEN 1 ELSE 0 END) AS BIGINT) AS failing \
                   FROM client_plugins GROUP BY name, version ORDER BY 3 DESC, 2";
        for row in sqlx::query(sql).fetch_all(&self.pool).await? {
            figures.running.entry(row.try_get("name")?).or_default().push(VersionClients {
                version: row.try_get("version")?,
                clients: row.try_get("clients")?,
                failing: row.try_get("failing")?,
            });
        }
        let sql = "SELECT plugin, COUNT(*) AS clients FROM client_fallbacks GROUP BY plugin";
        for row in sqlx::query(sql).fetch_all(&self.pool).await? {
            figures.fallen_back.insert(row.try_get("plugin")?, row.try_get("clients")?);
        }
        let sql = "SELECT plugin, shadow_version, CAST(SUM(compared) AS BIGINT) AS compared, \
                   CAST(SUM(differing) AS BIGINT) AS differing FROM shadow_results GROUP BY plugin, shadow_version";
        for row in sqlx::query(sql).fetch_all(&self.pool).await? {
            let key = (row.try_get("plugin")?, row.try_get("shadow_version")?);
            figures.shadows.insert(key, (row.try_get("compared")?, row.try_get("differing")?));
        }
        Ok(figures)
    }
}

impl PluginRow {
    pub(super) fn of(plugin: &RegisteredPlugin, figures: &Figures, groups: &[AbilityGroup]) -> Self {
        let number =
            |version: Option<&crate::database::RegisteredVersion>| version.map(|version| version.version.clone());
        let trial = |trial| {
            plugin.trial(trial).map(|(version, assignment)| TrialRow {
                version: version.version.clone(),
                collection: assignment.collection.0,
                collection_name: assignment.collection_name.clone(),
                since: assignment.assigned_at,
            })
        };
        let (current, newest) = (plugin.current_version(), plugin.newest());
        let running = figures.running.get(&plugin.name).cloned().unwrap_or_default();
        let shadow = trial(Trial::Shadow);
        let compared = shadow
            .as_ref()
            .and_then(|shadow| figures.shadows.get(&(plugin.name.clone(), shadow.version.clone())).copied());
        let (compared, differing) = compared.unwrap_or_default();
        let unable = current.map(|current| cannot_run(current, groups)).unwrap_or_default();
        Self {
            name: plugin.name.clone(),
            world: plugin.world.as_str(),
            description: current.or(newest).map_or_else(String::new, |shown| shown.manifest.description.clone()),
            current: number(current),
            previous: number(plugin.previous_version()),
            pinned: plugin.pinned,
            changed_at: plugin.changed_at,
            canary: trial(Trial::Canary),
            shadow,
            newest: number(newest).unwrap_or_default(),
            versions: plugin.versions.len(),
            undecided: newest.map_or(0, |newest| undecided(plugin, newest).len()),
            failing: running.iter().map(|version| version.failing).sum(),
            running,
            fallen_back: figures.fallen_back.get(&plugin.name).copied().unwrap_or_default(),
            cannot_run: unable.iter().map(|(_, clients)| clients).sum(),
            compared,
            differing,
        }
    }
}
