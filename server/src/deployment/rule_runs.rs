//! Automatic deployment rules: writing them, looking at what they select, and running them.

use super::groups::{checked_name, taken};
use super::rules::RuleFilter;
use super::settings::DeploymentSettings;
use super::{DeploymentError, Deployments, NewDeployment, words};
use crate::database::{
    CollectionId, DeploymentRecord, DeploymentRule, GroupOfRecord, RuleCandidate, RuleOfRecord, RuleRun,
};
use farrier_protocol::deployment::MAX_DEPLOYED_UPDATES;

/// A rule as an administrator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// Its name, unlike every other rule's.
    pub name: String,
    /// Whether it runs after every synchronization.
    pub enabled: bool,
    /// What it deploys.
    pub filter: RuleFilter,
    /// To whom.
    pub collection: CollectionId,
    /// How.
    pub settings: DeploymentSettings,
}

impl Deployments {
    /// Makes a rule and returns its row. It runs after the next synchronization.
    ///
    /// # Errors
    /// When something about it is wrong.
    pub async fn create_rule(&self, new: &NewRule, now: i64) -> Result<i64, DeploymentError> {
        let rule = self.checked_rule(new).await?;
        self.database.create_rule(&rule, now).await?.ok_or_else(|| taken(&rule.name))
    }

    /// Replaces a rule. What it deployed stays as it is.
    ///
    /// # Errors
    /// When there is none, or something about the new one is wrong.
    pub async fn change_rule(&self, id: i64, new: &NewRule, now: i64) -> Result<(), DeploymentError> {
        let rule = self.checked_rule(new).await?;
        self.existing_rule(id).await?;
        match self.database.change_rule(id, &rule, now).await? {
            true => Ok(()),
            false => Err(taken(&rule.name)),
        }
    }

    /// Removes a rule. What it deployed stays.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_rule(&self, id: i64) -> Result<(), DeploymentError> {
        match self.database.delete_rule(id).await? {
            true => Ok(()),
            false => Err(unknown(id)),
        }
    }

    /// What a filter selects now, by title, whether it was deployed before or not.
    ///
    /// # Errors
    /// When the filter makes no sense, or the database fails.
    pub async fn preview_rule(&self, filter: &RuleFilter, now: i64) -> Result<Vec<RuleCandidate>, DeploymentError> {
        self.check_filter(filter).await?;
        Ok(self.candidates(filter, now).await?)
    }

    /// Runs a rule now, enabled or not; returns what came of it, in words.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn run_rule(&self, id: i64, now: i64) -> Result<String, DeploymentError> {
        let rule = self.existing_rule(id).await?;
        self.run(&rule, None, now).await
    }

    /// Runs every enabled rule that has not seen the newest synchronization; returns whether any deployed something.
    ///
    /// # Errors
    /// When the database fails. A rule that cannot be run says so in its outcome.
    pub async fn run_rules(&self, now: i64) -> Result<bool, DeploymentError> {
        let Some(sync_run) = self.database.newest_finished_sync_run().await? else { return Ok(false) };
        let mut ran = false;
        for rule in self.database.rules_before(sync_run).await? {
            let outcome = self.run(&rule, Some(sync_run), now).await?;
            tracing::info!(rule.name = rule.definition.name, outcome, "Automatic deployment rule ran");
            ran = true;
        }
        Ok(ran)
    }

    async fn run(&self, rule: &DeploymentRule, sync_run: Option<i64>, now: i64) -> Result<String, DeploymentError> {
        let selected = self.candidates(&rule.definition.filter, now).await?;
        let before = self.database.updates_deployed_by_rule(rule.id).await?;
        let new: Vec<i64> = selected.iter().map(|update| update.row).filter(|row| !before.contains(row)).collect();
        let problems = rule.definition.settings.problems();
        let (outcome, deploys) = match new.len() {
            0 => (format!("Selects {}, all deployed before.", updates(selected.len())), false),
            count if count > MAX_DEPLOYED_UPDATES => (
                format!("Deploys nothing: {} are more than {MAX_DEPLOYED_UPDATES}. Narrow the filter.", updates(count)),
                false,
            ),
            _ if !problems.is_empty() => (format!("Deploys nothing: {}.", DeploymentError::Invalid(problems)), false),
            count => (format!("Deployed {}.", updates(count)), true),
        };
        let run = RuleRun { rule: rule.id, sync_run, outcome: &outcome };
        if !deploys {
            self.database.record_rule_run(&run, now).await?;
            return Ok(outcome);
        }
        let name = format!("{} {}", rule.definition.name, words::time(now));
        let record = DeploymentRecord {
            id: NewDeployment::random_id(),
            name: &name,
            group: GroupOfRecord::New(&new),
            collection: rule.definition.collection,
            settings: rule.definition.settings.clone().resolved(now),
            rule: Some(RuleOfRecord { run: &run, name: &rule.definition.name }),
        };
        let Some(row) = self.database.create_deployment(&record, now).await? else {
            return Ok("Another process of this site ran it.".to_owned());
        };
        super::role::look_after(&self.database, row, now).await?;
        self.changed();
        self.signals.content_changed.notify_one();
        Ok(outcome)
    }

    async fn candidates(&self, filter: &RuleFilter, now: i64) -> Result<Vec<RuleCandidate>, sqlx::Error> {
        let mut candidates = self.database.rule_candidates(&filter.suites).await?;
        candidates.retain(|candidate| filter.selects(&candidate.update, now));
        Ok(candidates)
    }

    async fn check_filter(&self, filter: &RuleFilter) -> Result<(), DeploymentError> {
        let suites = self.database.suite_names().await?;
        match filter.problems(&suites) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(DeploymentError::Invalid(problems)),
        }
    }

    async fn checked_rule(&self, new: &NewRule) -> Result<NewRule, DeploymentError> {
        let name = checked_name(&new.name)?.to_owned();
        self.check_filter(&new.filter).await?;
        super::templates::checked(&new.settings)?;
        if !self.database.collection_exists(new.collection).await? {
            return Err(DeploymentError::Unknown(format!("collection {}", new.collection)));
        }
        Ok(NewRule { name, ..new.clone() })
    }

    async fn existing_rule(&self, id: i64) -> Result<DeploymentRule, DeploymentError> {
        self.database.rule(id).await?.ok_or_else(|| unknown(id))
    }
}

fn updates(count: usize) -> String {
    words::counted(u64::try_from(count).unwrap_or(u64::MAX), "update")
}

fn unknown(id: i64) -> DeploymentError {
    DeploymentError::Unknown(format!("automatic deployment rule {id}"))
}
