//! The course of a deployment: how many clients of a phase were in a state, whenever that changed.

use crate::database::Database;
use crate::database::rows::number_rows;
use farrier_protocol::UnixTime;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeMap;

/// What a client that has not said anything is counted as.
const SILENT: i64 = -1;
/// The least time between two points.
const MIN_SECONDS: i64 = 5;
/// The most time between a change and its point.
const MAX_SECONDS: i64 = 10 * 60;
/// The older a deployment, the rarer its points: this many, were it of the same age at every one.
const POINTS: i64 = 500;

/// Clients by phase and state.
type Counts = BTreeMap<(i64, i64), i64>;

impl Database {
    /// Notes how the clients of a deployment stand, if that changed and the last point is old enough.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_deployment_history(&self, deployment: i64, now: UnixTime) -> Result<(), sqlx::Error> {
        let head = sqlx::query(
            "SELECT created_at, status, (SELECT MAX(at) FROM deployment_history h WHERE h.deployment_id = d.id) AS \
             last FROM deployments d WHERE id = $1",
        )
        .bind(deployment);
        let Some(head) = head.fetch_optional(&self.pool).await? else { return Ok(()) };
        let (created_at, status): (i64, i64) = (head.try_get("created_at")?, head.try_get("status")?);
        let pause = (now.saturating_sub(created_at) / POINTS).clamp(MIN_SECONDS, MAX_SECONDS);
        let last: Option<i64> = head.try_get("last")?;
        // A cancelled deployment is looked at only when something changed, so that nothing comes later.
        if status != 2 && last.is_some_and(|last| (last..last.saturating_add(pause)).contains(&now)) {
            return Ok(());
        }
        let rows = self.changed_counts(deployment, now).await?;
        if !rows.is_empty() {
            let sql = format!(
                "INSERT INTO deployment_history (deployment_id, at, phase, state, clients) VALUES {} \
                 ON CONFLICT (deployment_id, at, phase, state) DO UPDATE SET clients = excluded.clients",
                number_rows(&rows)
            );
            sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&self.pool).await?;
        }
        Ok(())
    }

    async fn changed_counts(&self, deployment: i64, now: UnixTime) -> Result<Vec<[i64; 5]>, sqlx::Error> {
        let counts = self.history_counts(
            "SELECT phase, COALESCE(state, -1) AS state, COUNT(*) AS clients FROM deployment_clients \
             WHERE deployment_id = $1 GROUP BY phase, COALESCE(state, -1)",
            deployment,
        );
        let last = self.history_counts(
            "SELECT h.phase, h.state, h.clients FROM deployment_history h JOIN \
             (SELECT phase, state, MAX(at) AS at FROM deployment_history WHERE deployment_id = $1 GROUP BY phase, \
             state) AS l ON l.phase = h.phase AND l.state = h.state AND l.at = h.at WHERE h.deployment_id = $1",
            deployment,
        );
        let (counts, last) = (counts.await?, last.await?);
        let vanished = last.keys().filter(|key| !counts.contains_key(*key)).map(|key| (*key, 0));
        let now_and_vanished = counts.iter().map(|(key, clients)| (*key, *clients)).chain(vanished);
        let changed = now_and_vanished.filter(|(key, clients)| last.get(key).copied().unwrap_or_default() != *clients);
        Ok(changed.map(|((phase, state), clients)| [deployment, now, phase, state, clients]).collect())
    }

    async fn history_counts(&self, query: &'static str, deployment: i64) -> Result<Counts, sqlx::Error> {
        let mut counts = Counts::new();
        for row in sqlx::query(query).bind(deployment).fetch_all(&self.pool).await? {
            let state: i64 = row.try_get("state")?;
            counts.insert((row.try_get("phase")?, state.max(SILENT)), row.try_get("clients")?);
        }
        Ok(counts)
    }
}
