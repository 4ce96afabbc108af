//! Authored updates: software updates that an administrator wrote as a policy file.
//!
//! They are rows of the suite `authored`, which no configuration has and no synchronization touches: it has no
//! architectures, like a suite that is no longer configured.

use super::contents::digest_of;
use super::rows::number_list;
use super::supersedence::supersede;
use super::{Database, assignment_version};
use crate::authored::{Outcome, SUITE};
use crate::config::Classification;
use farrier_protocol::{Digest, UnixTime, UpdateId};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The architecture of authored content: whichever client the scopes concern takes it.
const ALL: &str = "all";
/// A condition on an authored update `u`: clients scan by it. An older version would go on asking for what the newer
/// one replaced.
const IN_FORCE: &str = "u.expired_at IS NULL AND u.superseded_by IS NULL";

/// An authored update, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoredUpdate {
    /// `authored/{policy}/{version}`.
    pub name: String,
    /// The policy's name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub title: String,
    /// What kind of update it is.
    pub classification: Classification,
    /// SHA-256 over everything that clients are told of it.
    pub meaning: Digest,
    /// The applicability plugin.
    pub plugin: String,
    /// The scopes it concerns, sorted.
    pub scopes: Vec<String>,
    /// The encoded rule.
    pub rule: Vec<u8>,
    /// The installer plugin, if it can be installed.
    pub installer: Option<String>,
    /// The encoded instructions.
    pub instructions: Vec<u8>,
    /// The policy file.
    pub definition: String,
    /// Its files, each label once.
    pub contents: Vec<AuthoredContent>,
}

/// A file of an authored update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthoredContent {
    /// What the installer plugin knows it by.
    pub label: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256.
    #[serde(serialize_with = "super::views::as_text")]
    pub sha256: Digest,
}

/// What became of an authored update that was to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthoredWrite {
    /// It is stored.
    Done {
        /// What that did.
        outcome: Outcome,
        /// The version that supersedes it.
        superseded_by: Option<String>,
    },
    /// What is stored says something else and has to stay; why.
    Refused(String),
}

/// A rule of an authored update, as a catalog needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoredRule {
    /// Which update.
    pub id: UpdateId,
    /// Its name.
    pub name: String,
    /// The plugin that reads the rule.
    pub plugin: String,
    /// The scopes it concerns.
    pub scopes: Vec<String>,
    /// The rule.
    pub rule: Vec<u8>,
}

/// An authored update in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthoredRow {
    /// The update's id.
    #[serde(serialize_with = "super::views::as_text")]
    pub id: UpdateId,
    /// The policy's name.
    pub policy: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub title: String,
    /// What kind of update it is.
    pub classification: Classification,
    /// The applicability plugin.
    pub plugin: String,
    /// The scopes it concerns.
    pub scopes: Vec<String>,
    /// The installer plugin; none if it can only be observed.
    pub installer: Option<String>,
    /// When it was imported last.
    pub imported_at: i64,
    /// Whether a higher version replaces it.
    pub superseded: bool,
    /// When it was removed.
    pub removed_at: Option<i64>,
    /// Clients that require it, as of the last count.
    pub required: i64,
    /// Clients that have it.
    pub installed: i64,
    /// Clients that could not say.
    pub unknown: i64,
    /// Its files.
    pub files: i64,
    /// Bytes of them.
    pub bytes: i64,
}

/// What the database holds of an authored update before an import.
struct Stored {
    row: i64,
    meaning: Digest,
    title: String,
    classification: i64,
    expired: bool,
    definition: Option<String>,
}

