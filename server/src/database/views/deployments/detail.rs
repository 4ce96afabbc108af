//! One deployment: its phases, updates and events.

use super::GOES_BEFORE;
use super::counts::EnforcementCounts;
use super::list::{DeploymentRow, SELECT, Stored};
use crate::config::Classification;
use crate::database::views::sql::{Sql, update_id};
use crate::database::views::{as_text, classification, title};
use crate::database::{CollectionId, Database};
use crate::deployment::DeploymentStatus;
use crate::deployment::settings::DeploymentSettings;
use crate::deployment::share::Share;
use crate::deployment::why::{is_left_out, too_many};
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{DeploymentId, UpdateId};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::HashMap;

/// Events that are shown, the newest.
const MAX_EVENTS: i64 = 200;

/// Everything about one deployment but its clients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: DeploymentRow,
    /// What it does; its times are absolute.
    pub settings: DeploymentSettings,
    /// The update group's row.
    pub update_group: i64,
    /// The update group's name.
    pub update_group_name: String,
    /// The phases, in order.
    pub phase_rows: Vec<PhaseRow>,
    /// What is deployed, by name, with what dropped out.
    pub update_rows: Vec<DeployedUpdateRow>,
    /// What happened, the newest first.
    pub events: Vec<EventRow>,
}

/// One phase of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseRow {
    /// Its place, from 0.
    pub position: i64,
    /// Its name.
    pub name: String,
    /// The first so many percent of the fleet, if it is a share.
    pub percent: Option<f64>,
    /// The collection whose members are in it, if it is one.
    pub collection: Option<CollectionId>,
    /// The name of that collection.
    pub collection_name: Option<String>,
    /// Percent of its clients that have to succeed.
    pub success_percent: i64,
    /// How long it is watched after that.
    pub soak_seconds: i64,
    /// Whether an administrator has to let the roll-out go on after it.
    pub manual: bool,
    /// The deployment pauses when more percent of its clients have failed.
    pub failure_percent: i64,
    /// Its own deadline, counted from its opening.
    pub deadline_after_seconds: Option<i64>,
    /// When it opened.
    pub opened_at: Option<i64>,
    /// When it is expected to open, as far as that can be said.
    pub expected_at: Option<i64>,
    /// When it reached its success threshold.
    pub succeeded_at: Option<i64>,
    /// Until when it is watched after that; the next phase opens then.
    pub soaks_until: Option<i64>,
    /// When an administrator let the roll-out go on after it.
    pub approved_at: Option<i64>,
    /// Whether the next phase waits for nothing but an administrator.
    pub waits_for_approval: bool,
    /// Its clients.
    pub clients: EnforcementCounts,
}

/// One update of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeployedUpdateRow {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// What the source package is.
    pub summary: String,
    /// What kind of update.
    pub classification: Classification,
    /// Where it comes from.
    pub suite: String,
    /// Whether something newer replaces it: then it is no longer deployed.
    pub superseded: bool,
    /// Whether it vanished from the upstream: then it is no longer deployed.
    pub expired: bool,
    /// Clients of the deployment by how far they are with it; nobody is silent here.
    pub clients: EnforcementCounts,
}

/// Something that happened to a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// When.
    pub at: i64,
    /// What.
    pub text: String,
}

