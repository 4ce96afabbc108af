//! The clients of a deployment, and the deployments of a client: how far, and why not further.

use super::GOES_BEFORE;
use super::client_progress::ClientProgress;
use super::list::{deployment_id, enforcement_state, status};
use super::update_progress::UpdateProgress;
use crate::database::Database;
use crate::database::views::sql::{Sql, client_id};
use crate::database::views::{Page, as_text, unreadable};
use crate::deployment::DeploymentStatus;
use crate::deployment::settings::{DeploymentSettings, Purpose};
use crate::deployment::why::{ClientStanding, PhaseStanding, sentence};
use farrier_protocol::{ClientId, DeploymentId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Which clients of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentClientFilter {
    /// Words that must all occur in the host name.
    pub search: String,
    /// Only clients that are so far.
    pub state: Option<ClientProgress>,
    /// Only clients in the phase at this place, from 0.
    pub phase: Option<i64>,
    /// The page, from 1.
    pub page: i64,
}

impl Default for DeploymentClientFilter {
    fn default() -> Self {
        Self { search: String::new(), state: None, phase: None, page: 1 }
    }
}

/// One client of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentClientRow {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
    /// What it runs.
    pub operating_system: String,
    /// The place of its phase, from 0.
    pub phase: i64,
    /// The name of its phase.
    pub phase_name: String,
    /// How far it is, with the update that it is least far with.
    pub state: ClientProgress,
    /// Since when it is so far, by the site's clock.
    pub changed_at: i64,
    /// When it was last heard of.
    pub last_contact_at: i64,
    /// Why it is not further, in one sentence.
    pub why: String,
}

/// One client of a deployment with everything it said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentClientDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: DeploymentClientRow,
    /// Each update it said anything of, the least far first.
    pub updates: Vec<UpdateProgress>,
}

/// One deployment of a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientDeploymentRow {
    /// Which deployment.
    #[serde(serialize_with = "as_text")]
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// Whether it goes on.
    pub status: DeploymentStatus,
    /// Offered or installed.
    pub purpose: Purpose,
    /// The deadline in words; empty if there is none for everybody.
    pub deadline: String,
    /// The client's phase, how far it is, and why.
    pub client: DeploymentClientRow,
    /// Each update it said anything of, the least far first.
    pub updates: Vec<UpdateProgress>,
}

/// What is read of a client of a deployment.
fn select() -> Sql {
    Sql::new(&format!(
        "SELECT dc.deployment_id AS deployment_row, dc.client_id AS client_row, d.deployment_id, d.name, d.status, \
         d.status_reason, d.settings, c.client_id, c.hostname, c.operating_system, c.last_contact_at, dc.phase, \
         dc.state, dc.changed_at, p.name AS phase_name, p.opened_at, p.expected_at, \
         (SELECT COUNT(*) FROM deployment_phases o WHERE o.deployment_id = d.id) AS phases, \
         (SELECT COUNT(*) FROM deployment_clients k JOIN deployments o ON o.id = k.deployment_id WHERE k.client_id = \
         dc.client_id AND {GOES_BEFORE}) AS newer, \
         (SELECT COUNT(*) FROM update_group_updates g JOIN software_updates u ON u.id = g.software_update_id JOIN \
         suites s ON s.id = u.suite_id WHERE g.update_group_id = d.update_group_id AND u.expired_at IS NULL AND \
         u.superseded_by IS NULL AND (c.os = '' OR s.distribution = c.os AND s.release = c.release OR EXISTS (SELECT 1 \
         FROM authored_updates a WHERE a.software_update_id = u.id AND (a.plugin <> 'dpkg' OR '\n' || a.scopes LIKE \
         '%\n' || c.os || '/' || c.release || '/%')))) AS concerning \
         FROM deployment_clients dc JOIN deployments d ON d.id = dc.deployment_id JOIN clients c ON c.id = \
         dc.client_id JOIN deployment_phases p ON p.deployment_id = dc.deployment_id AND p.position = dc.phase"
    ))
}

/// Deployment and client, as rows.
pub(super) type Pair = (i64, i64);

/// What [`select`] finds, before the sentence is made.
struct Found {
    pair: Pair,
    deployment: DeploymentId,
    name: String,
    status: DeploymentStatus,
    status_reason: String,
    settings: DeploymentSettings,
    phases: i64,
    opened_at: Option<i64>,
    expected_at: Option<i64>,
    newer: i64,
    concerning: i64,
    row: DeploymentClientRow,
}

