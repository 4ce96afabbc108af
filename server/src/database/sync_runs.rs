//! Synchronizations: requested by whoever wants one, taken by the software update point, watched by everybody.

use super::{Database, Engine, now};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};
use std::str::FromStr;

/// A request that nobody takes within this many seconds was not heard: no site process runs.
const HEARD_WITHIN_SECONDS: i64 = 5;
/// A synchronization that gives no sign of life for this many seconds has died with its process.
const ALIVE_WITHIN_SECONDS: i64 = 120;
/// The same while a suite is being imported: nobody writes a sign of life beside SQLite's one writer.
const IMPORTED_WITHIN_SECONDS: i64 = 30 * 60;

/// Who asked for a synchronization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Requester {
    /// A person.
    Administrator,
    /// The clock.
    Schedule,
}

/// How far one suite is within a synchronization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SuitePhase {
    /// Its turn has not come.
    Waiting,
    /// Its release and its indices are being fetched.
    Downloading,
    /// Its indices are being read and stored.
    Importing,
    /// It ended: the upstream has nothing new.
    Unchanged,
    /// It ended: the upstream's release is stored.
    Imported,
    /// It ended: nothing was changed.
    Failed,
}

/// One suite's part of a synchronization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteSync {
    /// The suite's name.
    pub suite: String,
    /// How far it is.
    pub phase: SuitePhase,
    /// Bytes while downloading, packages while importing.
    pub done: i64,
    /// What `done` will be in the end; 0 where nobody knows.
    pub total: i64,
    /// Updates that are new, or came back.
    pub added: i64,
    /// Updates with other content than before.
    pub changed: i64,
    /// Updates that vanished from upstream.
    pub expired: i64,
    /// Why it failed, and what to do.
    pub error: Option<String>,
}

/// One synchronization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncRun {
    /// Its number.
    pub id: i64,
    /// Who asked for it.
    pub requested_by: Requester,
    /// When.
    pub requested_at: i64,
    /// When the software update point took it.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// When what it brought was in the repository.
    pub published_at: Option<i64>,
    /// The suites, by name.
    pub suites: Vec<SuiteSync>,
}

impl Requester {
    const ALL: [Self; 2] = [Self::Administrator, Self::Schedule];

    /// The word as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Schedule => "schedule",
        }
    }
}

impl SuitePhase {
    const ALL: [Self; 6] =
        [Self::Waiting, Self::Downloading, Self::Importing, Self::Unchanged, Self::Imported, Self::Failed];

    /// The word as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Downloading => "downloading",
            Self::Importing => "importing",
            Self::Unchanged => "unchanged",
            Self::Imported => "imported",
            Self::Failed => "failed",
        }
    }
}

/// A stored word that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("the site database holds the unknown word {0:?}: was it written by a newer Farrier?")]
pub struct UnknownWord(String);

impl FromStr for Requester {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|requester| requester.as_str() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl FromStr for SuitePhase {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl SuiteSync {
    /// The part of a suite whose turn has not come.
    #[must_use]
    pub fn waiting(suite: &str) -> Self {
        Self {
            suite: suite.to_owned(),
            phase: SuitePhase::Waiting,
            done: 0,
            total: 0,
            added: 0,
            changed: 0,
            expired: 0,
            error: None,
        }
    }
}

impl SyncRun {
    /// Whether it ended with every suite synchronized.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.finished_at.is_some() && self.suites.iter().all(|suite| suite.phase != SuitePhase::Failed)
    }
}

impl Database {
    /// Requests a synchronization and returns its number; a request that nobody took yet is not doubled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_sync(&self, requested_by: Requester) -> Result<i64, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let open = sqlx::query_scalar("SELECT id FROM sync_runs WHERE started_at IS NULL ORDER BY id LIMIT 1")
            .fetch_optional(&mut *transaction)
            .await?;
        let id = match open {
            Some(id) => id,
            None => {
                sqlx::query_scalar("INSERT INTO sync_runs (requested_by, requested_at) VALUES ($1, $2) RETURNING id")
                    .bind(requested_by.as_str())
                    .bind(now())
                    .fetch_one(&mut *transaction)
                    .await?
            }
        };
        transaction.commit().await?;
        Ok(id)
    }

