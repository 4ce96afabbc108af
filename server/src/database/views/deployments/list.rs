//! The list of deployments.

use super::counts::EnforcementCounts;
use crate::database::views::sql::Sql;
use crate::database::views::{Page, as_text, unreadable};
use crate::database::{CollectionId, Database};
use crate::deployment::DeploymentStatus;
use crate::deployment::settings::{DeploymentSettings, Purpose};
use farrier_protocol::DeploymentId;
use farrier_protocol::enforcement::EnforcementState;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// Which deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// Words that must all occur in the name of the deployment or of its collection.
    pub search: String,
    /// Only those with this status.
    pub status: Option<DeploymentStatus>,
    /// The page, from 1.
    pub page: i64,
}

impl Default for DeploymentFilter {
    fn default() -> Self {
        Self { search: String::new(), status: None, page: 1 }
    }
}

/// One deployment in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentRow {
    /// Which deployment.
    #[serde(serialize_with = "as_text")]
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// Whether it goes on.
    pub status: DeploymentStatus,
    /// Why it does not, if it does not.
    pub status_reason: String,
    /// Since when.
    pub status_at: i64,
    /// Offered or installed.
    pub purpose: Purpose,
    /// To whom.
    pub collection: CollectionId,
    /// The name of that collection.
    pub collection_name: String,
    /// The automatic deployment rule that made it.
    pub rule: Option<String>,
    /// Updates in its group.
    pub updates: i64,
    /// How many phases are open.
    pub open_phases: i64,
    /// How many it has.
    pub phases: i64,
    /// The name of the last open phase; none before the first.
    pub phase: Option<String>,
    /// Its clients.
    pub clients: EnforcementCounts,
    /// Clients that have it, in percent.
    pub percent_succeeded: Option<f64>,
    /// The deadline in words; empty if there is none for everybody.
    pub deadline: String,
    /// When it was made.
    pub created_at: i64,
    /// Why it is not published, if it cannot be.
    pub problem: Option<String>,
}

/// A deployment's row and what its settings are.
pub(super) struct Stored {
    pub(super) row_id: i64,
    pub(super) row: DeploymentRow,
    pub(super) settings: DeploymentSettings,
    pub(super) update_group: i64,
    pub(super) update_group_name: String,
}

pub(super) const SELECT: &str = "SELECT d.id, d.deployment_id, d.name, d.status, d.status_reason, d.status_at, \
    d.created_at, d.settings, d.problem, d.collection_id, c.name AS collection_name, r.name AS rule_name, \
    d.update_group_id, g.name AS group_name, \
    (SELECT COUNT(*) FROM update_group_updates u WHERE u.update_group_id = d.update_group_id) AS updates, \
    (SELECT COUNT(*) FROM deployment_phases p WHERE p.deployment_id = d.id) AS phases, \
    (SELECT COUNT(*) FROM deployment_phases p WHERE p.deployment_id = d.id AND p.opened_at IS NOT NULL) AS \
    open_phases, (SELECT p.name FROM deployment_phases p WHERE p.deployment_id = d.id AND p.opened_at IS NOT NULL \
     ORDER BY p.position DESC LIMIT 1) AS phase_name \
    FROM deployments d JOIN collections c ON c.id = d.collection_id \
    JOIN update_groups g ON g.id = d.update_group_id LEFT JOIN deployment_rules r ON r.id = d.deployment_rule_id";

