//! The upstream suites: as the site is configured, and what the last synchronization brought.

use super::supersedence::supersede;
use super::{Database, now};
use crate::config::{Classification, SuiteConfig};
use farrier_protocol::Digest;
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};
use std::collections::BTreeSet;

/// How far the upstream itself lets clients follow a suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// Its updates are for every client.
    #[default]
    Always = 0,
    /// Its updates are for clients that already took their version from it (backports).
    WhereInstalled = 1,
    /// Its updates are for nobody who did not ask for them (experimental).
    Never = 2,
}

impl Follow {
    /// The value stored as this number, if there is one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Always, Self::WhereInstalled, Self::Never].into_iter().find(|follow| *follow as i64 == number)
    }
}

/// One suite of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its row.
    pub id: i64,
    /// Its name on this site.
    pub name: String,
    /// The clients' distribution.
    pub distribution: String,
    /// The clients' release.
    pub release: String,
    /// The archive's address.
    pub mirror: String,
    /// The architectures; none once the suite is no longer configured.
    pub architectures: Vec<String>,
    /// What its updates are.
    pub classification: Classification,
    /// How far clients follow it.
    pub follow: Follow,
    /// What makes the next request for its release a conditional one.
    pub validator: Option<String>,
    /// What was imported: its release together with the configuration it was imported under.
    pub imported: Option<Digest>,
    /// The date of the imported release.
    pub released_at: Option<i64>,
    /// When the upstream was last asked with success.
    pub checked_at: Option<i64>,
    /// When an import last changed something.
    pub changed_at: Option<i64>,
}

/// `(distribution, release)`: within it, updates supersede each other.
pub(super) type Release = (String, String);

impl Database {
    /// Makes the suites of the database those of the configuration, and says whether that changed anything a client
    /// sees.
    ///
    /// The updates of a suite that is no longer configured expire, but they and the suite's row stay: the compliance
    /// states that clients reported for them are not reported a second time if the suite comes back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configure_suites(&self, configured: &[SuiteConfig]) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let stored = suites(&mut transaction).await?;
        let mut touched = BTreeSet::new();
        for config in configured {
            let known = stored.iter().find(|suite| suite.name == config.name);
            if known.is_some_and(|suite| suite.is_configured_as(config)) {
                continue;
            }
            write_suite(&mut transaction, config, known).await?;
            touched.extend(known.map(Suite::release));
            touched.insert((config.distribution.clone(), config.release.clone()));
        }
        let is_configured = |suite: &&Suite| configured.iter().any(|config| config.name == suite.name);
        for suite in stored.iter().filter(|suite| suite.is_configured() && !is_configured(suite)) {
            retire_suite(&mut transaction, suite).await?;
            touched.insert(suite.release());
        }
        for release in &touched {
            supersede(&mut transaction, release).await?;
        }
        transaction.commit().await?;
        Ok(!touched.is_empty())
    }

    /// The configured suites, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suites(&self) -> Result<Vec<Suite>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT * FROM suites WHERE architectures <> '' ORDER BY name").fetch_all(&self.pool).await?;
        rows.iter().map(Suite::of_row).collect()
    }

    /// Records that the upstream was asked and has nothing new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_suite_unchanged(&self, suite: i64, validator: Option<&str>) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE suites SET checked_at = $1, validator = $2 WHERE id = $3")
            .bind(now())
            .bind(validator)
            .bind(suite)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

impl Suite {
    /// Whether the site still synchronizes it.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.architectures.is_empty()
    }

    fn is_configured_as(&self, config: &SuiteConfig) -> bool {
        self.distribution == config.distribution
            && self.release == config.release
            && self.mirror == without_password(&config.mirror)
            && self.architectures == config.architectures
            && self.classification == config.classification()
    }

    fn release(&self) -> Release {
        (self.distribution.clone(), self.release.clone())
    }

    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let number = |column| row.try_get::<i64, _>(column);
        let imported: Option<Vec<u8>> = row.try_get("imported")?;
        Ok(Self {
            id: number("id")?,
            name: row.try_get("name")?,
            distribution: row.try_get("distribution")?,
            release: row.try_get("release")?,
            mirror: row.try_get("mirror")?,
            architectures: row.try_get::<String, _>("architectures")?.split_whitespace().map(str::to_owned).collect(),
            classification: Classification::from_number(number("classification")?)
                .ok_or_else(|| sqlx::Error::Decode("a suite has an unknown classification".into()))?,
            follow: Follow::from_number(number("follow")?)
                .ok_or_else(|| sqlx::Error::Decode("a suite is followed in an unknown way".into()))?,
            validator: row.try_get("validator")?,
            imported: imported.as_deref().and_then(Digest::from_slice),
            released_at: row.try_get("released_at")?,
            checked_at: row.try_get("checked_at")?,
            changed_at: row.try_get("changed_at")?,
        })
    }
}

async fn suites(transaction: &mut Transaction<'_, Any>) -> Result<Vec<Suite>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM suites").fetch_all(&mut **transaction).await?;
    rows.iter().map(Suite::of_row).collect()
}

/// Another mirror may be behind: what was imported from the one before it sets no lower bound for its release's date.
async fn write_suite(
    transaction: &mut Transaction<'_, Any>,
    config: &SuiteConfig,
    known: Option<&Suite>,
) -> Result<(), sqlx::Error> {
    let released_at =
        known.filter(|suite| suite.mirror == without_password(&config.mirror)).and_then(|suite| suite.released_at);
    sqlx::query(
        "INSERT INTO suites (name, distribution, release, mirror, architectures, classification, follow, released_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (name) DO UPDATE SET distribution = excluded.distribution, \
         release = excluded.release, mirror = excluded.mirror, architectures = excluded.architectures, \
         classification = excluded.classification, released_at = excluded.released_at",
    )
    .bind(&config.name)
    .bind(&config.distribution)
    .bind(&config.release)
    .bind(without_password(&config.mirror))
    .bind(config.architectures.join(" "))
    .bind(config.classification() as i64)
    .bind(released_at)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A mirror's address as everybody may see it.
fn without_password(mirror: &str) -> String {
    let url = mirror.parse::<reqwest::Url>().ok().filter(|url| url.password().is_some());
    let Some(mut url) = url else { return mirror.to_owned() };
    // A URL with a password can also be without.
    let _ = url.set_password(None);
    url.to_string()
}

async fn retire_suite(transaction: &mut Transaction<'_, Any>, suite: &Suite) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE suites SET architectures = '', validator = NULL, imported = NULL WHERE id = $1")
        .bind(suite.id)
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "UPDATE software_updates SET expired_at = $1, changed_at = $1 WHERE suite_id = $2 AND expired_at IS NULL",
    )
    .bind(now())
    .bind(suite.id)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
