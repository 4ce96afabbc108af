//! Automatic deployment rules: what they are, when they ran, and what they may select.

use super::deployments::{RuleRun, json_of, settings_of};
use super::rows::Marks;
use super::{CollectionId, Database};
use crate::config::Classification;
use crate::deployment::NewRule;
use crate::deployment::rules::{Candidate, RuleFilter, Severity};
use farrier_protocol::{UnixTime, UpdateId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::HashSet;

/// An automatic deployment rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRule {
    /// Its row.
    pub id: i64,
    /// What an administrator wrote.
    pub definition: NewRule,
    /// The name of the collection it deploys to.
    pub collection_name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last written.
    pub changed_at: i64,
    /// When it last ran.
    pub ran_at: Option<i64>,
    /// What came of it, in words.
    pub outcome: Option<String>,
    /// How many deployments it made.
    pub deployments: i64,
}

/// An update that a rule may select: neither expired nor superseded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCandidate {
    /// Its row.
    pub row: i64,
    /// Which update.
    pub id: UpdateId,
    /// What a filter looks at.
    pub update: Candidate,
}

const SELECT: &str = "SELECT r.*, c.name AS collection_name, \
    (SELECT COUNT(*) FROM deployments d WHERE d.deployment_rule_id = r.id) AS deployments \
    FROM deployment_rules r JOIN collections c ON c.id = r.collection_id";

impl Database {
    /// The rules, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rules(&self) -> Result<Vec<DeploymentRule>, sqlx::Error> {
        let sql = format!("{SELECT} ORDER BY r.name");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(DeploymentRule::of_row).collect()
    }

    /// One rule; none if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rule(&self, id: i64) -> Result<Option<DeploymentRule>, sqlx::Error> {
        let sql = format!("{SELECT} WHERE r.id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(DeploymentRule::of_row).transpose()
    }

    /// The enabled rules that have not seen this synchronization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rules_before(&self, sync_run: i64) -> Result<Vec<DeploymentRule>, sqlx::Error> {
        let sql =
            format!("{SELECT} WHERE r.enabled = 1 AND (r.sync_run_id IS NULL OR r.sync_run_id < $1) ORDER BY r.id");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(sync_run).fetch_all(&self.pool).await?;
        rows.iter().map(DeploymentRule::of_row).collect()
    }

    /// The newest synchronization that has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_finished_sync_run(&self) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT MAX(id) FROM sync_runs WHERE finished_at IS NOT NULL").fetch_one(&self.pool).await
    }

    /// Makes a rule and returns its row; none if the name is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_rule(&self, rule: &NewRule, now: UnixTime) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "INSERT INTO deployment_rules (name, enabled, filter, collection_id, settings, created_at, changed_at, \
             sync_run_id) VALUES ($1, $2, $3, $4, $5, $6, $6, \
             (SELECT MAX(id) FROM sync_runs WHERE finished_at IS NOT NULL)) ON CONFLICT (name) DO NOTHING RETURNING id",
        )
        .bind(rule.name.clone())
        .bind(i64::from(rule.enabled))
        .bind(json_of(&rule.filter)?)
        .bind(rule.collection.0)
        .bind(json_of(&rule.settings)?)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.try_get("id")).transpose()
    }

    /// Replaces a rule; `false` if another one has the name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_rule(&self, id: i64, rule: &NewRule, now: UnixTime) -> Result<bool, sqlx::Error> {
        let changed = sqlx::query(
            "UPDATE deployment_rules SET name = $1, enabled = $2, filter = $3, collection_id = $4, settings = $5, \
             changed_at = $6 WHERE id = $7 AND NOT EXISTS \
             (SELECT 1 FROM deployment_rules o WHERE o.name = $1 AND o.id <> $7)",
        )
        .bind(rule.name.clone())
        .bind(i64::from(rule.enabled))
        .bind(json_of(&rule.filter)?)
        .bind(rule.collection.0)
        .bind(json_of(&rule.settings)?)
        .bind(now)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Removes a rule; `false` if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_rule(&self, id: i64) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("DELETE FROM deployment_rules WHERE id = $1").bind(id);
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Notes a run that deployed nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_rule_run(&self, run: &RuleRun<'_>, now: UnixTime) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        write_run(&mut transaction, run, now).await?;
        transaction.commit().await
    }

    /// The updates (as rows) of all deployments that a rule made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn updates_deployed_by_rule(&self, rule: i64) -> Result<HashSet<i64>, sqlx::Error> {
        let query = "SELECT DISTINCT g.software_update_id FROM deployments d \
                     JOIN update_group_updates g ON g.update_group_id = d.update_group_id \
                     WHERE d.deployment_rule_id = $1";
        let rows: Vec<i64> = sqlx::query_scalar(query).bind(rule).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().collect())
    }

    /// The updates that a rule may select, of these suites (all, if none is named), by name. Not those that can only be
    /// observed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rule_candidates(&self, suites: &[String]) -> Result<Vec<RuleCandidate>, sqlx::Error> {
        let named = match suites.len() {
            0 => String::new(),
            count => format!(" AND s.name IN ({})", Marks::new(self.engine()).list(count)),
        };
        let sql = format!(
            "SELECT u.id, u.update_id, u.source, u.version, u.summary, u.classification, u.priority, u.first_seen_at, \
             s.name AS suite, COALESCE(c.required, 0) AS required FROM software_updates u JOIN suites s ON s.id = \
             u.suite_id LEFT JOIN (SELECT software_update_id, COUNT(*) AS required FROM compliance_states WHERE state \
             = 2 GROUP BY software_update_id) c ON c.software_update_id = u.id \
             WHERE u.expired_at IS NULL AND u.superseded_by IS NULL AND NOT EXISTS (SELECT 1 FROM authored_updates a \
             WHERE a.software_update_id = u.id AND a.installer IS NULL){named} ORDER BY u.name"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let query = suites.iter().fold(query, |query, suite| query.bind(suite.clone()));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(RuleCandidate::of_row).collect()
    }
}

