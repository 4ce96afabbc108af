//! Opening the database and bringing its tables up to date.

use super::Publication;
use crate::plugins::rollout::RollOut;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a query may wait for a connection, or for SQLite's one writer.
const BUSY_SECONDS: u64 = 30;
const POSTGRES_CONNECTIONS: u32 = 16;
const SQLITE_CONNECTIONS: u32 = 4;

/// Which engine runs the site database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded: one file, one process.
    Sqlite,
    /// A server, for any number of processes.
    Postgres,
}

/// Why the database cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL names no engine we know.
    #[error("{url:?} is no database: write sqlite://FILE or postgres://USER@HOST/NAME")]
    UnknownEngine {
        /// What was configured, without its password.
        url: String,
    },
    /// It cannot be opened.
    #[error("the site database {url} cannot be opened")]
    Open {
        /// What was configured, without its password.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("the tables of the site database {url} cannot be brought up to date")]
    Migrate {
        /// What was configured, without its password.
        url: String,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
}

/// A roll-out with the version of the assignments it is of.
pub(super) type VersionedRollOut = (u64, Arc<RollOut>);

/// The site database: a pool of connections, cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) pool: AnyPool,
    engine: Engine,
    /// The publication that was read last.
    pub(super) publication: Arc<Mutex<Option<Arc<Publication>>>>,
    /// Which plugins are for whom, as of a version of the assignments.
    pub(super) roll_out: Arc<Mutex<Option<VersionedRollOut>>>,
}

impl Database {
    /// Opens the database at `url` (`sqlite://site.db`, `postgres://farrier@localhost/farrier`), makes it where SQLite's
    /// file is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or was written by a newer Farrier.
    pub async fn open(url: &str) -> Result<Self, DatabaseError> {
        sqlx::any::install_default_drivers();
        let engine = Engine::of(url)?;
        let shown = without_password(url);
        let pool = engine.connect(url).await.map_err(|source| DatabaseError::Open { url: shown.clone(), source })?;
        let migrations = match engine {
            Engine::Sqlite => &SQLITE_MIGRATIONS,
            Engine::Postgres => &POSTGRES_MIGRATIONS,
        };
        migrations.run(&pool).await.map_err(|source| DatabaseError::Migrate { url: shown, source })?;
        Ok(Self { pool, engine, publication: Arc::default(), roll_out: Arc::default() })
    }

    /// Opens the SQLite database in this file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_file(file: &Path) -> Result<Self, DatabaseError> {
        Self::open(&format!("sqlite://{}", file.display())).await
    }

    /// Begins a transaction that will write. SQLite takes its one writer's lock at once: a transaction that reads first and
    /// writes later would be refused, not queued, when another writer came between.
    pub(super) async fn begin_write(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, sqlx::Error> {
        match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.pool.begin().await,
        }
    }

    /// The engine behind it.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// For tests and benchmarks, which plant rows and look into tables; everything else has a function here.
    #[doc(hidden)]
    #[must_use]
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Finishes what runs and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Engine {
    fn of(url: &str) -> Result<Self, DatabaseError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(DatabaseError::UnknownEngine { url: without_password(url) }),
        }
    }

    async fn connect(self, url: &str) -> Result<AnyPool, sqlx::Error> {
        // A pool tries again until it times out, and then hides why: what is wrong shows on a single connection.
        let mut connection = AnyConnection::connect_with(&self.options(url)?).await?;
        if self == Self::Sqlite {
            set_pragmas(&mut connection).await?;
        }
        connection.close().await?;
        let pool = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(BUSY_SECONDS));
        match self {
            Self::Postgres => pool.max_connections(POSTGRES_CONNECTIONS).connect(url).await,
            Self::Sqlite => {
                let pool = pool.max_connections(SQLITE_CONNECTIONS).after_connect(prepare_sqlite);
                pool.connect_with(self.options(url)?).await
            }
        }
    }

    fn options(self, url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
        match self {
            Self::Postgres => AnyConnectOptions::from_str(url),
            // Makes the file where it is missing.
            Self::Sqlite => {
                let separator = if url.contains('?') { '&' } else { '?' };
                AnyConnectOptions::from_str(&format!("{url}{separator}mode=rwc"))
            }
        }
    }
}

fn prepare_sqlite<'c>(
    connection: &'c mut AnyConnection,
    _: sqlx::pool::PoolConnectionMetadata,
) -> std::pin::Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'c>> {
    Box::pin(set_pragmas(connection))
}

/// Write-ahead logging lets readers go on beside the writer; every commit is still synced to disk before it is
/// acknowledged to a client.
async fn set_pragmas(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let pragmas = sqlx::AssertSqlSafe(format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA busy_timeout = {}; PRAGMA temp_store = MEMORY;",
        BUSY_SECONDS * 1000
    ));
    connection.execute(sqlx::raw_sql(pragmas)).await.map(|_| ())
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, place)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = user.split(':').next().unwrap_or(user);
    format!("{scheme}://{user}@{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.db");
        std::fs::write(&file, "this is no database at all").unwrap();
        let error = format!("{:#}", anyhow::Error::new(Database::open_file(&file).await.unwrap_err()));
        assert!(error.contains("site.db") && error.contains("not a database"), "{error}");
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_password("postgres://farrier:secret@db/site"), "postgres://farrier@db/site");
        assert_eq!(without_password("sqlite://site.db"), "sqlite://site.db");
    }
}