impl Database {
    /// A page of a deployment's clients: those with problems first, then by host name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment_clients(
        &self,
        deployment: DeploymentId,
        filter: &DeploymentClientFilter,
        now: i64,
    ) -> Result<Page<DeploymentClientRow>, sqlx::Error> {
        let mut sql = select();
        condition(&mut sql, deployment, filter);
        sql.push(" ORDER BY CASE dc.state WHEN 9 THEN 0 WHEN 10 THEN 1 WHEN 8 THEN 3 WHEN 11 THEN 3 ELSE 2 END, ");
        sql.push("c.hostname, c.id").page(filter.page);
        let clients = self.with_updates(&sql, now).await?;
        let mut total = Sql::new(
            "SELECT COUNT(*) FROM deployment_clients dc JOIN deployments d ON d.id = dc.deployment_id \
             JOIN clients c ON c.id = dc.client_id",
        );
        condition(&mut total, deployment, filter);
        let total = total.total(&self.pool, filter.page, clients.len()).await?;
        Ok(Page::new(clients.into_iter().map(|(found, _)| found.row).collect(), total, filter.page))
    }

    /// One client of a deployment; none if it is not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment_client(
        &self,
        deployment: DeploymentId,
        client: ClientId,
        now: i64,
    ) -> Result<Option<DeploymentClientDetail>, sqlx::Error> {
        let mut sql = select();
        sql.push(" WHERE d.deployment_id = ").bind(deployment).push(" AND c.client_id = ").bind(client);
        let found = self.with_updates(&sql, now).await?.into_iter().next();
        Ok(found.map(|(found, updates)| DeploymentClientDetail { row: found.row, updates }))
    }

    /// The deployments of a client, the newest first; cancelled ones last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_deployments(
        &self,
        client: ClientId,
        now: i64,
    ) -> Result<Vec<ClientDeploymentRow>, sqlx::Error> {
        let mut sql = select();
        sql.push(" WHERE c.client_id = ").bind(client);
        sql.push(" ORDER BY CASE d.status WHEN 2 THEN 1 ELSE 0 END, d.created_at DESC, d.id DESC");
        let found = self.with_updates(&sql, now).await?;
        let row = |(found, updates): (Found, _)| ClientDeploymentRow {
            id: found.deployment,
            name: found.name,
            status: found.status,
            purpose: found.settings.purpose,
            deadline: found.settings.deadline.map(|deadline| deadline.to_string()).unwrap_or_default(),
            client: found.row,
            updates,
        };
        Ok(found.into_iter().map(row).collect())
    }

    /// What the query finds, each with what the client said, and with the sentence.
    async fn with_updates(&self, sql: &Sql, now: i64) -> Result<Vec<(Found, Vec<UpdateProgress>)>, sqlx::Error> {
        let rows = sql.all(&self.pool).await?;
        let mut found = rows.iter().map(Found::of_row).collect::<Result<Vec<_>, _>>()?;
        let pairs: Vec<Pair> = found.iter().map(|found| found.pair).collect();
        let mut updates = self.update_progress(&pairs).await?;
        let mut complete = Vec::with_capacity(found.len());
        for mut found in found.drain(..) {
            let updates = updates.remove(&found.pair).unwrap_or_default();
            found.row.why = found.why(&updates, now);
            complete.push((found, updates));
        }
        Ok(complete)
    }
}

fn condition(sql: &mut Sql, deployment: DeploymentId, filter: &DeploymentClientFilter) {
    sql.push(" WHERE d.deployment_id = ").bind(deployment);
    match filter.state {
        Some(ClientProgress::Silent) => sql.push(" AND dc.state IS NULL"),
        Some(ClientProgress::In(state)) => sql.push(" AND dc.state = ").bind(state as i64),
        None => sql,
    };
    if let Some(phase) = filter.phase {
        sql.push(" AND dc.phase = ").bind(phase);
    }
    sql.search(&filter.search, &["c.hostname"], None);
}

impl Found {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let settings: String = row.try_get("settings")?;
        Ok(Self {
            pair: (row.try_get("deployment_row")?, row.try_get("client_row")?),
            deployment: deployment_id(row, "deployment_id")?,
            name: row.try_get("name")?,
            status: status(row.try_get("status")?)?,
            status_reason: row.try_get("status_reason")?,
            settings: serde_json::from_str(&settings)
                .map_err(|error| unreadable(format!("the settings of a deployment are damaged: {error}")))?,
            phases: row.try_get("phases")?,
            opened_at: row.try_get("opened_at")?,
            expected_at: row.try_get("expected_at")?,
            newer: row.try_get("newer")?,
            concerning: row.try_get("concerning")?,
            row: DeploymentClientRow {
                id: client_id(row, "client_id")?,
                hostname: row.try_get("hostname")?,
                operating_system: row.try_get("operating_system")?,
                phase: row.try_get("phase")?,
                phase_name: row.try_get("phase_name")?,
                state: enforcement_state(row.try_get("state")?)?.into(),
                changed_at: row.try_get("changed_at")?,
                last_contact_at: row.try_get("last_contact_at")?,
                why: String::new(),
            },
        })
    }

    fn why(&self, updates: &[UpdateProgress], now: i64) -> String {
        let standing = ClientStanding {
            status: self.status,
            status_reason: &self.status_reason,
            purpose: self.settings.purpose,
            phase: PhaseStanding {
                position: self.row.phase,
                of: self.phases,
                name: &self.row.phase_name,
                opened_at: self.opened_at,
                expected_at: self.expected_at,
            },
            state: self.row.state.state(),
            update: updates.first().map(UpdateProgress::standing),
            is_concerned: self.concerning > 0,
            newer: self.newer,
            last_contact_at: self.row.last_contact_at,
        };
        sentence(&standing, now)
    }
}