impl Database {
    /// A page of the deployments: those that go on first, then the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployments(&self, filter: &DeploymentFilter) -> Result<Page<DeploymentRow>, sqlx::Error> {
        let mut conditions = Sql::new(SELECT);
        condition(&mut conditions, filter);
        conditions
            .push(" ORDER BY CASE d.status WHEN 2 THEN 1 ELSE 0 END, d.created_at DESC, d.id DESC")
            .page(filter.page);
        let rows = conditions.all(&self.pool).await?;
        let mut deployments = rows.iter().map(Stored::of_row).collect::<Result<Vec<_>, _>>()?;
        let counts = self.enforcement_counts(deployments.iter().map(|stored| stored.row_id)).await?;
        for stored in &mut deployments {
            let clients = counts.get(&stored.row_id).into_iter().flat_map(HashMap::values);
            stored.row.set_clients(clients.copied());
        }
        let mut total = Sql::new("SELECT COUNT(*) FROM deployments d JOIN collections c ON c.id = d.collection_id");
        condition(&mut total, filter);
        let total = total.total(&self.pool, filter.page, deployments.len()).await?;
        Ok(Page::new(deployments.into_iter().map(|stored| stored.row).collect(), total, filter.page))
    }

    /// The clients of deployments by deployment, phase and state.
    pub(super) async fn enforcement_counts(
        &self,
        deployments: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, HashMap<i64, EnforcementCounts>>, sqlx::Error> {
        let list = crate::database::rows::number_list(deployments);
        let mut counts: HashMap<i64, HashMap<i64, EnforcementCounts>> = HashMap::new();
        if list.is_empty() {
            return Ok(counts);
        }
        let sql = format!(
            "SELECT deployment_id, phase, state, COUNT(*) AS clients FROM deployment_clients \
             WHERE deployment_id IN ({list}) GROUP BY deployment_id, phase, state"
        );
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_all(&self.pool).await? {
            let phases = counts.entry(row.try_get("deployment_id")?).or_default();
            let state = enforcement_state(row.try_get("state")?)?;
            phases.entry(row.try_get("phase")?).or_default().add(state, row.try_get("clients")?);
        }
        Ok(counts)
    }
}

fn condition(sql: &mut Sql, filter: &DeploymentFilter) {
    sql.push(" WHERE 1 = 1");
    if let Some(status) = filter.status {
        sql.push(" AND d.status = ").bind(status as i64);
    }
    sql.search(&filter.search, &["d.name", "c.name"], None);
}

impl DeploymentRow {
    pub(super) fn set_clients(&mut self, phases: impl IntoIterator<Item = EnforcementCounts>) {
        self.clients = EnforcementCounts::default();
        phases.into_iter().for_each(|counts| self.clients += counts);
        self.percent_succeeded = self.clients.percent_succeeded();
    }
}

impl Stored {
    pub(super) fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let name: String = row.try_get("name")?;
        let settings: String = row.try_get("settings")?;
        let settings: DeploymentSettings = serde_json::from_str(&settings)
            .map_err(|error| unreadable(format!("the settings of deployment {name:?} are damaged: {error}")))?;
        Ok(Self {
            row_id: row.try_get("id")?,
            update_group: row.try_get("update_group_id")?,
            update_group_name: row.try_get("group_name")?,
            row: DeploymentRow {
                id: deployment_id(row, "deployment_id")?,
                status: status(row.try_get("status")?)?,
                status_reason: row.try_get("status_reason")?,
                status_at: row.try_get("status_at")?,
                purpose: settings.purpose,
                collection: CollectionId(row.try_get("collection_id")?),
                collection_name: row.try_get("collection_name")?,
                rule: row.try_get("rule_name")?,
                updates: row.try_get("updates")?,
                open_phases: row.try_get("open_phases")?,
                phases: row.try_get("phases")?,
                phase: row.try_get("phase_name")?,
                clients: EnforcementCounts::default(),
                percent_succeeded: None,
                deadline: settings.deadline.map(|deadline| deadline.to_string()).unwrap_or_default(),
                created_at: row.try_get("created_at")?,
                problem: row.try_get("problem")?,
                name,
            },
            settings,
        })
    }
}

pub(super) fn deployment_id(row: &AnyRow, column: &str) -> Result<DeploymentId, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    DeploymentId::from_slice(&bytes).ok_or_else(|| unreadable(format!("{column} is no id of a deployment")))
}

pub(super) fn status(number: i64) -> Result<DeploymentStatus, sqlx::Error> {
    DeploymentStatus::from_number(number).ok_or_else(|| unreadable(format!("{number} is no status of a deployment")))
}

pub(super) fn enforcement_state(number: Option<i64>) -> Result<Option<EnforcementState>, sqlx::Error> {
    let state = |number| EnforcementState::try_from(number).map_err(|error| unreadable(format!("{number} is {error}")));
    number.map(state).transpose()
}