impl Database {
    /// Why a version that is stored and says something else than this cannot be replaced; none if it can be, or says
    /// the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn why_authored_stays(&self, update: &AuthoredUpdate) -> Result<Option<String>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        match stored(&mut transaction, &update.name).await? {
            Some(known) if known.meaning != update.meaning => why_it_stays(&mut transaction, known.row).await,
            _ => Ok(None),
        }
    }

    /// Stores an authored update, whose files the distribution point has.
    ///
    /// # Errors
    /// When the database fails; then nothing changed.
    pub async fn import_authored(&self, update: &AuthoredUpdate, now: UnixTime) -> Result<AuthoredWrite, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let suite = write_suite(&mut transaction, now).await?;
        let known = stored(&mut transaction, &update.name).await?;
        if let Some(known) = known.as_ref().filter(|known| known.meaning != update.meaning)
            && let Some(why) = why_it_stays(&mut transaction, known.row).await?
        {
            return Ok(AuthoredWrite::Refused(why));
        }
        let outcome = match known {
            None => Outcome::Added,
            Some(known) if known.expired => Outcome::Added,
            Some(known) if known.says(update) => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        };
        if outcome != Outcome::Unchanged {
            write_update(&mut transaction, update, suite, now).await?;
            supersede(&mut transaction, &(SUITE.to_owned(), String::new())).await?;
        }
        // Also where nothing changed: the store may have lost them, and has them again.
        write_contents(&mut transaction, update, suite, now).await?;
        let superseded_by = sqlx::query_scalar(
            "SELECT n.version FROM software_updates u JOIN software_updates n ON n.id = u.superseded_by \
             WHERE u.update_id = $1",
        )
        .bind(UpdateId::of_name(&update.name).as_bytes().to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        if outcome != Outcome::Unchanged {
            assignment_version::bump_deployed(&mut transaction, now).await?;
        }
        transaction.commit().await?;
        Ok(AuthoredWrite::Done { outcome, superseded_by })
    }

    /// Expires the versions of a policy, or one of them. Returns their names, and the digests of their files.
    ///
    /// # Errors
    /// When the database fails; then nothing changed.
    pub async fn remove_authored(
        &self,
        policy: &str,
        version: Option<&str>,
        now: UnixTime,
    ) -> Result<(Vec<String>, BTreeSet<Digest>), sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let rows = sqlx::query(
            "SELECT u.id, u.name FROM software_updates u JOIN authored_updates a ON a.software_update_id = u.id \
             WHERE u.source = $1 AND u.expired_at IS NULL AND ($2 = '' OR u.version = $2) ORDER BY u.id",
        )
        .bind(policy.to_owned())
        .bind(version.unwrap_or_default().to_owned())
        .fetch_all(&mut *transaction)
        .await?;
        let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i64>, _>>()?;
        let names = rows.iter().map(|row| row.try_get("name")).collect::<Result<Vec<String>, _>>()?;
        if ids.is_empty() {
            return Ok((names, BTreeSet::new()));
        }
        let list = number_list(ids);
        let files = format!("SELECT DISTINCT sha256 FROM packages WHERE software_update_id IN ({list})");
        let files = sqlx::query(AssertSqlSafe(files)).persistent(false).fetch_all(&mut *transaction).await?;
        let digests = files.iter().map(digest_of).collect::<Result<_, _>>()?;
        let expire = format!("UPDATE software_updates SET expired_at = $1, changed_at = $1 WHERE id IN ({list})");
        sqlx::query(AssertSqlSafe(expire)).persistent(false).bind(now).execute(&mut *transaction).await?;
        supersede(&mut transaction, &(SUITE.to_owned(), String::new())).await?;
        assignment_version::bump_deployed(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok((names, digests))
    }

    /// The rules that clients scan by, sorted by name: equal content always comes in equal order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authored_rules(&self) -> Result<Vec<AuthoredRule>, sqlx::Error> {
        let sql = format!(
            "SELECT u.update_id, u.name, a.plugin, a.scopes, a.rule FROM authored_updates a \
             JOIN software_updates u ON u.id = a.software_update_id WHERE {IN_FORCE}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let rule = |row: &AnyRow| {
            Ok(AuthoredRule {
                id: update_id(row)?,
                name: row.try_get("name")?,
                plugin: row.try_get("plugin")?,
                scopes: scopes(row.try_get("scopes")?),
                rule: row.try_get("rule")?,
            })
        };
        let mut rules = rows.iter().map(rule).collect::<Result<Vec<AuthoredRule>, sqlx::Error>>()?;
        rules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(rules)
    }

    /// Plugins and scopes that the policies in force have catalogs for; not those that only this policy has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authored_scopes(&self, except: &str) -> Result<BTreeSet<(String, String)>, sqlx::Error> {
        let sql = format!(
            "SELECT a.plugin, a.scopes FROM authored_updates a \
             JOIN software_updates u ON u.id = a.software_update_id WHERE u.source <> $1 AND {IN_FORCE}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(except.to_owned()).fetch_all(&self.pool).await?;
        let mut all = BTreeSet::new();
        for row in rows {
            let plugin: String = row.try_get("plugin")?;
            all.extend(scopes(row.try_get("scopes")?).into_iter().map(|scope| (plugin.clone(), scope)));
        }
        Ok(all)
    }

    /// The versions of a policy, or of all, the newest first; removed ones only with `removed`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authored_rows(&self, policy: Option<&str>, removed: bool) -> Result<Vec<AuthoredRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT u.update_id, u.source, u.version, u.summary, u.classification, u.superseded_by, u.expired_at, \
             a.plugin, a.scopes, a.installer, a.imported_at, COALESCE(c.required, 0) AS required, \
             COALESCE(c.installed, 0) AS installed, COALESCE(c.unknown, 0) AS unknown, \
             (SELECT COUNT(*) FROM packages p WHERE p.software_update_id = u.id) AS files, \
             (SELECT CAST(COALESCE(SUM(p.size), 0) AS BIGINT) FROM packages p WHERE p.software_update_id = u.id) \
             AS bytes FROM authored_updates a JOIN software_updates u ON u.id = a.software_update_id \
             LEFT JOIN update_summaries c ON c.software_update_id = u.id \
             WHERE ($1 = '' OR u.source = $1) AND ($2 = 1 OR u.expired_at IS NULL)",
        )
        .bind(policy.unwrap_or_default().to_owned())
        .bind(i64::from(removed))
        .fetch_all(&self.pool)
        .await?;
        let mut rows = rows.iter().map(AuthoredRow::of_row).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by(|a, b| a.policy.cmp(&b.policy).then_with(|| compare(&b.version, &a.version)));
        Ok(rows)
    }

    /// The policy file of a version, as it was imported.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authored_definition(&self, update: UpdateId) -> Result<Option<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT a.definition FROM authored_updates a JOIN software_updates u ON u.id = a.software_update_id \
             WHERE u.update_id = $1",
        )
        .bind(update.as_bytes().to_vec())
        .fetch_optional(&self.pool)
        .await
    }

    /// The files of an authored update, by label.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authored_contents(&self, update: UpdateId) -> Result<Vec<AuthoredContent>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT p.name, p.size, p.sha256 FROM packages p JOIN software_updates u ON u.id = p.software_update_id \
             WHERE u.update_id = $1",
        );
        let rows = rows.bind(update.as_bytes().to_vec()).fetch_all(&self.pool).await?;
        let content = |row: &AnyRow| {
            Ok(AuthoredContent { label: row.try_get("name")?, size: row.try_get("size")?, sha256: digest_of(row)? })
        };
        let mut contents = rows.iter().map(content).collect::<Result<Vec<AuthoredContent>, sqlx::Error>>()?;
        contents.sort_by(|a, b| a.label.cmp(&b.label));
        Ok(contents)
    }
}

