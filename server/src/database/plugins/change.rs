//! Changing plugins: one administrator at a time, everything or nothing.

use super::{RegisteredPlugin, Trial};
use crate::database::rows::storable;
use crate::database::{CollectionId, Database, Engine, assignment_version};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::{Access, Manifest, World};
use sqlx::{AnyConnection, Executor as _};

/// A change of plugins under way. Others wait; dropping it undoes it.
pub struct PluginChange {
    transaction: sqlx::Transaction<'static, sqlx::Any>,
    now: UnixTime,
}

/// A version that is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion<'a> {
    /// What it says of itself.
    pub manifest: &'a Manifest,
    /// Its bytes.
    pub component: &'a [u8],
    /// Whose signature it carries; empty for none.
    pub publisher: &'a str,
    /// Who pushes it.
    pub by: &'a str,
}

impl Database {
    /// Begins a change of plugins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_plugins(&self, now: UnixTime) -> Result<PluginChange, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        if self.engine() == Engine::Postgres {
            transaction.execute(sqlx::raw_sql("LOCK TABLE plugins IN EXCLUSIVE MODE")).await?;
        }
        Ok(PluginChange { transaction, now })
    }
}

impl PluginChange {
    /// All plugins as they are in this change, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugins(&mut self) -> Result<Vec<RegisteredPlugin>, sqlx::Error> {
        super::read::all(&mut self.transaction).await
    }

    /// The plugin of this name, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin(&mut self, name: &str) -> Result<Option<RegisteredPlugin>, sqlx::Error> {
        Ok(self.plugins().await?.into_iter().find(|plugin| plugin.name == name))
    }

    /// Adds a plugin without versions; returns its row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_plugin(&mut self, name: &str, world: World) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("INSERT INTO plugins (name, world, changed_at) VALUES ($1, $2, $3) RETURNING id")
            .bind(name)
            .bind(world.as_str())
            .bind(self.now)
            .fetch_one(self.connection())
            .await
    }

    /// Adds a version; returns its row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_version(&mut self, plugin: i64, new: &NewVersion<'_>) -> Result<i64, sqlx::Error> {
        let now = self.now;
        sqlx::query_scalar(
            "INSERT INTO plugin_versions (plugin_id, version, digest, component, manifest, publisher, pushed_by, \
             pushed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(plugin)
        .bind(new.manifest.version.clone())
        .bind(Digest::of(new.component).as_bytes().to_vec())
        .bind(new.component.to_vec())
        .bind(json(new.manifest)?)
        .bind(new.publisher.to_owned())
        .bind(storable(new.by).into_owned())
        .bind(now)
        .fetch_one(self.connection())
        .await
    }

    /// Gives a version other bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_version(&mut self, row: i64, new: &NewVersion<'_>) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE plugin_versions SET digest = $1, component = $2, manifest = $3 WHERE id = $4")
            .bind(Digest::of(new.component).as_bytes().to_vec())
            .bind(new.component.to_vec())
            .bind(json(new.manifest)?)
            .bind(row)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Stores a version's bytes again, should those that are stored be damaged. Says whether they were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repair_version(&mut self, row: i64, component: &[u8]) -> Result<bool, sqlx::Error> {
        let repaired = sqlx::query("UPDATE plugin_versions SET component = $1 WHERE id = $2 AND component <> $3")
            .bind(component.to_vec())
            .bind(row)
            .bind(component.to_vec())
            .execute(self.connection())
            .await?;
        Ok(repaired.rows_affected() > 0)
    }

    /// Says which version counts, which one did before, and whether an administrator wants it so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_current(
        &mut self,
        plugin: i64,
        current: Option<i64>,
        previous: Option<i64>,
        pinned: bool,
    ) -> Result<(), sqlx::Error> {
        let now = self.now;
        sqlx::query(
            "UPDATE plugins SET current_version_id = $1, previous_version_id = $2, pinned = $3, changed_at = $4 \
             WHERE id = $5",
        )
        .bind(current)
        .bind(previous)
        .bind(i64::from(pinned))
        .bind(now)
        .bind(plugin)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Has a version tried by the members of a collection, in place of what is tried in this way. What clients said of
    /// a shadow stays: who has nothing new to say of the same version says nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_trial(
        &mut self,
        plugin: i64,
        trial: Trial,
        version: i64,
        collection: CollectionId,
    ) -> Result<(), sqlx::Error> {
        let now = self.now;
        sqlx::query(
            "INSERT INTO plugin_assignments (plugin_id, kind, version_id, collection_id, assigned_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (plugin_id, kind) DO UPDATE SET \
             version_id = excluded.version_id, collection_id = excluded.collection_id, \
             assigned_at = excluded.assigned_at",
        )
        .bind(plugin)
        .bind(trial as i64)
        .bind(version)
        .bind(collection.0)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Ends what is tried in this way. What a client said of a shadow stays until it hears of the end, and takes it back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_trial(&mut self, plugin: i64, trial: Trial) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM plugin_assignments WHERE plugin_id = $1 AND kind = $2")
            .bind(plugin)
            .bind(trial as i64)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Notes what was decided of a grant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decide(
        &mut self,
        plugin: i64,
        (access, grant): (Access, &str),
        approved: bool,
        by: &str,
    ) -> Result<(), sqlx::Error> {
        let now = self.now;
        sqlx::query(
            "INSERT INTO plugin_approvals (plugin_id, access, approved, is_approved, approved_by, approved_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (plugin_id, access, approved) DO UPDATE SET \
             is_approved = excluded.is_approved, approved_by = excluded.approved_by, \
             approved_at = excluded.approved_at",
        )
        .bind(plugin)
        .bind(access.list())
        .bind(grant.to_owned())
        .bind(i64::from(approved))
        .bind(storable(by).into_owned())
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes what was done, for people.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note(&mut self, plugin: i64, text: &str) -> Result<(), sqlx::Error> {
        let now = self.now;
        sqlx::query("INSERT INTO plugin_events (plugin_id, at, text) VALUES ($1, $2, $3)")
            .bind(plugin)
            .bind(now)
            .bind(storable(text).into_owned())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends a change of what clients are assigned.
    ///
    /// # Errors
    /// When the database fails; then nothing changed.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        assignment_version::bump_deployed(&mut self.transaction, self.now).await?;
        self.transaction.commit().await
    }

    /// Ends a change that no client is concerned by.
    ///
    /// # Errors
    /// When the database fails; then nothing changed.
    pub async fn commit_unassigned(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }

    fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

fn json(manifest: &Manifest) -> Result<String, sqlx::Error> {
    serde_json::to_string(manifest).map_err(|error| sqlx::Error::Encode(error.into()))
}