/// Notes a run; `false` if another process noted one of the same synchronization, or the rule is gone.
pub(super) async fn write_run(
    connection: &mut AnyConnection,
    run: &RuleRun<'_>,
    now: UnixTime,
) -> Result<bool, sqlx::Error> {
    let query = match run.sync_run {
        Some(_) => {
            "UPDATE deployment_rules SET ran_at = $1, outcome = $2, sync_run_id = $3 \
             WHERE id = $4 AND (sync_run_id IS NULL OR sync_run_id < $3)"
        }
        None => {
            "UPDATE deployment_rules SET ran_at = $1, outcome = $2, sync_run_id = COALESCE($3, sync_run_id) \
             WHERE id = $4"
        }
    };
    let query = sqlx::query(query).bind(now).bind(run.outcome.to_owned()).bind(run.sync_run).bind(run.rule);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

impl DeploymentRule {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let filter: &str = row.try_get("filter")?;
        let filter: RuleFilter = serde_json::from_str(filter)
            .map_err(|error| sqlx::Error::Decode(format!("a rule's stored filter is damaged: {error}").into()))?;
        Ok(Self {
            id: row.try_get("id")?,
            definition: NewRule {
                name: row.try_get("name")?,
                enabled: row.try_get::<i64, _>("enabled")? != 0,
                filter,
                collection: CollectionId(row.try_get("collection_id")?),
                settings: settings_of(row.try_get("settings")?)?,
            },
            collection_name: row.try_get("collection_name")?,
            created_at: row.try_get("created_at")?,
            changed_at: row.try_get("changed_at")?,
            ran_at: row.try_get("ran_at")?,
            outcome: row.try_get("outcome")?,
            deployments: row.try_get("deployments")?,
        })
    }
}

impl RuleCandidate {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let damaged = |what: &str| sqlx::Error::Decode(format!("an update has {what}").into());
        let (source, version): (String, String) = (row.try_get("source")?, row.try_get("version")?);
        Ok(Self {
            row: row.try_get("id")?,
            id: UpdateId::from_slice(row.try_get("update_id")?).ok_or_else(|| damaged("an id that is none"))?,
            update: Candidate {
                title: format!("{source} {version}"),
                summary: row.try_get("summary")?,
                classification: Classification::from_number(row.try_get("classification")?)
                    .ok_or_else(|| damaged("an unknown classification"))?,
                suite: row.try_get("suite")?,
                severity: Severity::from_number(row.try_get("priority")?)
                    .ok_or_else(|| damaged("an unknown priority"))?,
                first_seen_at: row.try_get("first_seen_at")?,
                required: row.try_get("required")?,
            },
        })
    }
}
