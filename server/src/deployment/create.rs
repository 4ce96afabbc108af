//! Making a deployment, and looking beforehand at what it would be.

use super::phases::{PhaseProgress, Rollout, Step, steps};
use super::schedule::{earliest, latest};
use super::settings::{DeploymentSettings, FieldError, MAX_NAME_BYTES, Members, Purpose};
use super::{DeploymentError, Deployments};
use crate::database::{CollectionId, DeploymentRecord, GroupOfRecord, GroupedUpdate};
use farrier_protocol::deployment::{MAX_DEPLOYED_UPDATES, bucket};
use farrier_protocol::{DeploymentId, UpdateId};
use serde::Serialize;

/// A deployment that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// Its id, chosen beforehand: who is in which phase follows from it, and a form that is sent twice deploys once.
    pub id: DeploymentId,
    /// Its name.
    pub name: String,
    /// What is deployed.
    pub selection: Selection,
    /// To whom.
    pub collection: CollectionId,
    /// How.
    pub settings: DeploymentSettings,
}

/// What is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// An update group.
    Group(i64),
    /// These updates; they become a group of the deployment's name.
    Updates(Vec<UpdateId>),
}

/// What a deployment would be, if it were made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Everything that is wrong with it.
    pub problems: Vec<FieldError>,
    /// How many updates are deployed.
    pub updates: i64,
    /// The titles of those that are not, because they are superseded or expired.
    pub dropped: Vec<String>,
    /// How many clients it concerns.
    pub clients: i64,
    /// How many of them require at least one of the updates, as of their last scan.
    pub needing: i64,
    /// Bytes of the different files that those need: what the distribution point stores.
    pub content_bytes: i64,
    /// Bytes of what all of them download together.
    pub transfer_bytes: i64,
    /// The phases, in order.
    pub phases: Vec<PhaseReview>,
}

/// A phase, before the deployment is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseReview {
    /// Its name.
    pub name: String,
    /// How many clients are in it.
    pub clients: i64,
    /// When it opens, if the phases before it go well, as far as that can be said.
    pub expected_at: Option<i64>,
}

impl NewDeployment {
    /// An id that nobody else has.
    #[must_use]
    pub fn random_id() -> DeploymentId {
        DeploymentId(rand::random())
    }

    /// Settings may be wrong as they are written, or once they are times: a period cannot be compared with a date before.
    fn problems(&self, now: i64) -> Vec<FieldError> {
        let written = self.settings.problems();
        let mut problems = self.settings.clone().resolved(now).problems();
        problems.retain(|problem| !written.contains(problem));
        problems.extend(written);
        let name = self.name.trim();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            let message = format!("write a name of at most {MAX_NAME_BYTES} bytes");
            problems.push(FieldError { field: "name".to_owned(), message });
        }
        problems
    }
}

impl Deployments {
    /// What the deployment would be.
    ///
    /// # Errors
    /// When a group, an update or a collection does not exist, or the database fails. What is wrong with the settings
    /// is part of the answer.
    pub async fn review(&self, new: &NewDeployment, now: i64) -> Result<Review, DeploymentError> {
        let mut problems = new.problems(now);
        self.check_collections(new).await?;
        let updates = self.selected(&new.selection).await?;
        problems.extend(too_many_or_none(&updates));
        let deployed: Vec<i64> = updates.iter().filter(|update| !update.dropped_out).map(|update| update.row).collect();
        let need = self.database.content_need(&deployed, new.collection).await?;
        Ok(Review {
            problems,
            updates: i64::try_from(deployed.len()).unwrap_or(i64::MAX),
            dropped: updates.into_iter().filter(|update| update.dropped_out).map(|update| update.title).collect(),
            clients: need.clients,
            needing: need.needing,
            content_bytes: need.content_bytes,
            transfer_bytes: need.transfer_bytes,
            phases: self.review_phases(new, now).await?,
        })
    }

    /// Makes the deployment. Its first phase opens at once, if it is available at once. One that exists already under
    /// this id is left as it is.
    ///
    /// # Errors
    /// When something about it is wrong; then nothing is made.
    pub async fn create(&self, new: &NewDeployment, now: i64) -> Result<DeploymentId, DeploymentError> {
        let mut problems = new.problems(now);
        let updates = self.selected(&new.selection).await?;
        problems.extend(too_many_or_none(&updates));
        if !problems.is_empty() {
            return Err(DeploymentError::Invalid(problems));
        }
        self.check_collections(new).await?;
        let rows: Vec<i64> = updates.iter().map(|update| update.row).collect();
        let record = DeploymentRecord {
            id: new.id,
            name: new.name.trim(),
            group: match new.selection {
                Selection::Group(group) => GroupOfRecord::Existing(group),
                Selection::Updates(_) => GroupOfRecord::New(&rows),
            },
            collection: new.collection,
            settings: new.settings.clone().resolved(now),
            rule: None,
        };
        if let Some(row) = self.database.create_deployment(&record, now).await? {
            super::role::look_after(&self.database, row, now).await?;
            self.changed();
            self.signals.content_changed.notify_one();
            tracing::info!(deployment.id = %new.id, deployment.name = record.name, "Deployment created");
        }
        Ok(new.id)
    }

