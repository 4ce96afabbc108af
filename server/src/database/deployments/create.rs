//! Making a deployment, by an administrator or by an automatic deployment rule.

use super::{json_of, write_event};
use crate::database::update_groups::insert_group;
use crate::database::{CollectionId, Database, assignment_version};
use crate::deployment::settings::{DeploymentSettings, Members, PhaseSettings};
use farrier_protocol::{DeploymentId, UnixTime};
use sqlx::{Any, Row as _, Transaction};

/// A deployment to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRecord<'a> {
    /// Its id.
    pub id: DeploymentId,
    /// Its name.
    pub name: &'a str,
    /// What it deploys.
    pub group: GroupOfRecord<'a>,
    /// To whom.
    pub collection: CollectionId,
    /// How, with absolute times.
    pub settings: DeploymentSettings,
    /// The automatic deployment rule that makes it.
    pub rule: Option<RuleOfRecord<'a>>,
}

/// What a deployment deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupOfRecord<'a> {
    /// A group that exists.
    Existing(i64),
    /// A new group, named like the deployment, of these rows.
    New(&'a [i64]),
}

/// The run of a rule that makes a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleOfRecord<'a> {
    /// The run.
    pub run: &'a RuleRun<'a>,
    /// The rule's name.
    pub name: &'a str,
}

/// A run of an automatic deployment rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRun<'a> {
    /// The rule.
    pub rule: i64,
    /// The synchronization it follows; none if an administrator asked for it.
    pub sync_run: Option<i64>,
    /// What came of it, in words.
    pub outcome: &'a str,
}

impl Database {
    /// Stores a deployment and returns its row; none if it exists already, or if another process ran its rule.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_deployment(
        &self,
        record: &DeploymentRecord<'_>,
        now: UnixTime,
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let exists = sqlx::query("SELECT id FROM deployments WHERE deployment_id = $1").bind(record.id.as_bytes());
        if exists.fetch_optional(&mut *transaction).await?.is_some() {
            return Ok(None);
        }
        if let Some(rule) = &record.rule
            && !crate::database::deployment_rules::write_run(&mut transaction, rule.run, now).await?
        {
            return Ok(None);
        }
        let group = match record.group {
            GroupOfRecord::Existing(group) => group,
            GroupOfRecord::New(updates) => self.new_group(&mut transaction, record, updates, now).await?,
        };
        let row = insert(&mut transaction, record, group, now).await?;
        for (position, phase) in (0..).zip(&record.settings.phases) {
            insert_phase(&mut transaction, row, position, phase).await?;
        }
        let by = match &record.rule {
            Some(rule) => format!("Created by the automatic deployment rule {}.", rule.name),
            None => "Created by the administrator.".to_owned(),
        };
        write_event(&mut transaction, row, &by, now).await?;
        assignment_version::bump_deployed(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(Some(row))
    }

    async fn new_group(
        &self,
        transaction: &mut Transaction<'_, Any>,
        record: &DeploymentRecord<'_>,
        updates: &[i64],
        now: UnixTime,
    ) -> Result<i64, sqlx::Error> {
        let description = match &record.rule {
            Some(rule) => format!("Selected by the automatic deployment rule {}.", rule.name),
            None => "Made with the deployment of the same name.".to_owned(),
        };
        let mut name = record.name.to_owned();
        for number in 2.. {
            if let Some(group) = insert_group(transaction, &name, &description, updates, now).await? {
                return Ok(group);
            }
            name = format!("{} ({number})", record.name);
        }
        Err(sqlx::Error::RowNotFound)
    }
}

async fn insert(
    transaction: &mut Transaction<'_, Any>,
    record: &DeploymentRecord<'_>,
    group: i64,
    now: UnixTime,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO deployments (deployment_id, name, update_group_id, collection_id, deployment_rule_id, settings, \
         status, status_reason, status_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, 0, '', $7, $7) RETURNING id",
    )
    .bind(record.id.as_bytes())
    .bind(record.name.to_owned())
    .bind(group)
    .bind(record.collection.0)
    .bind(record.rule.as_ref().map(|rule| rule.run.rule))
    .bind(json_of(&record.settings)?)
    .bind(now)
    .fetch_one(&mut **transaction)
    .await?;
    row.try_get("id")
}

async fn insert_phase(
    transaction: &mut Transaction<'_, Any>,
    deployment: i64,
    position: i64,
    phase: &PhaseSettings,
) -> Result<(), sqlx::Error> {
    let (buckets, collection) = match phase.members {
        Members::Percent(share) => (Some(i64::from(share.buckets())), None),
        Members::Collection(collection) => (None, Some(collection.0)),
    };
    sqlx::query(
        "INSERT INTO deployment_phases (deployment_id, position, name, buckets_below, collection_id, success_percent, \
         soak_seconds, manual, failure_percent, deadline_after_seconds) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(deployment)
    .bind(position)
    .bind(phase.name.clone())
    .bind(buckets)
    .bind(collection)
    .bind(i64::from(phase.success_percent))
    .bind(i64::from(phase.soak_seconds))
    .bind(i64::from(phase.manual))
    .bind(i64::from(phase.failure_percent))
    .bind(phase.deadline_after_seconds.map(i64::from))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
