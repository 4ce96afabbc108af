//! Who is let in: the states of a client's admission, and what an administrator does about them.

use super::rows::storable;
use super::{Database, tokens};
use farrier_protocol::{ClientId, UnixTime};
use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe};

/// Whether the site lets a client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// It gets an assignment, and what it reports counts.
    Admitted = 0,
    /// An administrator has to approve it first.
    WaitsForApproval = 1,
    /// An administrator revoked it. Restored or enrolled again, it is admitted.
    Revoked = 2,
}

impl Admission {
    /// The admission stored as this number.
    pub(super) fn from_number(number: i64) -> Result<Self, sqlx::Error> {
        match number {
            0 => Ok(Self::Admitted),
            1 => Ok(Self::WaitsForApproval),
            2 => Ok(Self::Revoked),
            _ => Err(sqlx::Error::Decode(format!("{number} is no admission of a client").into())),
        }
    }
}

/// A step to another state.
struct Step<'a> {
    /// The states that it is made from, as a condition.
    from: &'static str,
    to: Admission,
    reason: &'a str,
}

impl Database {
    /// Keeps a client out from its next request on; tokens to enrol it again that were made before are void. `false` if
    /// there is no such client, or it is revoked already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_client(&self, client: ClientId, reason: &str, now: UnixTime) -> Result<bool, sqlx::Error> {
        self.step(client, &Step { from: "admission <> 2", to: Admission::Revoked, reason }, now).await
    }

    /// Lets a revoked client in again, with the certificate that it has. `false` if there is no such revoked client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore_client(&self, client: ClientId, now: UnixTime) -> Result<bool, sqlx::Error> {
        self.step(client, &Step { from: "admission = 2", to: Admission::Admitted, reason: "" }, now).await
    }

    /// Lets a client in that waits for it. `false` if there is no such waiting client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approve_client(&self, client: ClientId, now: UnixTime) -> Result<bool, sqlx::Error> {
        self.step(client, &Step { from: "admission = 1", to: Admission::Admitted, reason: "" }, now).await
    }

    /// Forgets a client and everything that it reported. `false` if there is no such client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_client(&self, client: ClientId) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        look_after_deployments(&mut transaction, client).await?;
        let deleted = sqlx::query("DELETE FROM clients WHERE client_id = $1")
            .bind(client.as_bytes())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn step(&self, client: ClientId, step: &Step<'_>, now: UnixTime) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let sql = format!(
            "UPDATE clients SET admission = $1, admission_at = $2, admission_reason = $3 WHERE client_id = $4 AND {}",
            step.from
        );
        let changed = sqlx::query(AssertSqlSafe(sql))
            .bind(step.to as i64)
            .bind(now)
            .bind(storable(step.reason).into_owned())
            .bind(client.as_bytes())
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        if step.to == Admission::Revoked {
            tokens::revoke(&mut transaction, client).await?;
        }
        look_after_deployments(&mut transaction, client).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Phases do not wait for clients that are kept out or gone: the client's deployments are looked at again.
async fn look_after_deployments(connection: &mut AnyConnection, client: ClientId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deployments SET unevaluated = 1 WHERE id IN (SELECT deployment_id FROM deployment_clients \
         WHERE client_id = (SELECT id FROM clients WHERE client_id = $1))",
    )
    .bind(client.as_bytes())
    .execute(connection)
    .await
    .map(|_| ())
}
