//! The group commit: batches that arrive while a transaction is being committed share the next one.

use crate::database::{Database, Engine, now};
use crate::signals::Signals;
use farrier_protocol::ClientId;
use farrier_protocol::state_message::{StateBatch, StateMessage, StateReply};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Batches in one transaction, at most.
const MAX_BATCHES_PER_COMMIT: usize = 256;
/// Batches that wait for a transaction, at most; whoever brings one more waits to hand it over.
const MAX_WAITING_BATCHES: usize = 1024;
/// Transactions at the same time. SQLite has one writer; PostgreSQL works on several.
const POSTGRES_WRITERS: usize = 4;

/// Why a batch is not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// The site does not know the client.
    #[error("client {0} is not known to this site: enrol it again")]
    UnknownClient(ClientId),
    /// The database failed.
    #[error("state messages cannot be committed")]
    Database(#[from] Arc<sqlx::Error>),
    /// The site is stopping.
    #[error("the site is stopping; state messages are taken again when it is back")]
    Stopping,
}

/// A batch on its way, and who waits for it.
struct Waiting {
    client: ClientId,
    batch: Box<StateBatch>,
    reply: oneshot::Sender<Result<StateReply, StateError>>,
}

/// Commits state messages of all clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StateWriter {
    queues: Arc<[mpsc::Sender<Waiting>]>,
}

impl StateWriter {
    /// Starts the writers; they end when the last clone of this handle is dropped and what waits is committed.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::with_signals(database, Signals::default())
    }

    /// The same with a site's bells: whoever shows deployments is told when clients got on with them.
    #[must_use]
    pub fn with_signals(database: Database, signals: Signals) -> Self {
        let writers = match database.engine() {
            Engine::Sqlite => 1,
            Engine::Postgres => POSTGRES_WRITERS,
        };
        let start = |_| {
            let (sender, receiver) = mpsc::channel(MAX_WAITING_BATCHES);
            tokio::spawn(write(database.clone(), signals.clone(), receiver));
            sender
        };
        Self { queues: (0..writers).map(start).collect() }
    }

    /// Commits a batch. The answer comes after the commit.
    ///
    /// # Errors
    /// When the client is unknown or the database fails; then nothing of the batch is committed.
    pub async fn commit(&self, client: ClientId, batch: Box<StateBatch>) -> Result<StateReply, StateError> {
        let (reply, answer) = oneshot::channel();
        self.queue(client).send(Waiting { client, batch, reply }).await.map_err(|_| StateError::Stopping)?;
        answer.await.map_err(|_| StateError::Stopping)?
    }

    /// A client has one writer, so that its batches stay in order.
    fn queue(&self, client: ClientId) -> &mpsc::Sender<Waiting> {
        &self.queues[usize::from(client.0[0]) % self.queues.len()]
    }
}

async fn write(database: Database, signals: Signals, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(MAX_BATCHES_PER_COMMIT);
    while queue.recv_many(&mut waiting, MAX_BATCHES_PER_COMMIT).await > 0 {
        let answers = commit_together(&database, &waiting).await;
        let is_enforcement = |message: &StateMessage| matches!(message, StateMessage::Enforcement(_));
        if waiting.iter().any(|waiting| waiting.batch.messages.iter().any(is_enforcement)) {
            signals.deployments_look_different();
        }
        for (waiting, answer) in waiting.drain(..).zip(answers) {
            // Nobody waits any more if the connection broke: the client will ask again.
            let _ = waiting.reply.send(answer);
        }
    }
}

async fn commit_together(database: &Database, waiting: &[Waiting]) -> Vec<Result<StateReply, StateError>> {
    let batches: Vec<_> = waiting.iter().map(|waiting| (waiting.client, &*waiting.batch)).collect();
    match database.commit_batches(&batches, now()).await {
        Ok(replies) => {
            let unknown = |waiting: &Waiting| StateError::UnknownClient(waiting.client);
            waiting.iter().zip(replies).map(|(waiting, reply)| reply.ok_or_else(|| unknown(waiting))).collect()
        }
        // One of them is at fault: its neighbours shall not suffer.
        Err(error) if batches.len() > 1 && is_refused(&error, database.engine()) => {
            tracing::warn!(%error, batches = batches.len(), "State messages fail together and are tried one by one");
            let mut answers = Vec::with_capacity(batches.len());
            for (client, batch) in batches {
                answers.push(database.commit_batch(client, batch, now()).await);
            }
            answers
        }
        Err(error) => {
            let error = Arc::new(error);
            batches.iter().map(|_| Err(StateError::Database(error.clone()))).collect()
        }
    }
}

/// Whether the database refused what was to be written. When it fails otherwise (it is busy, full, or gone) it would
/// fail each batch alone, after another wait.
fn is_refused(error: &sqlx::Error, engine: Engine) -> bool {
    let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
    match engine {
        // Too big, constraint and mismatch: the lowest byte of an extended code.
        Engine::Sqlite => code.parse::<u32>().is_ok_and(|code| (18..=20).contains(&(code & 0xff))),
        // The classes of data exceptions and of integrity constraint violations.
        Engine::Postgres => code.starts_with("22") || code.starts_with("23"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_the_database_refuses_is_tried_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
        let mut other = database.pool().acquire().await.unwrap();
        let _writing = database.begin_write().await.unwrap();
        for (statements, expected) in [
            ("SELECT * FROM nothing", false),
            ("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE", false),
            ("CREATE TEMP TABLE one (id INTEGER PRIMARY KEY); INSERT INTO one VALUES (1), (1)", true),
        ] {
            let error = sqlx::raw_sql(statements).execute(&mut *other).await.unwrap_err();
            assert_eq!(is_refused(&error, Engine::Sqlite), expected, "{error}");
        }
        assert!(!is_refused(&sqlx::Error::PoolTimedOut, Engine::Sqlite));
    }
}
