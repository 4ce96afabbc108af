//! Which software update replaces which.

use super::ROWS_PER_STATEMENT;
use super::rows::{number_list, number_rows};
use super::suites::{Follow, Release};
use farrier_dpkg_rules::compare;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};
use std::cmp::Ordering;

/// One update, as far as supersedence goes.
struct Candidate {
    id: i64,
    source: String,
    version: String,
    superseded_by: Option<i64>,
    expired: bool,
    follow: Follow,
    classification: i64,
}

/// Writes who supersedes whom within one release: the newest update of the same source package that has not expired, if
/// it is strictly newer. A suite that is not followed by itself never supersedes one that is followed further.
pub(super) async fn supersede(transaction: &mut Transaction<'_, Any>, release: &Release) -> Result<(), sqlx::Error> {
    let candidates = candidates(transaction, release).await?;
    let newest = candidates
        .chunk_by(|a, b| a.source == b.source)
        .flat_map(|updates| updates.iter().map(|update| (update, newest_above(update, updates))))
        .filter(|(update, newest)| update.superseded_by != *newest);
    let (mut superseded, mut newest_themselves) = (Vec::new(), Vec::new());
    for (update, newest) in newest {
        match newest {
            Some(newest) => superseded.push([update.id, newest]),
            None => newest_themselves.push(update.id),
        }
    }
    for rows in superseded.chunks(ROWS_PER_STATEMENT) {
        let sql = format!(
            "UPDATE software_updates SET superseded_by = v.column2 FROM (VALUES {}) AS v WHERE id = v.column1",
            number_rows(rows)
        );
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **transaction).await?;
    }
    for ids in newest_themselves.chunks(ROWS_PER_STATEMENT) {
        let ids = number_list(ids.iter().copied());
        let sql = format!("UPDATE software_updates SET superseded_by = NULL WHERE id IN ({ids})");
        sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Everything of the release whose source package has more than one update, the same source packages side by side.
async fn candidates(
    transaction: &mut Transaction<'_, Any>,
    (distribution, release): &Release,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT u.id, u.source, u.version, u.superseded_by, u.expired_at, u.classification, s.follow \
         FROM software_updates u JOIN suites s ON s.id = u.suite_id WHERE s.distribution = $1 AND s.release = $2 \
         AND u.source IN (SELECT source FROM software_updates GROUP BY source HAVING COUNT(*) > 1) \
         ORDER BY u.source, u.id",
    )
    .bind(distribution)
    .bind(release)
    .fetch_all(&mut **transaction)
    .await?;
    let candidate = |row: &sqlx::any::AnyRow| {
        Ok(Candidate {
            id: row.try_get("id")?,
            source: row.try_get("source")?,
            version: row.try_get("version")?,
            superseded_by: row.try_get("superseded_by")?,
            expired: row.try_get::<Option<i64>, _>("expired_at")?.is_some(),
            follow: Follow::from_number(row.try_get("follow")?)
                .ok_or_else(|| sqlx::Error::Decode("a suite is followed in an unknown way".into()))?,
            classification: row.try_get("classification")?,
        })
    };
    rows.iter().map(candidate).collect()
}

/// Of the same version in two suites, the more urgent one counts as the newest.
fn newest_above(update: &Candidate, updates: &[Candidate]) -> Option<i64> {
    updates
        .iter()
        .filter(|other| !other.expired && other.follow <= update.follow)
        .filter(|other| by_version(other, update) == Ordering::Greater)
        .max_by(|a, b| by_version(a, b).then(a.classification.cmp(&b.classification)).then(b.id.cmp(&a.id)))
        .map(|newest| newest.id)
}

fn by_version(a: &Candidate, b: &Candidate) -> Ordering {
    compare(a.version.as_bytes(), b.version.as_bytes())
}
