//! Counting the compliance states: as a whole, now and then, into small tables that pages read.
//!
//! Nobody who writes states has to keep a counter right, so no counter can be wrong; a summary is only ever old, and says
//! how old. Counting reads outside the writing transaction, which then writes only the rows that differ: a client's state
//! messages wait for milliseconds, not for the counting.

use super::Database;
use crate::database::ROWS_PER_STATEMENT;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// When the states were counted, and how long that took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Milliseconds since 1970 when the counting began; 0 if never.
    pub counted_at_milliseconds: i64,
    /// How long it took.
    pub took_milliseconds: i64,
}

impl Summary {
    /// How old the counts are.
    #[must_use]
    pub fn age_milliseconds(&self) -> i64 {
        (now_milliseconds() - self.counted_at_milliseconds).max(0)
    }

    /// When the counting began, in Unix seconds; none if never.
    #[must_use]
    pub fn counted_at(&self) -> Option<i64> {
        (self.counted_at_milliseconds > 0).then_some(self.counted_at_milliseconds / 1000)
    }
}

/// A summary table and the query that counts for it: id, installed, required, unknown.
struct Counter {
    table: &'static str,
    id: &'static str,
    stored: &'static str,
    counted: &'static str,
}

/// Of admitted clients.
const UPDATES: Counter = Counter {
    table: "update_summaries",
    id: "software_update_id",
    stored: "SELECT software_update_id, installed, required, unknown FROM update_summaries",
    counted: "SELECT software_update_id, CAST(SUM(CASE state WHEN 1 THEN 1 ELSE 0 END) AS BIGINT), \
              CAST(SUM(CASE state WHEN 2 THEN 1 ELSE 0 END) AS BIGINT), \
              CAST(SUM(CASE state WHEN 3 THEN 1 ELSE 0 END) AS BIGINT) \
              FROM compliance_states WHERE client_id NOT IN (SELECT id FROM clients WHERE admission <> 0) \
              GROUP BY software_update_id",
};

const CLIENTS: Counter = Counter {
    table: "client_summaries",
    id: "client_id",
    stored: "SELECT client_id, installed, required, unknown FROM client_summaries",
    counted: "SELECT client_id, CAST(SUM(CASE state WHEN 1 THEN 1 ELSE 0 END) AS BIGINT), \
              CAST(SUM(CASE state WHEN 2 THEN 1 ELSE 0 END) AS BIGINT), \
              CAST(SUM(CASE state WHEN 3 THEN 1 ELSE 0 END) AS BIGINT) FROM compliance_states \
              WHERE software_update_id NOT IN (SELECT id FROM software_updates WHERE expired_at IS NOT NULL) \
              GROUP BY client_id",
};

type Counts = BTreeMap<i64, [i64; 3]>;

/// What a summary table lacks.
struct Difference {
    changed: Vec<(i64, [i64; 3])>,
    vanished: Vec<i64>,
}

impl Database {
    /// When the states were last counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn summary(&self) -> Result<Summary, sqlx::Error> {
        let row = sqlx::query("SELECT counted_at_milliseconds, took_milliseconds FROM summaries WHERE id = 1")
            .fetch_one(&self.pool)
            .await?;
        Ok(Summary { counted_at_milliseconds: row.try_get(0)?, took_milliseconds: row.try_get(1)? })
    }

    /// Counts all compliance states for the pages that show sums of them.
    ///
    /// # Errors
    /// When the database fails; then the earlier counts stay.
    pub async fn summarize(&self) -> Result<Summary, sqlx::Error> {
        let counted_at_milliseconds = now_milliseconds();
        let started = Instant::now();
        let updates = self.difference(&UPDATES).await?;
        let clients = self.difference(&CLIENTS).await?;

        let mut transaction = self.begin_write().await?;
        UPDATES.write(&updates, &mut transaction).await?;
        CLIENTS.write(&clients, &mut transaction).await?;
        let took_milliseconds = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX).max(1);
        sqlx::query("UPDATE summaries SET counted_at_milliseconds = $1, took_milliseconds = $2 WHERE id = 1")
            .bind(counted_at_milliseconds)
            .bind(took_milliseconds)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Summary { counted_at_milliseconds, took_milliseconds })
    }

    async fn difference(&self, counter: &Counter) -> Result<Difference, sqlx::Error> {
        let counted = self.counts(counter.counted).await?;
        let mut stored = self.counts(counter.stored).await?;
        let changed = counted.into_iter().filter(|(id, counts)| stored.remove(id) != Some(*counts)).collect();
        Ok(Difference { changed, vanished: stored.into_keys().collect() })
    }

    async fn counts(&self, query: &'static str) -> Result<Counts, sqlx::Error> {
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, [row.try_get(1)?, row.try_get(2)?, row.try_get(3)?]))).collect()
    }
}

impl Counter {
    async fn write(&self, difference: &Difference, connection: &mut sqlx::AnyConnection) -> Result<(), sqlx::Error> {
        let Self { table, id, .. } = self;
        for rows in difference.changed.chunks(ROWS_PER_STATEMENT) {
            let mut text = format!("INSERT INTO {table} ({id}, installed, required, unknown) VALUES ");
            for (index, (row, [installed, required, unknown])) in rows.iter().enumerate() {
                // Only numbers of our own: no need for thousands of placeholders.
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}({row}, {installed}, {required}, {unknown})");
            }
            let _ = write!(
                text,
                " ON CONFLICT ({id}) DO UPDATE SET installed = EXCLUDED.installed, required = EXCLUDED.required, \
                 unknown = EXCLUDED.unknown"
            );
            sqlx::query(AssertSqlSafe(text)).persistent(false).execute(&mut *connection).await?;
        }
        for rows in difference.vanished.chunks(ROWS_PER_STATEMENT) {
            let ids = rows.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            let text = format!("DELETE FROM {table} WHERE {id} IN ({ids})");
            sqlx::query(AssertSqlSafe(text)).persistent(false).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

fn now_milliseconds() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
