//! Writing software updates: an import is one transaction that writes only what differs from what is stored.

use super::rows::{Marks, number_list};
use super::suites::Follow;
use super::supersedence::supersede;
use super::{Database, Engine, ROWS_PER_STATEMENT, now};
use crate::config::Classification;
use farrier_protocol::{Digest, UpdateId};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use std::collections::HashMap;

/// One release of a suite, ready to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteImport {
    /// What makes the next request for the release a conditional one.
    pub validator: Option<String>,
    /// The release together with the configuration it is imported under.
    pub imported: Digest,
    /// The date of the release.
    pub released_at: i64,
    /// How far clients follow the suite.
    pub follow: Follow,
    /// Its software updates, each once.
    pub updates: Vec<ImportedUpdate>,
}

/// One software update: a source package version with its binary packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedUpdate {
    /// The source package.
    pub source: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// What it is.
    pub classification: Classification,
    /// 0 optional or extra, 1 standard, 2 important, 3 required.
    pub priority: i64,
    /// SHA-256 over everything else here.
    pub content: Digest,
    /// The binary packages, each name, architecture and version once.
    pub packages: Vec<ImportedPackage>,
}

/// One binary package of a software update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedPackage {
    /// Its name.
    pub name: Box<str>,
    /// Its Debian architecture, or `all`.
    pub architecture: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Where it is, relative to the archive.
    pub file: Box<str>,
    /// Its length in bytes.
    pub size: i64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Updates that are new, or came back.
    pub added: i64,
    /// Updates with other content than before.
    pub changed: i64,
    /// Updates that vanished from upstream.
    pub expired: i64,
}

impl ImportCounts {
    /// Whether the site holds other updates than before.
    #[must_use]
    pub fn is_anything(self) -> bool {
        self != Self::default()
    }
}

/// What the database holds of an update before the import.
struct StoredUpdate {
    id: i64,
    content: Digest,
    expired: bool,
}

/// An import under way.
struct Import {
    transaction: Transaction<'static, Any>,
    engine: Engine,
    suite: i64,
    now: i64,
}

/// An update that is to be written, with its id and its name.
type ToWrite<'a> = (UpdateId, String, &'a ImportedUpdate);

impl Database {
    /// Makes the updates of a suite those of the import, all or nothing.
    ///
    /// # Errors
    /// When the database fails, or the suite is gone; then nothing changed.
    pub async fn import_suite(&self, suite: i64, import: &SuiteImport) -> Result<ImportCounts, sqlx::Error> {
        let transaction = self.begin_write().await?;
        let mut run = Import { transaction, engine: self.engine(), suite, now: now() };
        let row = sqlx::query("SELECT name, distribution, release FROM suites WHERE id = $1")
            .bind(suite)
            .fetch_one(&mut *run.transaction)
            .await?;
        let counts = run.write(row.try_get("name")?, &import.updates).await?;
        run.finish(import, counts).await?;
        supersede(&mut run.transaction, &(row.try_get("distribution")?, row.try_get("release")?)).await?;
        run.transaction.commit().await?;
        Ok(counts)
    }
}

impl Import {
    async fn write(&mut self, suite_name: &str, updates: &[ImportedUpdate]) -> Result<ImportCounts, sqlx::Error> {
        let mut stored = self.stored().await?;
        let mut counts = ImportCounts::default();
        let mut outdated = Vec::new();
        let mut to_write = Vec::new();
        for update in updates {
            let name = format!("{suite_name}/{}/{}", update.source, update.version);
            let id = UpdateId::of_name(&name);
            match stored.remove(&id) {
                Some(known) if known.content == update.content && !known.expired => continue,
                Some(known) => {
                    outdated.push(known.id);
                    if known.expired { counts.added += 1 } else { counts.changed += 1 }
                }
                None => counts.added += 1,
            }
            to_write.push((id, name, update));
        }
        let vanished: Vec<i64> = stored.values().filter(|update| !update.expired).map(|update| update.id).collect();
        counts.expired = i64::try_from(vanished.len()).unwrap_or(i64::MAX);
        self.expire(&vanished).await?;
        self.delete_packages(&outdated).await?;
        for updates in to_write.chunks(ROWS_PER_STATEMENT) {
            let rows = self.upsert(updates).await?;
            self.insert_packages(updates, &rows).await?;
        }
        Ok(counts)
    }

