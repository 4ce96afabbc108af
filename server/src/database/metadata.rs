//! The repository's signed metadata, and what waits for a signature.

use super::{Database, PublishedRole, assignment_version};
use farrier_protocol::UnixTime;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// The role whose every version is kept: clients follow the chain of roots.
const ROOT: &str = "root";

/// One version of a role's signed metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMetadata {
    /// The role: `root`, `timestamp`, `snapshot`, `targets`, or the name of a delegated one.
    pub role: String,
    /// The version that it states.
    pub version: u64,
    /// When it expires, as it states.
    pub expires_at: UnixTime,
    /// The file, byte for byte as clients get it.
    pub bytes: Vec<u8>,
}

/// Metadata that waits for a signature by a key that is not on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMetadata {
    /// The role, which has one at most.
    pub role: String,
    /// What is to be signed, with the signatures that it has so far: the file as it would be served.
    pub bytes: Vec<u8>,
    /// Since when it waits.
    pub created_at: UnixTime,
    /// For people: what is waiting.
    pub reason: String,
}

impl Database {
    /// The highest version of a role's metadata. The publication made last may still consist of a lower one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn current_metadata(&self, role: &str) -> Result<Option<StoredMetadata>, sqlx::Error> {
        let sql = "SELECT * FROM metadata WHERE role = $1 ORDER BY version DESC LIMIT 1";
        let row = sqlx::query(sql).bind(role).fetch_optional(&self.pool).await?;
        row.as_ref().map(StoredMetadata::of_row).transpose()
    }

    /// The highest version of every role's metadata, all as of one moment, by role.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_metadata(&self) -> Result<Vec<StoredMetadata>, sqlx::Error> {
        let sql =
            "SELECT * FROM metadata m WHERE version = (SELECT MAX(version) FROM metadata n WHERE n.role = m.role)";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        let mut metadata = rows.iter().map(StoredMetadata::of_row).collect::<Result<Vec<_>, _>>()?;
        // Not by the database: engines differ about the order of names.
        metadata.sort_unstable_by(|a, b| a.role.cmp(&b.role));
        Ok(metadata)
    }

    /// The file of this version of a role's metadata, if it is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metadata_version(&self, role: &str, version: u64) -> Result<Option<Vec<u8>>, sqlx::Error> {
        // A version that the database cannot hold is one that it does not hold.
        let Ok(version) = i64::try_from(version) else { return Ok(None) };
        sqlx::query_scalar("SELECT bytes FROM metadata WHERE role = $1 AND version = $2")
            .bind(role)
            .bind(version)
            .fetch_optional(&self.pool)
            .await
    }

    /// Stores new versions of metadata, all or none, and has the repository published with them.
    ///
    /// # Errors
    /// When the database fails, or a role has this version or a later one already.
    pub async fn record_metadata(&self, metadata: &[StoredMetadata]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        insert(&mut transaction, metadata).await?;
        assignment_version::have_published(&mut transaction).await?;
        transaction.commit().await
    }

    /// What waits for a signature, by role.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_metadata(&self) -> Result<Vec<PendingMetadata>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM pending_metadata").fetch_all(&self.pool).await?;
        let mut pending = rows.iter().map(PendingMetadata::of_row).collect::<Result<Vec<_>, _>>()?;
        // Not by the database: engines differ about the order of names.
        pending.sort_unstable_by(|a, b| a.role.cmp(&b.role));
        Ok(pending)
    }

    /// Has this wait for a signature, in the place of what waited before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn store_pending(&self, pending: &PendingMetadata) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO pending_metadata (role, draft, created_at, reason) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (role) DO UPDATE SET draft = excluded.draft, created_at = excluded.created_at, \
             reason = excluded.reason",
        )
        .bind(&pending.role)
        .bind(&pending.bytes)
        .bind(pending.created_at)
        .bind(&pending.reason)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets what waits for a signature of this role, if anything does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_pending(&self, role: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM pending_metadata WHERE role = $1").bind(role).execute(&self.pool).await?;
        Ok(())
    }
}

/// Stores new versions of metadata.
pub(super) async fn insert(connection: &mut AnyConnection, metadata: &[StoredMetadata]) -> Result<(), sqlx::Error> {
    for StoredMetadata { role, version, expires_at, bytes } in metadata {
        let version = i64::try_from(*version).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM metadata WHERE role = $1")
            .bind(role)
            .fetch_one(&mut *connection)
            .await?;
        if newest > Some(version) {
            let problem = format!("version {version} of {role} was overtaken by another process: try again");
            return Err(sqlx::Error::Protocol(problem));
        }
        sqlx::query("INSERT INTO metadata (role, version, expires_at, bytes) VALUES ($1, $2, $3, $4)")
            .bind(role)
            .bind(version)
            .bind(expires_at)
            .bind(bytes)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The highest version of every role, by role.
pub(super) async fn newest_versions(connection: &mut AnyConnection) -> Result<Vec<PublishedRole>, sqlx::Error> {
    let rows = sqlx::query("SELECT role, MAX(version) AS version FROM metadata GROUP BY role");
    let role = |row: &AnyRow| Ok(PublishedRole { name: row.try_get("role")?, version: version(row)? });
    let mut roles =
        rows.fetch_all(connection).await?.iter().map(role).collect::<Result<Vec<PublishedRole>, sqlx::Error>>()?;
    roles.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(roles)
}

fn version(row: &AnyRow) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>("version")?).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Removes what is older than this version of a role. Roots stay.
pub(super) async fn remove_before(connection: &mut AnyConnection, role: &str, version: u64) -> Result<(), sqlx::Error> {
    if role == ROOT {
        return Ok(());
    }
    let version = i64::try_from(version).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("DELETE FROM metadata WHERE role = $1 AND version < $2")
        .bind(role)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

impl StoredMetadata {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            role: row.try_get("role")?,
            version: version(row)?,
            expires_at: row.try_get("expires_at")?,
            bytes: row.try_get("bytes")?,
        })
    }
}

impl PendingMetadata {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            role: row.try_get("role")?,
            bytes: row.try_get("draft")?,
            created_at: row.try_get("created_at")?,
            reason: row.try_get("reason")?,
        })
    }
}
