//! The software update point, from a signed archive to the site database.

mod apt;
mod attacks;
mod import;
mod point;
mod transfer;

use anyhow::{Context as _, Result};
use farrier::config::{SoftwareUpdatePointConfig, SuiteConfig};
use farrier::database::{Database, Requester, SuitePhase, SuiteSync, SyncRun};
use farrier::signals::Signals;
use farrier::sync::SoftwareUpdatePoint;
use farrier_test_harness::mirror::{ArchiveKey, Mirror, Suite};
use sqlx::Row as _;
use tempfile::TempDir;

/// A site with an empty database.
struct Site {
    folder: TempDir,
    database: Database,
}

/// An update as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    name: String,
    expired: bool,
    superseded_by: Option<String>,
}

impl Site {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = Database::open_file(&folder.path().join("site.db")).await?;
        Ok(Self { folder, database })
    }

    fn point(&self, suites: &[SuiteConfig]) -> SoftwareUpdatePoint {
        let config = SoftwareUpdatePointConfig { suites: suites.to_vec(), ..Default::default() };
        SoftwareUpdatePoint { database: self.database.clone(), config, signals: Signals::default() }
    }

    /// Synchronizes these suites, as a site process does that is configured with them.
    async fn synchronize(&self, suites: &[SuiteConfig]) -> Result<SyncRun> {
        let point = self.point(suites);
        point.prepare().await?;
        let run = self.database.request_sync(Requester::Administrator).await?;
        assert!(point.synchronize_once().await?, "the request was not taken");
        self.database.sync_run(run).await?.context("the synchronization is recorded")
    }

    /// Synchronizes one suite that must be taken.
    async fn import(&self, suite: &SuiteConfig) -> Result<SuiteSync> {
        let result = self.synchronize(std::slice::from_ref(suite)).await?.suites.remove(0);
        assert_ne!(result.phase, SuitePhase::Failed, "{result:?}");
        Ok(result)
    }

    /// Synchronizes one suite that must be refused without changing anything; returns why.
    async fn refusal(&self, suite: &SuiteConfig) -> Result<String> {
        let before = self.stored().await?;
        let result = self.synchronize(std::slice::from_ref(suite)).await?.suites.remove(0);
        assert_eq!(result.phase, SuitePhase::Failed, "{result:?}");
        assert_eq!(self.stored().await?, before, "a refused release changed the database");
        result.error.context("a failure says why")
    }

    async fn stored(&self) -> Result<Vec<Stored>> {
        let rows = sqlx::query(
            "SELECT u.name, u.expired_at IS NOT NULL AS expired, n.name AS newest FROM software_updates u \
             LEFT JOIN software_updates n ON n.id = u.superseded_by ORDER BY u.name",
        )
        .fetch_all(&self.reader().await?)
        .await?;
        let stored = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Stored {
                name: row.try_get("name")?,
                expired: row.try_get("expired")?,
                superseded_by: row.try_get("newest")?,
            })
        };
        rows.iter().map(stored).collect()
    }

    /// The names of the updates that have not expired.
    async fn updates(&self) -> Result<Vec<String>> {
        Ok(self.stored().await?.into_iter().filter(|update| !update.expired).map(|update| update.name).collect())
    }

    /// The packages of an update: `name architecture version`.
    async fn packages(&self, update: &str) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            "SELECT p.name || ' ' || architecture || ' ' || p.version FROM packages p \
             JOIN software_updates u ON u.id = p.software_update_id WHERE u.name = $1 ORDER BY 1",
        );
        Ok(query.bind(update).fetch_all(&self.reader().await?).await?)
    }

    async fn reader(&self) -> Result<sqlx::SqlitePool> {
        Ok(sqlx::SqlitePool::connect(&format!("sqlite://{}", self.folder.path().join("site.db").display())).await?)
    }
}

/// An archive with one suite, `bookworm`, and the configuration that follows it.
struct Upstream {
    mirror: Mirror,
    key: ArchiveKey,
    suite: Suite,
    config: SuiteConfig,
}

impl Upstream {
    fn new() -> Result<Self> {
        Self::signed_by(ArchiveKey::generate()?)
    }

    fn signed_by(key: ArchiveKey) -> Result<Self> {
        let mirror = Mirror::new()?;
        let suite = mirror.suite("bookworm", &key);
        let config = config(&mirror, &key, "bookworm")?;
        Ok(Self { mirror, key, suite, config })
    }
}

/// The configuration that follows a suite of a mirror.
fn config(mirror: &Mirror, key: &ArchiveKey, suite: &str) -> Result<SuiteConfig> {
    Ok(SuiteConfig {
        name: suite.trim_end_matches('/').to_owned(),
        distribution: "debian".to_owned(),
        release: "bookworm".to_owned(),
        mirror: mirror.address(),
        suite: suite.to_owned(),
        components: if suite.ends_with('/') { Vec::new() } else { vec!["main".to_owned()] },
        architectures: vec!["amd64".to_owned()],
        keyrings: vec![mirror.keyring("archive.asc", key.armored()?)?],
        classification: None,
        check_valid_until: true,
    })
}
