//! How far a suite is: counted where the work is done, written to the database a few times a second.

use crate::database::{Database, SuitePhase, SuiteSync};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

const NOTES_PER_SECOND: u32 = 4;

/// A counter that many hold and anyone may advance.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    phase: SuitePhase,
    done: u64,
    total: u64,
}

impl Progress {
    /// Nothing is done yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Count { phase: SuitePhase::Waiting, done: 0, total: 0 })))
    }

    /// Begins a phase of so many bytes or packages; 0 where nobody knows.
    pub fn enter(&self, phase: SuitePhase, total: u64) {
        self.change(|count| *count = Count { phase, done: 0, total });
    }

    /// So much more is done.
    pub fn advance(&self, by: u64) {
        self.change(|count| count.done += by);
    }

    /// So much is done in all.
    pub fn advance_to(&self, done: u64) {
        self.change(|count| count.done = done);
    }

    /// Does some work and meanwhile records how far it is.
    ///
    /// The work must not hold a write transaction: SQLite has one writer, and the two would wait for each other.
    pub async fn record<T>(&self, database: &Database, run: i64, suite: &str, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut clock = tokio::time::interval(Duration::from_secs(1) / NOTES_PER_SECOND);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                output = &mut work => return output,
                _ = clock.tick() => self.note(database, run, suite).await,
            }
        }
    }

    /// Records how far it is now. A note that cannot be written is no reason to stop the work.
    pub async fn note(&self, database: &Database, run: i64, suite: &str) {
        let count = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let note = SuiteSync {
            phase: count.phase,
            done: i64::try_from(count.done).unwrap_or(i64::MAX),
            total: i64::try_from(count.total).unwrap_or(i64::MAX),
            ..SuiteSync::waiting(suite)
        };
        if let Err(error) = database.record_suite_sync(run, &note).await {
            tracing::warn!(suite.name = suite, %error, "Progress cannot be recorded.");
        }
    }

    fn change(&self, change: impl FnOnce(&mut Count)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
