//! The site database: all SQL is below this module, one function per need, rows in and out as types.
//!
//! SQLite (embedded, the default) and PostgreSQL run the same queries through sqlx's `Any` driver. What that asks of the
//! SQL: placeholders are `$1`, integers are `BIGINT` (`i64`), truth is `0` or `1`, sums are cast to `BIGINT`, no
//! `Arc<str>` is bound (the driver of SQLite panics), and a long list travels as rows of `VALUES` that [`rows`] writes.

mod clients;
mod connect;
mod publications;
mod rows;
mod states;
mod suites;
mod supersedence;
mod sync_runs;
mod tokens;
mod updates;
pub mod views;

pub use connect::{Database, DatabaseError, Engine};
pub use publications::{CatalogPackage, CatalogUpdate, Publication, PublishedContent};
pub use states::{StateError, StateWriter};
pub use suites::{Follow, Suite};
pub use sync_runs::{Requester, SuitePhase, SuiteSync, SyncRun, UnknownWord};
pub use updates::{ImportCounts, ImportedPackage, ImportedUpdate, SuiteImport};

use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of one multi-row statement, at most: ten columns of them stay below SQLite's 32,766 parameters.
pub const ROWS_PER_STATEMENT: usize = 2_000;

/// Now, in Unix seconds, as the database stores time.
#[must_use]
pub fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
