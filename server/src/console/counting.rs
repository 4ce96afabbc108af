//! Keeps the counts that pages show young, at a bounded price.
//!
//! A page asks for a recount when the last one is older than [`AGE_PER_COST`] times what it cost: a small site counts for
//! every page and is always exact, a site of fifty million states spends a twentieth of one core at most, and only while
//! somebody looks. A page waits for a recount only as long as a person does not notice; the page says how old its counts
//! are.

use crate::database::Database;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// How many times as old as its cost a count may become.
const AGE_PER_COST: i64 = 20;
/// How long a page waits for a recount before it shows the earlier one.
const PATIENCE_MILLISECONDS: i64 = 100;
const PATIENCE: Duration = Duration::from_millis(PATIENCE_MILLISECONDS as u64);

/// The recounting of one process: at most one at a time.
#[derive(Debug, Clone)]
pub(super) struct Counting {
    database: Database,
    running: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Counting {
    pub(super) fn new(database: Database) -> Self {
        Self { database, running: Arc::default() }
    }

    /// Recounts if it is time. A page waits for it where that will be short; else it goes on by itself.
    pub(super) async fn refresh(&self) -> Result<(), sqlx::Error> {
        let mut running = self.running.lock().await;
        let summary = self.database.summary().await?;
        if running.as_ref().is_none_or(JoinHandle::is_finished) {
            if summary.age_milliseconds() < summary.took_milliseconds.saturating_mul(AGE_PER_COST) {
                return Ok(());
            }
            let database = self.database.clone();
            *running = Some(tokio::spawn(async move {
                if let Err(error) = database.summarize().await {
                    tracing::error!(%error, "Compliance states could not be counted");
                }
            }));
        }
        if let Some(task) = running.as_mut().filter(|_| summary.took_milliseconds < PATIENCE_MILLISECONDS) {
            // A task that panicked or goes on: either way the page shows the earlier counts.
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
        Ok(())
    }
}