    async fn selected(&self, selection: &Selection) -> Result<Vec<GroupedUpdate>, DeploymentError> {
        match selection {
            Selection::Group(group) => {
                let known = self.database.update_group(*group).await?;
                known.ok_or_else(|| DeploymentError::Unknown(format!("update group {group}")))?;
                Ok(self.database.grouped_updates(*group).await?)
            }
            Selection::Updates(ids) => self.known_updates(ids).await,
        }
    }

    async fn check_collections(&self, new: &NewDeployment) -> Result<(), DeploymentError> {
        let phases = new.settings.phases.iter().filter_map(|phase| match phase.members {
            Members::Collection(collection) => Some(collection),
            Members::Percent(_) => None,
        });
        for collection in std::iter::once(new.collection).chain(phases) {
            if !self.database.collection_exists(collection).await? {
                return Err(DeploymentError::Unknown(format!("collection {collection}")));
            }
        }
        Ok(())
    }

    async fn review_phases(&self, new: &NewDeployment, now: i64) -> Result<Vec<PhaseReview>, DeploymentError> {
        let mut phases: Vec<PhaseReview> = Vec::with_capacity(new.settings.phases.len());
        for phase in &new.settings.phases {
            phases.push(PhaseReview { name: phase.name.clone(), clients: 0, expected_at: None });
        }
        let mut members = Vec::with_capacity(phases.len());
        for phase in &new.settings.phases {
            members.push(match phase.members {
                Members::Percent(share) => Err(share.buckets()),
                Members::Collection(collection) => Ok(self.database.member_ids(collection).await?),
            });
        }
        for client in self.database.member_ids(new.collection).await? {
            let place = members.iter().position(|members| match members {
                Err(buckets) => bucket(new.id, client) < *buckets,
                Ok(clients) => clients.contains(&client),
            });
            if let Some(phase) = place.and_then(|place| phases.get_mut(place)) {
                phase.clients += 1;
            }
        }
        expect(new, &mut phases, now);
        Ok(phases)
    }
}

/// When the phases would open.
fn expect(new: &NewDeployment, phases: &mut [PhaseReview], now: i64) {
    let rollout = Rollout::planned(&new.settings, phases.iter().map(|phase| phase.clients), now);
    for step in steps(&rollout, now) {
        match step {
            Step::Open { phase } => phases[phase].expected_at = Some(now),
            Step::Expect { phase, at } => phases[phase].expected_at = at,
            Step::Succeeded { .. } | Step::FellBack { .. } | Step::Pause { .. } | Step::AcceptFewer { .. } => {}
        }
    }
}

impl Rollout {
    /// As it is when a deployment is made now, with so many clients in its phases.
    #[must_use]
    pub fn planned(settings: &DeploymentSettings, clients: impl IntoIterator<Item = i64>, now: i64) -> Self {
        let phase = |(phase, clients): (&super::settings::PhaseSettings, i64)| PhaseProgress {
            name: phase.name.clone(),
            success_percent: i64::from(phase.success_percent),
            soak_seconds: i64::from(phase.soak_seconds),
            manual: phase.manual,
            failure_percent: i64::from(phase.failure_percent),
            deadline_after_seconds: phase.deadline_after_seconds.map(i64::from),
            clients,
            ..PhaseProgress::default()
        };
        Self {
            active: true,
            settled: true,
            available_at: earliest(settings.available.moment(now)),
            deadline: common_deadline(settings, now),
            phases: settings.phases.iter().zip(clients).map(phase).collect(),
        }
    }
}

/// When a required deployment is due everywhere, the clients' own delays among it.
#[must_use]
pub fn common_deadline(settings: &DeploymentSettings, created_at: i64) -> Option<i64> {
    let required = settings.deadline.filter(|_| settings.purpose == Purpose::Required);
    let delay = i64::from(settings.random_delay_seconds);
    required.map(|deadline| latest(deadline.moment(created_at)).saturating_add(delay))
}

fn too_many_or_none(updates: &[GroupedUpdate]) -> Option<FieldError> {
    let message = match updates.iter().filter(|update| !update.dropped_out).count() {
        0 => "select at least one update that is neither superseded nor expired".to_owned(),
        count if count > MAX_DEPLOYED_UPDATES => {
            format!("{count} updates are more than the {MAX_DEPLOYED_UPDATES} of one deployment: make several")
        }
        _ => return None,
    };
    Some(FieldError { field: "updates".to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::schedule::{Clock, When};
    use jiff::civil::date;

    const NOW: i64 = 1_795_000_000; // 2026-11-18

    fn problems(available: When, deadline: When) -> Vec<String> {
        let settings = DeploymentSettings { available, deadline: Some(deadline), ..DeploymentSettings::default() };
        let selection = Selection::Updates(Vec::new());
        let new = NewDeployment {
            id: DeploymentId([1; 16]),
            name: "November".to_owned(),
            selection,
            collection: crate::database::ALL_CLIENTS,
            settings,
        };
        new.problems(NOW).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_deadline_before_the_deployment_is_available_is_refused_however_the_two_are_written() {
        let (later, soon) =
            (When::At { time: date(2026, 11, 24).at(22, 0, 0, 0), clock: Clock::Utc }, When::After { seconds: 7_200 });
        assert_eq!(problems(later, soon), ["deadline"]);
        assert_eq!(problems(soon, When::After { seconds: 60 }), ["deadline"]);
        assert!(problems(soon, later).is_empty());
    }
}
