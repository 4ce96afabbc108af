//! Maintenance windows and business hours of collections.

use super::collections::CollectionId;
use super::{Database, assignment_version};
use farrier_protocol::assignment::WindowKind;
use farrier_protocol::{ClientId, UnixTime};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// One window as an administrator defines it: it occurs once, or again and again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowDefinition {
    /// Its name, for people.
    pub name: String,
    /// What it is for.
    pub kind: WindowKind,
    /// The first start, as a wall clock shows it: `2026-11-24T22:00:00`.
    pub starts: jiff::civil::DateTime,
    /// An RFC 5545 recurrence rule (`FREQ=WEEKLY;BYDAY=TU,TH`); none if it occurs once.
    pub recurrence: Option<String>,
    /// How long it lasts.
    pub duration_seconds: u32,
    /// An IANA time zone; none for each client's own.
    pub time_zone: Option<String>,
    /// Whether it counts.
    pub enabled: bool,
}

/// One window of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MaintenanceWindow {
    /// Its row.
    pub id: i64,
    /// Whose it is.
    pub collection: CollectionId,
    /// The name of that collection.
    pub collection_name: String,
    /// What an administrator wrote.
    #[serde(flatten)]
    pub definition: WindowDefinition,
    /// When it was last written.
    pub changed_at: UnixTime,
}

const SELECT: &str = "SELECT w.id, w.collection_id, c.name AS collection_name, w.name, w.kind, w.starts, w.recurrence, \
    w.duration_seconds, w.time_zone, w.enabled, w.changed_at \
    FROM maintenance_windows w JOIN collections c ON c.id = w.collection_id";

impl Database {
    /// The windows of a collection, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_windows(&self, collection: CollectionId) -> Result<Vec<MaintenanceWindow>, sqlx::Error> {
        let sql = format!("{SELECT} WHERE w.collection_id = $1 ORDER BY w.name, w.id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(collection.0).fetch_all(&self.pool).await?;
        rows.iter().map(MaintenanceWindow::of_row).collect()
    }

    /// All windows, by collection and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn windows(&self) -> Result<Vec<MaintenanceWindow>, sqlx::Error> {
        let sql = format!("{SELECT} ORDER BY c.name, w.name, w.id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(MaintenanceWindow::of_row).collect()
    }

    /// The enabled windows of the collections that a client is a member of.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_windows(&self, client: ClientId) -> Result<Vec<MaintenanceWindow>, sqlx::Error> {
        let sql = format!(
            "{SELECT} WHERE w.enabled = 1 AND w.collection_id IN (SELECT m.collection_id FROM collection_members m \
             WHERE m.client_id = (SELECT id FROM clients WHERE client_id = $1)) ORDER BY w.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(client.as_bytes()).fetch_all(&self.pool).await?;
        rows.iter().map(MaintenanceWindow::of_row).collect()
    }

    /// One window; none if it does not exist (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn window(&self, id: i64) -> Result<Option<MaintenanceWindow>, sqlx::Error> {
        let sql = format!("{SELECT} WHERE w.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(MaintenanceWindow::of_row).transpose()
    }

    /// Adds a window to a collection and returns its row.
    ///
    /// # Errors
    /// When the database fails, or the collection does not exist.
    pub async fn add_window(
        &self,
        collection: CollectionId,
        window: &WindowDefinition,
        now: UnixTime,
    ) -> Result<i64, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let row = sqlx::query(
            "INSERT INTO maintenance_windows (collection_id, name, kind, starts, recurrence, duration_seconds, time_zone, \
             enabled, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
        )
        .bind(collection.0)
        .bind(&window.name)
        .bind(window.kind as i64)
        .bind(window.starts.to_string())
        .bind(&window.recurrence)
        .bind(i64::from(window.duration_seconds))
        .bind(window.time_zone.clone().unwrap_or_default())
        .bind(i64::from(window.enabled))
        .bind(now)
        .fetch_one(&mut *transaction)
        .await?;
        assignment_version::bump(&mut transaction, now).await?;
        transaction.commit().await?;
        row.try_get("id")
    }

    /// Replaces a window; `false` if it does not exist (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_window(&self, id: i64, window: &WindowDefinition, now: UnixTime) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let changed = sqlx::query(
            "UPDATE maintenance_windows SET name = $1, kind = $2, starts = $3, recurrence = $4, duration_seconds = $5, \
             time_zone = $6, enabled = $7, changed_at = $8 WHERE id = $9",
        )
        .bind(&window.name)
        .bind(window.kind as i64)
        .bind(window.starts.to_string())
        .bind(&window.recurrence)
        .bind(i64::from(window.duration_seconds))
        .bind(window.time_zone.clone().unwrap_or_default())
        .bind(i64::from(window.enabled))
        .bind(now)
        .bind(id)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        assignment_version::bump(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(changed == 1)
    }

    /// Removes a window; `false` if it does not exist (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_window(&self, id: i64, now: UnixTime) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let query = sqlx::query("DELETE FROM maintenance_windows WHERE id = $1").bind(id);
        let removed = query.execute(&mut *transaction).await?.rows_affected();
        assignment_version::bump(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(removed == 1)
    }
}

impl MaintenanceWindow {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let damaged = |problem: String| sqlx::Error::Decode(format!("a maintenance window {problem}").into());
        let starts: String = row.try_get("starts")?;
        let time_zone: String = row.try_get("time_zone")?;
        let definition = WindowDefinition {
            name: row.try_get("name")?,
            kind: match row.try_get::<i64, _>("kind")? {
                0 => WindowKind::Maintenance,
                1 => WindowKind::BusinessHours,
                kind => return Err(damaged(format!("is of the unknown kind {kind}"))),
            },
            starts: starts.parse().map_err(|error| damaged(format!("starts at {starts:?}: {error}")))?,
            recurrence: row.try_get("recurrence")?,
            duration_seconds: u32::try_from(row.try_get::<i64, _>("duration_seconds")?)
                .map_err(|error| damaged(format!("has no duration: {error}")))?,
            time_zone: Some(time_zone).filter(|zone| !zone.is_empty()),
            enabled: row.try_get::<i64, _>("enabled")? != 0,
        };
        Ok(Self {
            id: row.try_get("id")?,
            collection: CollectionId(row.try_get("collection_id")?),
            collection_name: row.try_get("collection_name")?,
            definition,
            changed_at: row.try_get("changed_at")?,
        })
    }
}
