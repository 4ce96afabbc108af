//! Reading plugins.

use super::{CollectionAssignment, GrantDecision, RegisteredPlugin, RegisteredVersion, access_of, compare_versions};
use crate::database::{CollectionId, Database};
use crate::plugins::rollout::RollOut;
use farrier_protocol::{ClientId, Digest};
use farrier_runtime::World;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

impl Database {
    /// All plugins, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn registered_plugins(&self) -> Result<Vec<RegisteredPlugin>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        all(&mut connection).await
    }

    /// The plugin of this name, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn registered_plugin(&self, name: &str) -> Result<Option<RegisteredPlugin>, sqlx::Error> {
        Ok(self.registered_plugins().await?.into_iter().find(|plugin| plugin.name == name))
    }

    /// The component of a version by its row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_component(&self, version: i64) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar("SELECT component FROM plugin_versions WHERE id = $1")
            .bind(version)
            .fetch_optional(&self.pool)
            .await
    }

    /// Which versions are for whom, as of this version of the assignments. Every client asks for it with every poll: it
    /// is worked out once for each version, with which it changes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_roll_out(&self, assignment_version: u64) -> Result<Arc<RollOut>, sqlx::Error> {
        let known = self.roll_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((of_version, roll_out)) = known
            && of_version == assignment_version
        {
            return Ok(roll_out);
        }
        let roll_out = Arc::new(RollOut::of(&self.registered_plugins().await?));
        *self.roll_out.lock().unwrap_or_else(PoisonError::into_inner) = Some((assignment_version, roll_out.clone()));
        Ok(roll_out)
    }

    /// Of which of these collections a client is a member.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn memberships_among(
        &self,
        client: ClientId,
        collections: &[CollectionId],
    ) -> Result<HashSet<CollectionId>, sqlx::Error> {
        if collections.is_empty() {
            return Ok(HashSet::new());
        }
        let list = crate::database::rows::number_list(collections.iter().map(|collection| collection.0));
        let sql = format!(
            "SELECT m.collection_id FROM collection_members m JOIN clients c ON c.id = m.client_id \
             WHERE c.client_id = $1 AND m.collection_id IN ({list})"
        );
        let rows: Vec<i64> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(client.as_bytes()).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(CollectionId).collect())
    }

    /// The installers that deployments need, by name: those of the deployments that go on first. `usual` is the
    /// installer of what upstreams offer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn needed_installers(&self, usual: &str) -> Result<Vec<String>, sqlx::Error> {
        // Also of cancelled deployments: what was begun is brought to its end.
        let sql = "SELECT COALESCE(a.installer, $1) AS installer, \
                   MIN(CASE d.status WHEN 2 THEN 1 ELSE 0 END) AS is_over FROM deployments d \
                   JOIN update_group_updates g ON g.update_group_id = d.update_group_id \
                   LEFT JOIN authored_updates a ON a.software_update_id = g.software_update_id \
                   WHERE a.software_update_id IS NULL OR a.installer IS NOT NULL \
                   GROUP BY COALESCE(a.installer, $1) ORDER BY 2, 1";
        let rows = sqlx::query(sql).bind(usual).fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get("installer")).collect()
    }
}

/// All plugins, by name.
pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<RegisteredPlugin>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM plugins").fetch_all(&mut *connection).await?;
    let mut plugins = rows.iter().map(RegisteredPlugin::of_row).collect::<Result<Vec<_>, _>>()?;
    let versions = "SELECT id, plugin_id, version, digest, manifest, CAST(LENGTH(component) AS BIGINT) AS \
                    component_bytes, publisher, pushed_by, pushed_at FROM plugin_versions ORDER BY id";
    for row in sqlx::query(versions).fetch_all(&mut *connection).await? {
        if let Some(plugin) = of_row(&mut plugins, &row)? {
            plugin.versions.push(RegisteredVersion::of_row(&row)?);
        }
    }
    let decisions = "SELECT * FROM plugin_approvals ORDER BY plugin_id, access, approved";
    for row in sqlx::query(decisions).fetch_all(&mut *connection).await? {
        if let Some(plugin) = of_row(&mut plugins, &row)? {
            plugin.decisions.push(GrantDecision::of_row(&row)?);
        }
    }
    let assignments = "SELECT a.plugin_id, a.kind, a.version_id, a.collection_id, c.name AS collection_name, \
                       a.assigned_at FROM plugin_assignments a JOIN collections c ON c.id = a.collection_id";
    for row in sqlx::query(assignments).fetch_all(&mut *connection).await? {
        if let Some(plugin) = of_row(&mut plugins, &row)? {
            let assignment = Some(CollectionAssignment::of_row(&row)?);
            match row.try_get::<i64, _>("kind")? {
                0 => plugin.canary = assignment,
                1 => plugin.shadow = assignment,
                other => return Err(damaged(&format!("{other} is no way to try a plugin"))),
            }
        }
    }
    // Not by the database: engines differ about the order of names.
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    plugins.iter_mut().for_each(|plugin| {
        plugin.versions.sort_by(|a, b| compare_versions(&a.version, &b.version));
    });
    Ok(plugins)
}

fn of_row<'a>(
    plugins: &'a mut [RegisteredPlugin],
    row: &AnyRow,
) -> Result<Option<&'a mut RegisteredPlugin>, sqlx::Error> {
    let of: i64 = row.try_get("plugin_id")?;
    Ok(plugins.iter_mut().find(|plugin| plugin.row == of))
}

impl RegisteredPlugin {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let word: String = row.try_get("world")?;
        let world = World::ALL.into_iter().find(|world| world.as_str() == word);
        Ok(Self {
            row: row.try_get("id")?,
            name: row.try_get("name")?,
            world: world.ok_or_else(|| damaged(&format!("{word:?} is no world of plugins")))?,
            current: row.try_get("current_version_id")?,
            previous: row.try_get("previous_version_id")?,
            pinned: row.try_get::<i64, _>("pinned")? != 0,
            changed_at: row.try_get("changed_at")?,
            versions: Vec::new(),
            decisions: Vec::new(),
            canary: None,
            shadow: None,
        })
    }
}

impl RegisteredVersion {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let manifest: &str = row.try_get("manifest")?;
        Ok(Self {
            row: row.try_get("id")?,
            version: row.try_get("version")?,
            digest: Digest::from_slice(row.try_get("digest")?).ok_or_else(|| damaged("a plugin's digest is none"))?,
            manifest: serde_json::from_str(manifest)
                .map_err(|error| damaged(&format!("a plugin's stored manifest cannot be read: {error}")))?,
            component_bytes: row.try_get("component_bytes")?,
            publisher: row.try_get("publisher")?,
            pushed_by: row.try_get("pushed_by")?,
            pushed_at: row.try_get("pushed_at")?,
        })
    }
}

impl GrantDecision {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            access: access_of(row.try_get("access")?)?,
            grant: row.try_get("approved")?,
            approved: row.try_get::<i64, _>("is_approved")? != 0,
            by: row.try_get("approved_by")?,
            at: row.try_get("approved_at")?,
        })
    }
}

impl CollectionAssignment {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            version: row.try_get("version_id")?,
            collection: CollectionId(row.try_get("collection_id")?),
            collection_name: row.try_get("collection_name")?,
            assigned_at: row.try_get("assigned_at")?,
        })
    }
}

fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(what.to_owned().into())
}