    /// Takes the oldest request and lists the suites it is about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_sync_run(&self, suites: &[&str]) -> Result<Option<i64>, sqlx::Error> {
        const OLDEST: &str = "SELECT id FROM sync_runs WHERE started_at IS NULL ORDER BY id LIMIT 1";
        let oldest: Option<i64> = sqlx::query_scalar(OLDEST).fetch_optional(&self.pool).await?;
        let Some(run) = oldest else { return Ok(None) };
        let mut transaction = self.begin_write().await?;
        let taken =
            sqlx::query("UPDATE sync_runs SET started_at = $1, seen_at = $1 WHERE id = $2 AND started_at IS NULL")
                .bind(now())
                .bind(run)
                .execute(&mut *transaction)
                .await?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        for suite in suites {
            write_suite(&mut transaction, run, &SuiteSync::waiting(suite)).await?;
        }
        transaction.commit().await?;
        Ok(Some(run))
    }

    /// Records how far a suite is; also the synchronization's sign of life.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_suite_sync(&self, run: i64, suite: &SuiteSync) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        write_suite(&mut transaction, run, suite).await?;
        sqlx::query("UPDATE sync_runs SET seen_at = $1 WHERE id = $2")
            .bind(now())
            .bind(run)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Ends a synchronization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_sync_run(&self, run: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE sync_runs SET finished_at = $1 WHERE id = $2")
            .bind(now())
            .bind(run)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Makes requests again of the synchronizations that a stopped process left unfinished; returns how many. For whoever
    /// is at none itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requeue_interrupted_sync_runs(&self, now: i64) -> Result<u64, sqlx::Error> {
        let is_interrupted = is_interrupted(self.engine(), now);
        // Mostly there is none, and the database's writer is not to be kept from its work.
        let count = format!("SELECT COUNT(*) FROM sync_runs WHERE {is_interrupted}");
        if sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).persistent(false).fetch_one(&self.pool).await? == 0 {
            return Ok(0);
        }
        let mut transaction = self.begin_write().await?;
        let requeue = format!("UPDATE sync_runs SET started_at = NULL, seen_at = NULL WHERE {is_interrupted}");
        let requeued = sqlx::query(AssertSqlSafe(requeue)).persistent(false).execute(&mut *transaction).await?;
        sqlx::query(
            "DELETE FROM sync_run_suites WHERE sync_run_id IN (SELECT id FROM sync_runs WHERE started_at IS NULL)",
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(requeued.rows_affected())
    }

    /// One synchronization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_run(&self, id: i64) -> Result<Option<SyncRun>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM sync_runs WHERE id = $1").bind(id);
        match query.fetch_optional(&self.pool).await? {
            Some(row) => Ok(Some(self.with_suites(&row).await?)),
            None => Ok(None),
        }
    }

    /// The last synchronizations, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_runs(&self, limit: i64) -> Result<Vec<SyncRun>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM sync_runs ORDER BY id DESC LIMIT $1").bind(limit);
        let mut runs = Vec::new();
        for row in query.fetch_all(&self.pool).await? {
            runs.push(self.with_suites(&row).await?);
        }
        Ok(runs)
    }

    /// The last synchronization.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_sync_run(&self) -> Result<Option<SyncRun>, sqlx::Error> {
        Ok(self.sync_runs(1).await?.pop())
    }

    /// The synchronization that is under way.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running_sync_run(&self) -> Result<Option<SyncRun>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM sync_runs WHERE started_at IS NOT NULL AND finished_at IS NULL LIMIT 1");
        match query.fetch_optional(&self.pool).await? {
            Some(row) => Ok(Some(self.with_suites(&row).await?)),
            None => Ok(None),
        }
    }

    /// When a synchronization last ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_sync_finished_at(&self) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT MAX(finished_at) FROM sync_runs").fetch_one(&self.pool).await
    }

    /// Whether a requested synchronization will not be done because no site process runs: nobody takes it although
    /// nobody is, or just was, at another one; or whoever took it has died.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_sync_run_abandoned(&self, id: i64) -> Result<bool, sqlx::Error> {
        self.is_sync_run_abandoned_at(id, now()).await
    }

    /// The same, asked at another time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_sync_run_abandoned_at(&self, id: i64, now: i64) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "SELECT COUNT(*) FROM sync_runs WHERE id = $1 AND finished_at IS NULL AND requested_at < $2 \
             AND NOT EXISTS (SELECT 1 FROM sync_runs busy WHERE busy.finished_at >= $2 \
             OR (busy.finished_at IS NULL AND {}))",
            is_alive("busy", now)
        );
        let abandoned: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .persistent(false)
            .bind(id)
            .bind(now - HEARD_WITHIN_SECONDS)
            .fetch_one(&self.pool)
            .await?;
        Ok(abandoned > 0)
    }

    async fn with_suites(&self, run: &AnyRow) -> Result<SyncRun, sqlx::Error> {
        let id: i64 = run.try_get("id")?;
        let rows = sqlx::query("SELECT * FROM sync_run_suites WHERE sync_run_id = $1 ORDER BY suite")
            .bind(id)
            .fetch_all(&self.pool)
            .await?;
        Ok(SyncRun {
            id,
            requested_by: word(run, "requested_by")?,
            requested_at: run.try_get("requested_at")?,
            started_at: run.try_get("started_at")?,
            finished_at: run.try_get("finished_at")?,
            published_at: run.try_get("published_at")?,
            suites: rows.iter().map(suite_of_row).collect::<Result<_, _>>()?,
        })
    }
}

