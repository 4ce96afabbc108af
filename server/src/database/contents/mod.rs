//! Content of updates: what the distribution point has, and what it is to have.

mod deployed;

pub use deployed::{DeployedGroup, DeployedPackage};

use super::Database;
use super::rows::Marks;
use farrier_protocol::{Digest, UnixTime};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

/// Rows of one statement, at most.
const ROWS_PER_STATEMENT: usize = 500;
/// How soon a failed download is tried again: after this, then after twice as long, and so on.
const FIRST_RETRY_SECONDS: i64 = 60;
const LAST_RETRY_SECONDS: i64 = 6 * 60 * 60;

/// How it stands with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ContentState {
    /// It is to be downloaded.
    Wanted = 0,
    /// It is here.
    Stored = 1,
    /// It could not be downloaded, and is tried again later.
    Failed = 2,
}

/// One content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How it stands.
    pub state: ContentState,
    /// Why it could not be downloaded.
    pub error: Option<String>,
    /// When it is tried again.
    pub retry_at: Option<UnixTime>,
}

/// Where a content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSourceRow {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The name of the suite.
    pub suite: String,
    /// The mirror of the suite, without a password.
    pub mirror: String,
    /// Where it is below the mirror.
    pub file: String,
}

/// How much content there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ContentFigures {
    /// How many are here.
    pub stored: i64,
    /// Their bytes.
    pub stored_bytes: i64,
    /// How many are to be downloaded.
    pub wanted: i64,
    /// Their bytes.
    pub wanted_bytes: i64,
    /// How many could not be downloaded.
    pub failed: i64,
}

impl Database {
    /// A content; none if nobody ever wanted it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn content(&self, digest: &Digest) -> Result<Option<Content>, sqlx::Error> {
        let row = sqlx::query("SELECT sha256, size, state, error, retry_at FROM contents WHERE sha256 = $1");
        row.bind(digest.as_bytes()).fetch_optional(&self.pool).await?.as_ref().map(Content::of_row).transpose()
    }

    /// How much content there is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn content_figures(&self) -> Result<ContentFigures, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT state, COUNT(*) AS contents, CAST(SUM(size) AS BIGINT) AS bytes FROM contents GROUP BY state",
        );
        let mut figures = ContentFigures::default();
        for row in rows.fetch_all(&self.pool).await? {
            let (contents, bytes) = (row.try_get("contents")?, row.try_get("bytes")?);
            match ContentState::of_number(row.try_get("state")?)? {
                ContentState::Stored => (figures.stored, figures.stored_bytes) = (contents, bytes),
                ContentState::Wanted => (figures.wanted, figures.wanted_bytes) = (contents, bytes),
                ContentState::Failed => figures.failed = contents,
            }
        }
        Ok(figures)
    }

    /// Wants these, where they are not wanted already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn want_contents(&self, packages: &[DeployedPackage], now: UnixTime) -> Result<u64, sqlx::Error> {
        let mut wanted = 0;
        for packages in packages.chunks(ROWS_PER_STATEMENT) {
            let mut marks = Marks::new(self.engine());
            let value = |package: &DeployedPackage| {
                let marks = marks.list(2);
                format!("({marks},{},{},0,{now},{now})", package.size, package.suite)
            };
            let sql = format!(
                "INSERT INTO contents (sha256, file, size, suite_id, state, wanted_at, changed_at) VALUES {} \
                 ON CONFLICT (sha256) DO NOTHING",
                packages.iter().map(value).collect::<Vec<_>>().join(",")
            );
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            let bind = |query: sqlx::query::Query<'static, _, _>, package: &DeployedPackage| {
                query.bind(package.digest.as_bytes().to_vec()).bind(package.file.clone())
            };
            wanted += packages.iter().fold(query, bind).execute(&self.pool).await?.rows_affected();
        }
        Ok(wanted)
    }

    /// What is to be downloaded now, the smallest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contents_to_download(&self, now: UnixTime, most: i64) -> Result<Vec<ContentSourceRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT c.sha256, c.size, c.file, s.name AS suite, s.mirror FROM contents c JOIN suites s ON s.id = c.suite_id \
             WHERE c.state = 0 OR (c.state = 2 AND c.retry_at <= $1) ORDER BY c.size, c.sha256 LIMIT $2",
        );
        let source = |row: &AnyRow| {
            Ok(ContentSourceRow {
                digest: digest_of(row)?,
                size: size_of(row)?,
                suite: row.try_get("suite")?,
                mirror: row.try_get("mirror")?,
                file: row.try_get("file")?,
            })
        };
        rows.bind(now).bind(most).fetch_all(&self.pool).await?.iter().map(source).collect()
    }

    /// Notes that a content is here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_content_stored(&self, digest: &Digest, now: UnixTime) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE contents SET state = 1, error = NULL, retry_at = NULL, changed_at = $1 WHERE sha256 = $2")
            .bind(now)
            .bind(digest.as_bytes())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Notes that a content that was here is gone, and wants it again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_content_lost(&self, digest: &Digest, now: UnixTime) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE contents SET state = 0, changed_at = $1 WHERE sha256 = $2 AND state = 1")
            .bind(now)
            .bind(digest.as_bytes())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Notes why a content could not be downloaded. It is tried again, each time after twice as long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_content_failed(&self, digest: &Digest, error: &str, now: UnixTime) -> Result<(), sqlx::Error> {
        let waited: Option<i64> =
            sqlx::query_scalar("SELECT COALESCE(retry_at - changed_at, 0) FROM contents WHERE sha256 = $1")
                .bind(digest.as_bytes())
                .fetch_optional(&self.pool)
                .await?;
        let wait = waited.unwrap_or_default().saturating_mul(2).clamp(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS);
        sqlx::query("UPDATE contents SET state = 2, error = $1, changed_at = $2, retry_at = $3 WHERE sha256 = $4")
            .bind(super::rows::storable(error).into_owned())
            .bind(now)
            .bind(now + wait)
            .bind(digest.as_bytes())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets a content that is not here any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_content(&self, digest: &Digest) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM contents WHERE sha256 = $1").bind(digest.as_bytes()).execute(&self.pool).await?;
        Ok(())
    }
}

impl ContentState {
    fn of_number(number: i64) -> Result<Self, sqlx::Error> {
        [Self::Wanted, Self::Stored, Self::Failed]
            .into_iter()
            .find(|state| *state as i64 == number)
            .ok_or_else(|| sqlx::Error::Decode(format!("a content has the unknown state {number}").into()))
    }
}

impl Content {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            digest: digest_of(row)?,
            size: size_of(row)?,
            state: ContentState::of_number(row.try_get("state")?)?,
            error: row.try_get("error")?,
            retry_at: row.try_get("retry_at")?,
        })
    }
}

pub(super) fn digest_of(row: &AnyRow) -> Result<Digest, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("sha256")?;
    Digest::from_slice(&bytes).ok_or_else(|| sqlx::Error::Decode("a content's digest is none".into()))
}

fn size_of(row: &AnyRow) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>("size")?).map_err(|error| sqlx::Error::Decode(error.into()))
}
