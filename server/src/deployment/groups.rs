//! Update groups: what is deployed together.

use super::settings::MAX_NAME_BYTES;
use super::{DeploymentError, Deployments};
use crate::database::GroupedUpdate;
use farrier_protocol::UpdateId;
use farrier_protocol::deployment::MAX_DEPLOYED_UPDATES;

/// An update group that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name, unlike every other group's.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What is in it.
    pub updates: Vec<UpdateId>,
}

impl Deployments {
    /// Makes an update group and returns its row.
    ///
    /// # Errors
    /// When its name is taken or an update does not exist.
    pub async fn create_group(&self, new: &NewGroup, now: i64) -> Result<i64, DeploymentError> {
        let name = checked_name(&new.name)?;
        let rows = self.rows_of(&new.updates).await?;
        let made = self.database.create_update_group(name, new.description.trim(), &rows, now).await?;
        made.ok_or_else(|| taken(name))
    }

    /// Adds updates to a group; what it deploys changes with the next publication.
    ///
    /// # Errors
    /// When the group or an update does not exist, or there are too many.
    pub async fn add_to_group(&self, group: i64, updates: &[UpdateId], now: i64) -> Result<(), DeploymentError> {
        self.existing_group(group).await?;
        let rows = self.rows_of(updates).await?;
        let mut all: Vec<i64> = self.database.grouped_updates(group).await?.iter().map(|update| update.row).collect();
        all.extend(&rows);
        all.sort_unstable();
        all.dedup();
        if all.len() > MAX_DEPLOYED_UPDATES {
            let message = format!("a group has at most {MAX_DEPLOYED_UPDATES} updates: make several");
            return Err(DeploymentError::invalid("updates", message));
        }
        self.database.add_to_update_group(group, &rows, now).await?;
        self.group_changed();
        Ok(())
    }

    /// Takes updates out of a group: clients that have not begun with them do not install them any more.
    ///
    /// # Errors
    /// When the group or an update does not exist.
    pub async fn remove_from_group(&self, group: i64, updates: &[UpdateId], now: i64) -> Result<(), DeploymentError> {
        self.existing_group(group).await?;
        let rows = self.rows_of(updates).await?;
        self.database.remove_from_update_group(group, &rows, now).await?;
        self.group_changed();
        Ok(())
    }

    /// Sets how long the installation of an update of a group may take; none for what the deployment says.
    ///
    /// # Errors
    /// When the group does not have the update.
    pub async fn set_max_run(
        &self,
        group: i64,
        update: UpdateId,
        seconds: Option<u32>,
        now: i64,
    ) -> Result<(), DeploymentError> {
        let allowed = 1..=super::settings::MAX_RUN_SECONDS;
        if seconds.is_some_and(|seconds| !allowed.contains(&seconds)) {
            let message = format!("write 1 to {} seconds", super::settings::MAX_RUN_SECONDS);
            return Err(DeploymentError::invalid("max_run_seconds", message));
        }
        let rows = self.rows_of(&[update]).await?;
        for row in rows {
            if !self.database.set_max_run(group, row, seconds.map(i64::from), now).await? {
                return Err(DeploymentError::Refused(format!("update group {group} does not have that update")));
            }
        }
        self.group_changed();
        Ok(())
    }

    /// Removes a group that no deployment uses.
    ///
    /// # Errors
    /// When there is none, or it is deployed.
    pub async fn delete_group(&self, group: i64) -> Result<(), DeploymentError> {
        self.existing_group(group).await?;
        match self.database.delete_update_group(group).await? {
            true => Ok(()),
            false => Err(DeploymentError::Refused(
                "the update group is deployed: cancel and delete its deployments before".to_owned(),
            )),
        }
    }

    async fn existing_group(&self, group: i64) -> Result<(), DeploymentError> {
        let known = self.database.update_group(group).await?;
        known.map(|_| ()).ok_or_else(|| DeploymentError::Unknown(format!("update group {group}")))
    }

    async fn rows_of(&self, updates: &[UpdateId]) -> Result<Vec<i64>, DeploymentError> {
        if updates.len() > MAX_DEPLOYED_UPDATES {
            let message = format!("a group has at most {MAX_DEPLOYED_UPDATES} updates: make several");
            return Err(DeploymentError::invalid("updates", message));
        }
        Ok(self.known_updates(updates).await?.into_iter().map(|update| update.row).collect())
    }

    /// The updates with these ids, each once; all of them have to exist.
    pub(super) async fn known_updates(&self, ids: &[UpdateId]) -> Result<Vec<GroupedUpdate>, DeploymentError> {
        let known = self.database.updates_with_ids(ids).await?;
        match ids.iter().find(|id| !known.iter().any(|update| update.id == **id)) {
            Some(unknown) => Err(DeploymentError::Unknown(format!("software update {unknown}"))),
            None => Ok(known),
        }
    }

    fn group_changed(&self) {
        self.changed();
        self.signals.content_changed.notify_one();
    }
}

pub(super) fn checked_name(name: &str) -> Result<&str, DeploymentError> {
    let name = name.trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
        let message = format!("write a name of at most {MAX_NAME_BYTES} bytes");
        return Err(DeploymentError::invalid("name", message));
    }
    Ok(name)
}

pub(super) fn taken(name: &str) -> DeploymentError {
    DeploymentError::invalid("name", format!("{name:?} is taken: choose another one"))
}