/// A condition: nobody is at the unfinished synchronization of this row. An SQLite file belongs to one process, so that
/// is any; processes that share a PostgreSQL database tell by the signs of life.
fn is_interrupted(engine: Engine, now: i64) -> String {
    let unfinished = "started_at IS NOT NULL AND finished_at IS NULL";
    match engine {
        Engine::Sqlite => unfinished.to_owned(),
        Engine::Postgres => format!("{unfinished} AND NOT ({})", is_alive("sync_runs", now)),
    }
}

/// A condition: whoever is at the unfinished synchronization of this row gave a sign of life lately.
fn is_alive(row: &str, now: i64) -> String {
    let (alive, importing) = (now - ALIVE_WITHIN_SECONDS, now - IMPORTED_WITHIN_SECONDS);
    format!(
        "{row}.seen_at >= CASE WHEN EXISTS (SELECT 1 FROM sync_run_suites part WHERE part.sync_run_id = {row}.id \
         AND part.phase = 'importing') THEN {importing} ELSE {alive} END"
    )
}

async fn write_suite(
    transaction: &mut sqlx::Transaction<'_, sqlx::Any>,
    run: i64,
    suite: &SuiteSync,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sync_run_suites (sync_run_id, suite, phase, done, total, added, changed, expired, error) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (sync_run_id, suite) DO UPDATE SET \
         phase = excluded.phase, done = excluded.done, total = excluded.total, added = excluded.added, \
         changed = excluded.changed, expired = excluded.expired, error = excluded.error",
    )
    .bind(run)
    .bind(&suite.suite)
    .bind(suite.phase.as_str())
    .bind(suite.done)
    .bind(suite.total)
    .bind(suite.added)
    .bind(suite.changed)
    .bind(suite.expired)
    .bind(&suite.error)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn suite_of_row(row: &AnyRow) -> Result<SuiteSync, sqlx::Error> {
    Ok(SuiteSync {
        suite: row.try_get("suite")?,
        phase: word(row, "phase")?,
        done: row.try_get("done")?,
        total: row.try_get("total")?,
        added: row.try_get("added")?,
        changed: row.try_get("changed")?,
        expired: row.try_get("expired")?,
        error: row.try_get("error")?,
    })
}

fn word<T: FromStr<Err = UnknownWord>>(row: &AnyRow, column: &str) -> Result<T, sqlx::Error> {
    let word: &str = row.try_get(column)?;
    word.parse().map_err(|error: UnknownWord| sqlx::Error::Decode(error.into()))
}