impl Database {
    /// One deployment; none if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<DeploymentDetail>, sqlx::Error> {
        let mut sql = Sql::new(SELECT);
        sql.push(" WHERE d.deployment_id = ").bind(id);
        let Some(row) = sql.optional(&self.pool).await? else { return Ok(None) };
        let Stored { row_id, mut row, settings, update_group, update_group_name } = Stored::of_row(&row)?;
        let counts = self.enforcement_counts([row_id]).await?.remove(&row_id).unwrap_or_default();
        row.set_clients(counts.values().copied());
        if row.problem.is_none() && row.status != DeploymentStatus::Cancelled {
            row.problem = self.left_out(row_id).await?.then(|| too_many("some have"));
        }
        Ok(Some(DeploymentDetail {
            row,
            settings,
            update_group,
            update_group_name,
            phase_rows: self.phase_rows(row_id, &counts).await?,
            update_rows: self.deployed_updates(row_id).await?,
            events: self.deployment_events(row_id).await?,
        }))
    }

    /// Whether clients have so many newer deployments that they are not told of this one.
    async fn left_out(&self, deployment: i64) -> Result<bool, sqlx::Error> {
        let of_site = format!("SELECT COUNT(*) FROM deployments d JOIN deployments o ON {GOES_BEFORE} WHERE d.id = $1");
        let of_site = sqlx::query_scalar(AssertSqlSafe(of_site)).bind(deployment).fetch_one(&self.pool).await?;
        if !is_left_out(of_site) {
            return Ok(false);
        }
        let of_a_client = format!(
            "SELECT COUNT(*) AS newer FROM deployments d JOIN deployments o ON {GOES_BEFORE} JOIN deployment_clients k ON \
             k.deployment_id = o.id JOIN deployment_clients c ON c.deployment_id = d.id AND c.client_id = k.client_id \
             WHERE d.id = $1 GROUP BY k.client_id ORDER BY newer DESC LIMIT 1"
        );
        let most = sqlx::query_scalar(AssertSqlSafe(of_a_client)).bind(deployment).fetch_optional(&self.pool).await?;
        Ok(most.is_some_and(is_left_out))
    }

    async fn phase_rows(
        &self,
        deployment: i64,
        counts: &HashMap<i64, EnforcementCounts>,
    ) -> Result<Vec<PhaseRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT p.*, c.name AS collection_name FROM deployment_phases p \
             LEFT JOIN collections c ON c.id = p.collection_id WHERE p.deployment_id = $1 ORDER BY p.position",
        )
        .bind(deployment)
        .fetch_all(&self.pool)
        .await?;
        let last = rows.len();
        let of_row = |(index, row)| PhaseRow::of_row(row, index + 1 == last, counts);
        rows.iter().enumerate().map(of_row).collect()
    }

    async fn deployed_updates(&self, deployment: i64) -> Result<Vec<DeployedUpdateRow>, sqlx::Error> {
        let counts = sqlx::query(
            "SELECT s.software_update_id, s.state, COUNT(*) AS clients FROM deployment_states s \
             WHERE s.deployment_id = $1 GROUP BY s.software_update_id, s.state",
        )
        .bind(deployment)
        .fetch_all(&self.pool)
        .await?;
        let mut clients: HashMap<i64, EnforcementCounts> = HashMap::new();
        for row in counts {
            let state = super::list::enforcement_state(row.try_get("state")?)?;
            clients.entry(row.try_get("software_update_id")?).or_default().add(state, row.try_get("clients")?);
        }
        let rows = sqlx::query(
            "SELECT u.id, u.update_id, u.source, u.version, u.summary, u.classification, u.superseded_by, \
             u.expired_at, t.name AS suite FROM deployments d JOIN update_group_updates g ON g.update_group_id = \
             d.update_group_id JOIN software_updates u ON u.id = g.software_update_id JOIN suites t ON t.id = \
             u.suite_id WHERE d.id = $1 ORDER BY u.source, u.name",
        )
        .bind(deployment)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| DeployedUpdateRow::of_row(row, &clients)).collect()
    }

    async fn deployment_events(&self, deployment: i64) -> Result<Vec<EventRow>, sqlx::Error> {
        let query = "SELECT at, text FROM deployment_events WHERE deployment_id = $1 ORDER BY id DESC LIMIT $2";
        let rows = sqlx::query(query).bind(deployment).bind(MAX_EVENTS).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(EventRow { at: row.try_get("at")?, text: row.try_get("text")? })).collect()
    }
}

impl PhaseRow {
    fn of_row(row: &AnyRow, is_last: bool, counts: &HashMap<i64, EnforcementCounts>) -> Result<Self, sqlx::Error> {
        let position = row.try_get("position")?;
        let buckets: Option<i64> = row.try_get("buckets_below")?;
        let share = buckets.and_then(|buckets| u16::try_from(buckets).ok()).and_then(Share::of_buckets);
        let (succeeded_at, soak_seconds): (Option<i64>, i64) =
            (row.try_get("succeeded_at")?, row.try_get("soak_seconds")?);
        let (manual, approved_at) = (row.try_get::<i64, _>("manual")? != 0, row.try_get("approved_at")?);
        Ok(Self {
            position,
            name: row.try_get("name")?,
            percent: share.map(Share::percent),
            collection: row.try_get::<Option<i64>, _>("collection_id")?.map(CollectionId),
            collection_name: row.try_get("collection_name")?,
            success_percent: row.try_get("success_percent")?,
            soak_seconds,
            manual,
            failure_percent: row.try_get("failure_percent")?,
            deadline_after_seconds: row.try_get("deadline_after_seconds")?,
            opened_at: row.try_get("opened_at")?,
            expected_at: row.try_get("expected_at")?,
            succeeded_at,
            soaks_until: succeeded_at.filter(|_| !is_last).map(|succeeded| succeeded.saturating_add(soak_seconds)),
            approved_at,
            waits_for_approval: manual && !is_last && approved_at.is_none() && succeeded_at.is_some(),
            clients: counts.get(&position).copied().unwrap_or_default(),
        })
    }
}

impl DeployedUpdateRow {
    fn of_row(row: &AnyRow, clients: &HashMap<i64, EnforcementCounts>) -> Result<Self, sqlx::Error> {
        let (source, version): (String, String) = (row.try_get("source")?, row.try_get("version")?);
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(&source, &version),
            summary: row.try_get("summary")?,
            classification: classification(row.try_get("classification")?)?,
            suite: row.try_get("suite")?,
            superseded: row.try_get::<Option<i64>, _>("superseded_by")?.is_some(),
            expired: row.try_get::<Option<i64>, _>("expired_at")?.is_some(),
            clients: clients.get(&row.try_get("id")?).copied().unwrap_or_default(),
        })
    }

    /// Clients of which a scan proved that they have it.
    #[must_use]
    pub fn succeeded(&self) -> i64 {
        self.clients.of(EnforcementState::Succeeded)
    }
}
