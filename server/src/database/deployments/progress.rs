//! The phases of a deployment: reading how they stand, and writing what follows from it.

use super::{mark_unevaluated, settings_of, write_event};
use crate::database::{Database, Engine, assignment_version};
use crate::deployment::DeploymentStatus;
use crate::deployment::common_deadline;
use crate::deployment::phases::{PhaseProgress, Rollout, Step};
use crate::deployment::schedule::earliest;
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _, Transaction};

impl Database {
    /// Takes the steps that `decide` finds for a deployment. Who decides has the deployment for itself until they are
    /// written, so that several processes of a site take each step once.
    ///
    /// # Errors
    /// When the database fails; then no step was taken.
    pub async fn roll_out(
        &self,
        deployment: i64,
        now: UnixTime,
        decide: impl Fn(&Rollout) -> Vec<Step>,
    ) -> Result<(), sqlx::Error> {
        // Before it is read: what changes from here on is looked at again.
        sqlx::query("UPDATE deployments SET unevaluated = 0 WHERE id = $1 AND unevaluated = 1")
            .bind(deployment)
            .execute(&self.pool)
            .await?;
        let mut connection = self.pool.acquire().await?;
        let rollout = read(&mut connection, deployment, "").await?;
        if rollout.as_ref().is_some_and(|rollout| rollout.active && !rollout.settled) {
            mark_unevaluated(&mut connection, [deployment]).await?;
        }
        drop(connection);
        let steps = rollout.map(|rollout| decide(&rollout)).unwrap_or_default();
        if steps.is_empty() {
            return Ok(());
        }
        if steps.iter().any(|step| matches!(step, Step::Open { .. })) {
            // Another process may have evaluated the collections, and not have got to the clients of deployments yet:
            // what looks like a phase of nobody shall not be passed over.
            self.update_deployment_clients(deployment, now).await?;
        }
        let mut transaction = self.begin_write().await?;
        let lock = if self.engine() == Engine::Postgres { " FOR NO KEY UPDATE" } else { "" };
        let Some(rollout) = read(&mut transaction, deployment, lock).await? else { return Ok(()) };
        let steps = decide(&rollout);
        for step in &steps {
            write(&mut transaction, deployment, step, now).await?;
            if let Some(event) = step.event(&rollout) {
                write_event(&mut transaction, deployment, &event, now).await?;
            }
        }
        if !steps.is_empty() {
            assignment_version::bump(&mut transaction, now).await?;
        }
        transaction.commit().await
    }
}

/// How a deployment stands; none if it does not exist.
async fn read(connection: &mut AnyConnection, deployment: i64, lock: &str) -> Result<Option<Rollout>, sqlx::Error> {
    let sql = format!(
        "SELECT d.status, d.settings, d.created_at, (SELECT COUNT(*) FROM collections WHERE unevaluated = 1) + \
         (SELECT COUNT(*) FROM clients WHERE unevaluated = 1) AS unsettled FROM deployments d WHERE d.id = $1{lock}"
    );
    let head = sqlx::query(AssertSqlSafe(sql)).bind(deployment).fetch_optional(&mut *connection).await?;
    let Some(head) = head else { return Ok(None) };
    let settings = settings_of(head.try_get("settings")?)?;
    let created_at = head.try_get("created_at")?;
    let rows = sqlx::query("SELECT * FROM deployment_phases WHERE deployment_id = $1 ORDER BY position")
        .bind(deployment)
        .fetch_all(&mut *connection)
        .await?;
    let mut phases = rows.iter().map(phase_of_row).collect::<Result<Vec<_>, _>>()?;
    count_clients(connection, deployment, &mut phases).await?;
    Ok(Some(Rollout {
        active: head.try_get::<i64, _>("status")? == DeploymentStatus::Active as i64,
        settled: head.try_get::<i64, _>("unsettled")? == 0,
        available_at: earliest(settings.available.moment(created_at)),
        deadline: common_deadline(&settings, created_at),
        phases,
    }))
}