impl Stored {
    fn says(&self, update: &AuthoredUpdate) -> bool {
        self.meaning == update.meaning
            && self.title == update.title
            && self.classification == update.classification as i64
            && self.definition.as_ref() == Some(&update.definition)
    }
}

impl AuthoredRow {
    /// The update's name.
    #[must_use]
    pub fn name(&self) -> String {
        crate::authored::update_name(&self.policy, &self.version)
    }

    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: update_id(row)?,
            policy: row.try_get("source")?,
            version: row.try_get("version")?,
            title: row.try_get("summary")?,
            classification: Classification::from_number(row.try_get("classification")?)
                .ok_or_else(|| sqlx::Error::Decode("an update has an unknown classification".into()))?,
            plugin: row.try_get("plugin")?,
            scopes: scopes(row.try_get("scopes")?),
            installer: row.try_get("installer")?,
            imported_at: row.try_get("imported_at")?,
            superseded: row.try_get::<Option<i64>, _>("superseded_by")?.is_some(),
            removed_at: row.try_get("expired_at")?,
            required: row.try_get("required")?,
            installed: row.try_get("installed")?,
            unknown: row.try_get("unknown")?,
            files: row.try_get("files")?,
            bytes: row.try_get("bytes")?,
        })
    }
}

async fn stored(transaction: &mut Transaction<'_, Any>, name: &str) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT u.id, u.content, u.summary, u.classification, u.expired_at, a.definition FROM software_updates u \
         LEFT JOIN authored_updates a ON a.software_update_id = u.id WHERE u.update_id = $1",
    );
    let row = row.bind(UpdateId::of_name(name).as_bytes().to_vec()).fetch_optional(&mut **transaction).await?;
    let known = |row: AnyRow| {
        Ok(Stored {
            row: row.try_get("id")?,
            meaning: Digest::from_slice(row.try_get("content")?)
                .ok_or_else(|| sqlx::Error::Decode("an update's content is no digest".into()))?,
            title: row.try_get("summary")?,
            classification: row.try_get("classification")?,
            expired: row.try_get::<Option<i64>, _>("expired_at")?.is_some(),
            definition: row.try_get("definition")?,
        })
    };
    row.map(known).transpose()
}

