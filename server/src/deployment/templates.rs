//! Templates: settings by name, which the wizard, rules and the command line begin with.

use super::groups::{checked_name, taken};
use super::settings::DeploymentSettings;
use super::{DeploymentError, Deployments};

impl Deployments {
    /// Makes a template and returns its row.
    ///
    /// # Errors
    /// When its name is taken, or the settings could not be deployed.
    pub async fn create_template(
        &self,
        name: &str,
        settings: &DeploymentSettings,
        now: i64,
    ) -> Result<i64, DeploymentError> {
        let name = checked_name(name)?;
        checked(settings)?;
        self.database.create_template(name, settings, now).await?.ok_or_else(|| taken(name))
    }

    /// Replaces the settings of a template. What was deployed with it stays as it is.
    ///
    /// # Errors
    /// When there is none, or the settings could not be deployed.
    pub async fn change_template(
        &self,
        template: i64,
        settings: &DeploymentSettings,
        now: i64,
    ) -> Result<(), DeploymentError> {
        checked(settings)?;
        match self.database.change_template(template, settings, now).await? {
            true => Ok(()),
            false => Err(DeploymentError::Unknown(format!("template {template}"))),
        }
    }

    /// Removes a template.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_template(&self, template: i64) -> Result<(), DeploymentError> {
        match self.database.delete_template(template).await? {
            true => Ok(()),
            false => Err(DeploymentError::Unknown(format!("template {template}"))),
        }
    }
}

pub(super) fn checked(settings: &DeploymentSettings) -> Result<(), DeploymentError> {
    match settings.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(DeploymentError::Invalid(problems)),
    }
}
