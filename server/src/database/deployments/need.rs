//! How much there is to be fetched for a deployment, by what clients reported.

use crate::database::rows::number_list;
use crate::database::{CollectionId, Database};
use farrier_protocol::ComplianceState;
use sqlx::{AssertSqlSafe, Row as _};

/// What the clients of a collection need of some updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentNeed {
    /// Clients of the collection.
    pub clients: i64,
    /// Those that require one of the updates.
    pub needing: i64,
    /// Bytes of the different files that they need.
    pub content_bytes: i64,
    /// Bytes of what all of them need together.
    pub transfer_bytes: i64,
}

/// The upstream's name of a client's architecture. A machine that is not named here takes what is for every machine.
const ARCHITECTURE: &str = "CASE c.machine WHEN 'x86_64' THEN 'amd64' WHEN 'aarch64' THEN 'arm64' \
    WHEN 'i686' THEN 'i386' WHEN 'i586' THEN 'i386' WHEN 'armv7l' THEN 'armhf' WHEN 'armv6l' THEN 'armel' \
    WHEN 'ppc64le' THEN 'ppc64el' ELSE c.machine END";

impl Database {
    /// What the members of a collection need of these updates (as rows), by their last scans.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn content_need(&self, updates: &[i64], collection: CollectionId) -> Result<ContentNeed, sqlx::Error> {
        let clients = sqlx::query_scalar("SELECT COUNT(*) FROM collection_members WHERE collection_id = $1")
            .bind(collection.0)
            .fetch_one(&self.pool)
            .await?;
        let mut need = ContentNeed { clients, ..ContentNeed::default() };
        let list = number_list(updates.iter().copied());
        if list.is_empty() {
            return Ok(need);
        }
        let required = ComplianceState::Required as u8;
        let sql = format!(
            "SELECT COUNT(DISTINCT s.client_id) FROM compliance_states s JOIN collection_members m ON m.client_id = \
             s.client_id WHERE m.collection_id = $1 AND s.state = {required} AND s.software_update_id IN ({list})"
        );
        need.needing =
            sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).bind(collection.0).fetch_one(&self.pool).await?;
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(n.size), 0) AS BIGINT) AS content_bytes, \
             CAST(COALESCE(SUM(n.size * n.clients), 0) AS BIGINT) AS transfer_bytes FROM \
             (SELECT p.sha256, MAX(p.size) AS size, COUNT(*) AS clients FROM findings f \
             JOIN collection_members m ON m.client_id = f.client_id JOIN clients c ON c.id = f.client_id \
             JOIN packages p ON p.software_update_id = f.software_update_id AND p.name = f.subject \
             AND p.architecture IN ('all', {ARCHITECTURE}) \
             WHERE m.collection_id = $1 AND f.state = {required} AND f.software_update_id IN ({list}) \
             AND NOT EXISTS (SELECT 1 FROM authored_updates a WHERE a.software_update_id = f.software_update_id) \
             GROUP BY p.sha256) AS n"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(collection.0).fetch_one(&self.pool).await?;
        need.content_bytes = row.try_get("content_bytes")?;
        need.transfer_bytes = row.try_get("transfer_bytes")?;
        // What an author names is for everybody who requires the update, whatever the findings are about.
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(n.size), 0) AS BIGINT) AS content_bytes, \
             CAST(COALESCE(SUM(n.size * n.clients), 0) AS BIGINT) AS transfer_bytes FROM \
             (SELECT p.sha256, MAX(p.size) AS size, COUNT(*) AS clients FROM compliance_states s \
             JOIN collection_members m ON m.client_id = s.client_id \
             JOIN authored_updates a ON a.software_update_id = s.software_update_id \
             JOIN packages p ON p.software_update_id = s.software_update_id \
             WHERE m.collection_id = $1 AND s.state = {required} AND s.software_update_id IN ({list}) \
             GROUP BY p.sha256) AS n"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).persistent(false).bind(collection.0).fetch_one(&self.pool).await?;
        need.content_bytes += row.try_get::<i64, _>("content_bytes")?;
        need.transfer_bytes += row.try_get::<i64, _>("transfer_bytes")?;
        Ok(need)
    }
}
