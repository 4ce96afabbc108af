//! How far clients are with each update of a deployment.

use super::client_rows::Pair;
use super::list::enforcement_state;
use crate::database::rows::number_list;
use crate::database::views::sql::update_id;
use crate::database::views::{as_text, title, unreadable};
use crate::database::{Database, ROWS_PER_STATEMENT};
use crate::deployment::why::UpdateStanding;
use farrier_protocol::UpdateId;
use farrier_protocol::enforcement::EnforcementState;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::HashMap;

/// How far a client is with one update of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateProgress {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// How far.
    #[serde(serialize_with = "as_text")]
    pub state: EnforcementState,
    /// Since when, by the client's clock.
    pub since: i64,
    /// How often the installer was started.
    pub installations: i64,
    /// Bytes still to be downloaded.
    pub bytes_left: i64,
    /// Until when the client waits.
    pub until: Option<i64>,
    /// Why, in the client's words.
    pub reason: String,
}

impl Database {
    /// What clients said of the updates of deployments, the least far first.
    pub(super) async fn update_progress(
        &self,
        pairs: &[Pair],
    ) -> Result<HashMap<Pair, Vec<UpdateProgress>>, sqlx::Error> {
        let mut updates: HashMap<Pair, Vec<UpdateProgress>> = HashMap::new();
        for pairs in pairs.chunks(ROWS_PER_STATEMENT) {
            let deployments = number_list(pairs.iter().map(|(deployment, _)| *deployment));
            let clients = number_list(pairs.iter().map(|(_, client)| *client));
            let sql = format!(
                "SELECT s.deployment_id, s.client_id, u.update_id, u.source, u.version, s.state, s.since, \
                 s.installations, s.bytes_left, s.until, s.reason FROM deployment_states s \
                 JOIN software_updates u ON u.id = s.software_update_id \
                 WHERE s.deployment_id IN ({deployments}) AND s.client_id IN ({clients})"
            );
            for row in sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&self.pool).await? {
                let pair = (row.try_get("deployment_id")?, row.try_get("client_id")?);
                updates.entry(pair).or_default().push(UpdateProgress::of_row(&row)?);
            }
        }
        for updates in updates.values_mut() {
            updates.sort_by_cached_key(|update| (crate::deployment::rank(update.state), update.title.clone()));
        }
        Ok(updates)
    }
}

impl UpdateProgress {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let (source, version): (String, String) = (row.try_get("source")?, row.try_get("version")?);
        let state = enforcement_state(Some(row.try_get("state")?))?;
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(&source, &version),
            state: state.ok_or_else(|| unreadable("an update of a deployment has no state".to_owned()))?,
            since: row.try_get("since")?,
            installations: row.try_get("installations")?,
            bytes_left: row.try_get("bytes_left")?,
            until: row.try_get("until")?,
            reason: row.try_get("reason")?,
        })
    }

    pub(super) fn standing(&self) -> UpdateStanding<'_> {
        UpdateStanding {
            title: &self.title,
            state: self.state,
            since: self.since,
            installations: self.installations,
            bytes_left: self.bytes_left,
            until: self.until,
            reason: &self.reason,
        }
    }
}