/// A version means one thing to everybody who has heard of it: to clients, and to administrators who deploy it.
async fn why_it_stays(transaction: &mut Transaction<'_, Any>, row: i64) -> Result<Option<String>, sqlx::Error> {
    let group: Option<String> = sqlx::query_scalar(
        "SELECT t.name FROM update_group_updates g JOIN update_groups t ON t.id = g.update_group_id \
         WHERE g.software_update_id = $1 ORDER BY t.id LIMIT 1",
    )
    .bind(row)
    .fetch_optional(&mut **transaction)
    .await?;
    if let Some(group) = group {
        return Ok(Some(format!("it is in the update group {group:?}")));
    }
    let clients: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM compliance_states WHERE software_update_id = $1")
        .bind(row)
        .fetch_one(&mut **transaction)
        .await?;
    Ok((clients > 0).then(|| {
        let clients = crate::deployment::words::counted(clients, "client");
        format!("{clients} reported on it")
    }))
}

/// The row of the suite, made where it is missing.
async fn write_suite(transaction: &mut Transaction<'_, Any>, now: UnixTime) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO suites (name, distribution, release, mirror, architectures, classification, follow, changed_at) \
         VALUES ($1, $1, '', '', '', 0, 0, $2) ON CONFLICT (name) DO UPDATE SET distribution = excluded.distribution, \
         release = '', mirror = '', architectures = '', follow = 0, changed_at = excluded.changed_at RETURNING id",
    )
    .bind(SUITE)
    .bind(now)
    .fetch_one(&mut **transaction)
    .await
}

async fn write_update(
    transaction: &mut Transaction<'_, Any>,
    update: &AuthoredUpdate,
    suite: i64,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let row: i64 = sqlx::query_scalar(
        "INSERT INTO software_updates (update_id, suite_id, name, source, version, summary, classification, priority, \
         content, first_seen_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $9) \
         ON CONFLICT (update_id) DO UPDATE SET summary = excluded.summary, classification = excluded.classification, \
         content = excluded.content, changed_at = excluded.changed_at, expired_at = NULL RETURNING id",
    )
    .bind(UpdateId::of_name(&update.name).as_bytes().to_vec())
    .bind(suite)
    .bind(update.name.clone())
    .bind(update.policy.clone())
    .bind(update.version.clone())
    .bind(update.title.clone())
    .bind(update.classification as i64)
    .bind(update.meaning.as_bytes().to_vec())
    .bind(now)
    .fetch_one(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO authored_updates (software_update_id, plugin, scopes, rule, installer, instructions, definition, \
         imported_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (software_update_id) DO UPDATE SET \
         plugin = excluded.plugin, scopes = excluded.scopes, rule = excluded.rule, installer = excluded.installer, \
         instructions = excluded.instructions, definition = excluded.definition, imported_at = excluded.imported_at",
    )
    .bind(row)
    .bind(update.plugin.clone())
    .bind(update.scopes.join("\n"))
    .bind(update.rule.clone())
    .bind(update.installer.clone())
    .bind(update.instructions.clone())
    .bind(update.definition.clone())
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM packages WHERE software_update_id = $1").bind(row).execute(&mut **transaction).await?;
    for content in &update.contents {
        sqlx::query(
            "INSERT INTO packages (software_update_id, name, architecture, version, file, size, sha256) \
             VALUES ($1, $2, $3, $4, '', $5, $6)",
        )
        .bind(row)
        .bind(content.label.clone())
        .bind(ALL)
        .bind(update.version.clone())
        .bind(content.size)
        .bind(content.sha256.as_bytes().to_vec())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

async fn write_contents(
    transaction: &mut Transaction<'_, Any>,
    update: &AuthoredUpdate,
    suite: i64,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    for content in &update.contents {
        sqlx::query(
            "INSERT INTO contents (sha256, size, suite_id, file, state, wanted_at, changed_at) \
             VALUES ($1, $2, $3, '', 1, $4, $4) ON CONFLICT (sha256) DO UPDATE SET state = 1, error = NULL, \
             retry_at = NULL, changed_at = excluded.changed_at",
        )
        .bind(content.sha256.as_bytes().to_vec())
        .bind(content.size)
        .bind(suite)
        .bind(now)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

fn scopes(lines: &str) -> Vec<String> {
    lines.lines().map(str::to_owned).collect()
}

fn update_id(row: &AnyRow) -> Result<UpdateId, sqlx::Error> {
    UpdateId::from_slice(row.try_get("update_id")?)
        .ok_or_else(|| sqlx::Error::Decode("an update's id has another length".into()))
}

/// Versions of policies are in the order that Debian gives versions, as supersedence is.
fn compare(a: &str, b: &str) -> Ordering {
    farrier_dpkg_rules::compare(a.as_bytes(), b.as_bytes()).then_with(|| a.cmp(b))
}
