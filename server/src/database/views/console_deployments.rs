//! What the console's forms ask: about the updates picked in the deployment wizard, and about clients by their names.

use super::sql::{Sql, update_id};
use super::{Database, UpdateFilter, as_text, classification, title};
use crate::config::Classification;
use farrier_protocol::deployment::MAX_DEPLOYED_UPDATES;
use farrier_protocol::{ClientId, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Updates of one query: SQLite looks every placeholder up in a list of all.
const UPDATES_PER_QUERY: usize = 200;

/// An update that somebody picked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PickedUpdate {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// Where it comes from.
    pub suite: String,
    /// What kind of update.
    pub classification: Classification,
    /// Whether something newer replaces it.
    pub superseded: bool,
    /// Whether it vanished from the upstream.
    pub expired: bool,
    /// Clients that require it, as of the last count.
    pub required: i64,
    /// Its files, of all architectures.
    pub files: i64,
    /// Bytes of them.
    pub bytes: i64,
}

const SELECT: &str = "SELECT u.update_id, u.source, u.version, u.classification, u.superseded_by, u.expired_at, \
    s.name AS suite, COALESCE(c.required, 0) AS required, \
    (SELECT COUNT(*) FROM packages p WHERE p.software_update_id = u.id) AS files, \
    (SELECT CAST(COALESCE(SUM(p.size), 0) AS BIGINT) FROM packages p WHERE p.software_update_id = u.id) AS bytes \
    FROM software_updates u JOIN suites s ON s.id = u.suite_id \
    LEFT JOIN update_summaries c ON c.software_update_id = u.id WHERE u.update_id IN (";

impl Database {
    /// The updates with these ids, the most urgent first; ids that the site does not know are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn picked_updates(&self, ids: &[UpdateId]) -> Result<Vec<PickedUpdate>, sqlx::Error> {
        let mut picked = Vec::with_capacity(ids.len());
        for ids in ids.chunks(UPDATES_PER_QUERY) {
            let mut sql = Sql::new(SELECT);
            for (index, id) in ids.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " }).bind(*id);
            }
            for row in sql.push(")").all(&self.pool).await? {
                picked.push(PickedUpdate::of_row(&row)?);
            }
        }
        picked.sort_by(|a: &PickedUpdate, b| b.classification.cmp(&a.classification).then(a.title.cmp(&b.title)));
        picked.dedup_by_key(|update| update.id);
        Ok(picked)
    }

    /// The ids of all updates that a filter shows, on whichever page, in its order; one more than a deployment can have
    /// where there are more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn filtered_update_ids(&self, filter: &UpdateFilter) -> Result<Vec<UpdateId>, sqlx::Error> {
        let mut ids = Vec::new();
        for page in 1.. {
            let rows = self.update_rows(&UpdateFilter { page, ..filter.clone() }).await?;
            ids.extend(rows.items.iter().map(|row| row.id));
            if page >= rows.pages || ids.len() > MAX_DEPLOYED_UPDATES {
                break;
            }
        }
        ids.truncate(MAX_DEPLOYED_UPDATES + 1);
        Ok(ids)
    }

    /// The host name of a client if no other client has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unambiguous_name(&self, client: ClientId) -> Result<Option<String>, sqlx::Error> {
        let mut sql = Sql::new("SELECT hostname FROM clients WHERE client_id = ");
        let Some(row) = sql.bind(client).optional(&self.pool).await? else { return Ok(None) };
        let hostname: String = row.try_get("hostname")?;
        let is_one = self.clients_named(&hostname).await?.len() == 1;
        Ok(is_one.then_some(hostname))
    }
}

impl PickedUpdate {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(row.try_get("source")?, row.try_get("version")?),
            suite: row.try_get("suite")?,
            classification: classification(row.try_get("classification")?)?,
            superseded: row.try_get::<Option<i64>, _>("superseded_by")?.is_some(),
            expired: row.try_get::<Option<i64>, _>("expired_at")?.is_some(),
            required: row.try_get("required")?,
            files: row.try_get("files")?,
            bytes: row.try_get("bytes")?,
        })
    }
}
