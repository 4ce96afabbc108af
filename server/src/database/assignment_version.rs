//! The version of what clients are assigned: grows with everything that changes it, publications aside.

use super::Database;
use farrier_protocol::UnixTime;
use sqlx::{AnyConnection, Row as _};

/// How far the assignments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignmentVersion {
    /// Grows with every change.
    pub version: u64,
    /// When that was.
    pub changed_at: UnixTime,
    /// Grows when what is deployed changed: the policies have to be published again.
    pub deployed: i64,
}

/// Makes it grow, in the same transaction as what changed, and as the last thing in it: whoever changes anything waits
/// for this row. It never falls behind the clock, so that a site restored from a backup gives out no version a second
/// time.
pub(super) async fn bump(connection: &mut AnyConnection, now: UnixTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE assignment_version SET version = CASE WHEN version >= $1 THEN version + 1 ELSE $1 END, changed_at = $1 \
         WHERE id = 1",
    )
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same where what is deployed changed, too.
pub(super) async fn bump_deployed(connection: &mut AnyConnection, now: UnixTime) -> Result<(), sqlx::Error> {
    bump(&mut *connection, now).await?;
    have_published(connection).await
}

/// Has the repository published, although clients are assigned what they were assigned before.
pub(super) async fn have_published(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE assignment_version SET deployed_version = deployed_version + 1 WHERE id = 1")
        .execute(connection)
        .await?;
    Ok(())
}

impl Database {
    /// How far the assignments are, publications aside.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignment_version(&self) -> Result<AssignmentVersion, sqlx::Error> {
        let row = sqlx::query("SELECT version, changed_at, deployed_version FROM assignment_version WHERE id = 1")
            .fetch_one(&self.pool)
            .await?;
        Ok(AssignmentVersion {
            version: u64::try_from(row.try_get::<i64, _>("version")?)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            changed_at: row.try_get("changed_at")?,
            deployed: row.try_get("deployed_version")?,
        })
    }
}