    async fn stored(&mut self) -> Result<HashMap<UpdateId, StoredUpdate>, sqlx::Error> {
        let rows = sqlx::query("SELECT id, update_id, content, expired_at FROM software_updates WHERE suite_id = $1")
            .bind(self.suite)
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| {
                let content = Digest::from_slice(row.try_get("content")?)
                    .ok_or_else(|| sqlx::Error::Decode("an update's content is no digest".into()))?;
                let expired = row.try_get::<Option<i64>, _>("expired_at")?.is_some();
                Ok((update_id(row)?, StoredUpdate { id: row.try_get("id")?, content, expired }))
            })
            .collect()
    }

    async fn expire(&mut self, ids: &[i64]) -> Result<(), sqlx::Error> {
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let ids = number_list(ids.iter().copied());
            let sql = format!("UPDATE software_updates SET expired_at = $1, changed_at = $1 WHERE id IN ({ids})");
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            query.bind(self.now).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    async fn delete_packages(&mut self, ids: &[i64]) -> Result<(), sqlx::Error> {
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let ids = number_list(ids.iter().copied());
            let sql = format!("DELETE FROM packages WHERE software_update_id IN ({ids})");
            sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Inserts the updates or overwrites them; returns their rows.
    async fn upsert(&mut self, updates: &[ToWrite<'_>]) -> Result<HashMap<UpdateId, i64>, sqlx::Error> {
        let sql = format!(
            "INSERT INTO software_updates (update_id, suite_id, name, source, version, summary, classification, \
             priority, content, first_seen_at, changed_at) VALUES {} ON CONFLICT (update_id) DO UPDATE SET \
             summary = excluded.summary, classification = excluded.classification, priority = excluded.priority, \
             content = excluded.content, changed_at = excluded.changed_at, expired_at = NULL RETURNING id, update_id",
            Marks::new(self.engine).rows(updates.len(), 11)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (id, name, update) in updates {
            query = query.bind(id.as_bytes()).bind(self.suite).bind(name).bind(&update.source).bind(&update.version);
            query = query.bind(&update.summary).bind(update.classification as i64).bind(update.priority);
            query = query.bind(update.content.as_bytes()).bind(self.now).bind(self.now);
        }
        let rows = query.fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| Ok((update_id(row)?, row.try_get("id")?))).collect()
    }

    async fn insert_packages(
        &mut self,
        updates: &[ToWrite<'_>],
        rows: &HashMap<UpdateId, i64>,
    ) -> Result<(), sqlx::Error> {
        let packages: Vec<(i64, &ImportedPackage)> = updates
            .iter()
            .filter_map(|(id, _, update)| Some((*rows.get(id)?, update)))
            .flat_map(|(row, update)| update.packages.iter().map(move |package| (row, package)))
            .collect();
        for packages in packages.chunks(ROWS_PER_STATEMENT) {
            let sql = format!(
                "INSERT INTO packages (software_update_id, name, architecture, version, file, size, sha256) VALUES {}",
                Marks::new(self.engine).rows(packages.len(), 7)
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            for (row, package) in packages {
                query = query.bind(row).bind(&*package.name).bind(&*package.architecture).bind(&*package.version);
                query = query.bind(&*package.file).bind(package.size).bind(package.sha256.as_bytes());
            }
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, import: &SuiteImport, counts: ImportCounts) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE suites SET follow = $1, validator = $2, imported = $3, released_at = $4, checked_at = $5, \
             changed_at = COALESCE($6, changed_at) WHERE id = $7",
        )
        .bind(import.follow as i64)
        .bind(&import.validator)
        .bind(import.imported.as_bytes())
        .bind(import.released_at)
        .bind(self.now)
        .bind(counts.is_anything().then_some(self.now))
        .bind(self.suite)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

fn update_id(row: &AnyRow) -> Result<UpdateId, sqlx::Error> {
    UpdateId::from_slice(row.try_get("update_id")?)
        .ok_or_else(|| sqlx::Error::Decode("an update's id has another length".into()))
}