/// Clients that are kept out, and clients that were not heard of and that no update of the deployment is for, have nothing
/// to say of it: they do not count, or no phase with some of them would ever succeed. What the scopes of policies mean
/// only their plugins know, but for those of dpkg, which begin with distribution and release: the others are taken to be
/// for everybody.
async fn count_clients(
    connection: &mut AnyConnection,
    deployment: i64,
    phases: &mut [PhaseProgress],
) -> Result<(), sqlx::Error> {
    let counts = sqlx::query(
        "WITH scopes AS MATERIALIZED (SELECT DISTINCT s.distribution, s.release FROM deployments d JOIN \
         update_group_updates g ON g.update_group_id = d.update_group_id JOIN software_updates u ON u.id = \
         g.software_update_id JOIN suites s ON s.id = u.suite_id WHERE d.id = $1 AND u.expired_at IS NULL AND \
         u.superseded_by IS NULL), \
         authored AS MATERIALIZED (SELECT a.plugin, a.scopes FROM deployments d JOIN update_group_updates g ON \
         g.update_group_id = d.update_group_id JOIN software_updates u ON u.id = g.software_update_id JOIN \
         authored_updates a ON a.software_update_id = u.id WHERE d.id = $1 AND u.expired_at IS NULL AND \
         u.superseded_by IS NULL) \
         SELECT k.phase, k.state, COUNT(*) AS clients FROM deployment_clients k WHERE k.deployment_id = $1 AND \
         k.client_id NOT IN (SELECT id FROM clients WHERE admission <> 0) AND \
         (k.state IS NOT NULL OR EXISTS (SELECT 1 FROM clients c WHERE c.id = k.client_id AND (c.os = '' OR EXISTS \
         (SELECT 1 FROM scopes WHERE scopes.distribution = c.os AND scopes.release = c.release) OR EXISTS \
         (SELECT 1 FROM authored a WHERE a.plugin <> 'dpkg' OR '\n' || a.scopes LIKE '%\n' || c.os || '/' || c.release \
         || '/%')))) GROUP BY k.phase, k.state",
    )
    .bind(deployment)
    .fetch_all(connection)
    .await?;
    for row in counts {
        let position = usize::try_from(row.try_get::<i64, _>("phase")?).unwrap_or(usize::MAX);
        let Some(phase) = phases.get_mut(position) else { continue };
        let clients: i64 = row.try_get("clients")?;
        phase.clients += clients;
        let state = row.try_get::<Option<i64>, _>("state")?.map(EnforcementState::try_from).transpose();
        match state.map_err(|error| sqlx::Error::Decode(error.to_string().into()))? {
            Some(EnforcementState::Succeeded | EnforcementState::Superseded) => phase.succeeded += clients,
            Some(EnforcementState::Failed | EnforcementState::RolledBack) => phase.failed += clients,
            _ => {}
        }
    }
    Ok(())
}

fn phase_of_row(row: &AnyRow) -> Result<PhaseProgress, sqlx::Error> {
    Ok(PhaseProgress {
        name: row.try_get("name")?,
        success_percent: row.try_get("success_percent")?,
        soak_seconds: row.try_get("soak_seconds")?,
        manual: row.try_get::<i64, _>("manual")? != 0,
        failure_percent: row.try_get("failure_percent")?,
        deadline_after_seconds: row.try_get("deadline_after_seconds")?,
        clients: 0,
        succeeded: 0,
        failed: 0,
        opened_at: row.try_get("opened_at")?,
        expected_at: row.try_get("expected_at")?,
        succeeded_at: row.try_get("succeeded_at")?,
        approved_at: row.try_get("approved_at")?,
        accepted_failures: row.try_get("accepted_failures")?,
    })
}

async fn write(
    transaction: &mut Transaction<'_, Any>,
    deployment: i64,
    step: &Step,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let (set, value, phase) = match step {
        Step::Open { phase } => ("opened_at = $1, expected_at = NULL", Some(now), phase),
        Step::Succeeded { phase } => ("succeeded_at = $1", Some(now), phase),
        Step::FellBack { phase } => ("succeeded_at = $1", None, phase),
        Step::AcceptFewer { phase, failures } => ("accepted_failures = $1", Some(*failures), phase),
        Step::Expect { phase, at } => ("expected_at = $1", *at, phase),
        Step::Pause { reason } => return pause(transaction, deployment, reason, now).await,
    };
    let sql = format!("UPDATE deployment_phases SET {set} WHERE deployment_id = $2 AND position = $3");
    sqlx::query(AssertSqlSafe(sql))
        .bind(value)
        .bind(deployment)
        .bind(i64::try_from(*phase).unwrap_or(i64::MAX))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn pause(
    transaction: &mut Transaction<'_, Any>,
    deployment: i64,
    reason: &str,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE deployments SET status = $1, status_reason = $2, status_at = $3 WHERE id = $4 AND status = $5")
        .bind(DeploymentStatus::Paused as i64)
        .bind(reason.to_owned())
        .bind(now)
        .bind(deployment)
        .bind(DeploymentStatus::Active as i64)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
