//! Templates: settings of deployments by name.

use super::Database;
use super::deployments::{json_of, settings_of};
use crate::deployment::settings::DeploymentSettings;
use farrier_protocol::UnixTime;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentTemplate {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The settings.
    pub settings: DeploymentSettings,
    /// When they were last written.
    pub changed_at: i64,
}

impl Database {
    /// The templates, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates(&self) -> Result<Vec<DeploymentTemplate>, sqlx::Error> {
        let query = "SELECT id, name, settings, changed_at FROM deployment_templates ORDER BY name";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(DeploymentTemplate::of_row).collect()
    }

    /// One template; none if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn template(&self, id: i64) -> Result<Option<DeploymentTemplate>, sqlx::Error> {
        let query = "SELECT id, name, settings, changed_at FROM deployment_templates WHERE id = $1";
        let row = sqlx::query(query).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(DeploymentTemplate::of_row).transpose()
    }

    /// Makes a template and returns its row; none if the name is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_template(
        &self,
        name: &str,
        settings: &DeploymentSettings,
        now: UnixTime,
    ) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "INSERT INTO deployment_templates (name, settings, changed_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO NOTHING RETURNING id",
        )
        .bind(name.to_owned())
        .bind(json_of(settings)?)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.try_get("id")).transpose()
    }

    /// Replaces the settings of a template; `false` if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_template(
        &self,
        id: i64,
        settings: &DeploymentSettings,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let changed = sqlx::query("UPDATE deployment_templates SET settings = $1, changed_at = $2 WHERE id = $3")
            .bind(json_of(settings)?)
            .bind(now)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Removes a template; `false` if it does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_template(&self, id: i64) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("DELETE FROM deployment_templates WHERE id = $1").bind(id);
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }
}

impl DeploymentTemplate {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            settings: settings_of(row.try_get("settings")?)?,
            changed_at: row.try_get("changed_at")?,
        })
    }
}
