//! Components compiled for the engines of clients that cannot compile.

use super::Database;
use farrier_protocol::{Digest, UnixTime};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// What became of compiling a component for an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeArtefact {
    /// The id of the engine.
    pub engine: String,
    /// The digest of the component.
    pub component: Digest,
    /// The artefact, or why there is none.
    pub outcome: Result<StoredArtefact, String>,
    /// When it was compiled.
    pub compiled_at: UnixTime,
}

/// An artefact in the repository's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredArtefact {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub length: u64,
}

impl Database {
    /// What was compiled so far.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn native_artefacts(&self) -> Result<Vec<NativeArtefact>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM native_artefacts").fetch_all(&self.pool).await?;
        rows.iter().map(NativeArtefact::of_row).collect()
    }

    /// Remembers what became of compiling, in the place of what did before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_native_artefact(&self, artefact: &NativeArtefact) -> Result<(), sqlx::Error> {
        let stored = artefact.outcome.as_ref().ok();
        let length = stored.map(|stored| i64::try_from(stored.length)).transpose();
        sqlx::query(
            "INSERT INTO native_artefacts (engine, component, digest, length, compiled_at, error) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (engine, component) DO UPDATE SET digest = excluded.digest, \
             length = excluded.length, compiled_at = excluded.compiled_at, error = excluded.error",
        )
        .bind(&artefact.engine)
        .bind(artefact.component.as_bytes())
        .bind(stored.map(|stored| stored.digest.as_bytes().to_vec()))
        .bind(length.map_err(|error| sqlx::Error::Encode(error.into()))?)
        .bind(artefact.compiled_at)
        .bind(artefact.outcome.as_ref().err().map_or("", String::as_str))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets what became of compiling this component for this engine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_native_artefact(&self, engine: &str, component: &Digest) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM native_artefacts WHERE engine = $1 AND component = $2")
            .bind(engine)
            .bind(component.as_bytes())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

impl NativeArtefact {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let damaged = |what: &str| sqlx::Error::Decode(what.into());
        let digest: Option<Vec<u8>> = row.try_get("digest")?;
        let length: Option<i64> = row.try_get("length")?;
        let outcome = match digest.zip(length) {
            Some((digest, length)) => Ok(StoredArtefact {
                digest: Digest::from_slice(&digest).ok_or_else(|| damaged("an artefact's digest is none"))?,
                length: u64::try_from(length).map_err(|error| sqlx::Error::Decode(error.into()))?,
            }),
            None => Err(row.try_get("error")?),
        };
        Ok(Self {
            engine: row.try_get("engine")?,
            component: Digest::from_slice(row.try_get("component")?)
                .ok_or_else(|| damaged("a component's digest is none"))?,
            outcome,
            compiled_at: row.try_get("compiled_at")?,
        })
    }
}
