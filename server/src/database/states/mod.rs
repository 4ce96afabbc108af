//! Compliance states: committing what clients report.
//!
//! Any number of batches of any number of clients go into one transaction with a handful of statements, whose rows
//! are in the order of the clients. [`StateWriter`] gathers the batches.

mod apply;
mod clients;
mod enforcement;
mod plugins;
mod stream;
mod writer;

pub use writer::{StateError, StateWriter};

use super::rows::Marks;
use super::{Database, Engine};
use farrier_protocol::state_message::{StateBatch, StateReply};
use farrier_protocol::{ClientId, UnixTime};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::HashMap;
use std::sync::Arc;
use stream::{Changes, Stream};

/// A client under change: what the database holds of it, and what the batches do to it.
#[derive(Debug)]
struct ClientChanges<'a> {
    /// Its row.
    client: i64,
    stream: Stream,
    /// The newest row of the updates when states of unknown ones were first ignored; none if nothing was.
    incomplete_since: Option<i64>,
    /// The newest row of the updates now.
    newest_update: i64,
    changes: Changes<'a>,
}

impl Database {
    /// Commits one batch of one client.
    ///
    /// # Errors
    /// When the client is unknown or the database fails; then nothing changed.
    pub async fn commit_batch(
        &self,
        client: ClientId,
        batch: &StateBatch,
        now: UnixTime,
    ) -> Result<StateReply, StateError> {
        let replies = self.commit_batches(&[(client, batch)], now).await.map_err(Arc::new)?;
        replies.into_iter().next().flatten().ok_or(StateError::UnknownClient(client))
    }

    /// Commits batches, all or none, and answers them in their order: none for an unknown client. Batches of the same
    /// client count in the order they come in.
    pub(super) async fn commit_batches(
        &self,
        batches: &[(ClientId, &StateBatch)],
        now: UnixTime,
    ) -> Result<Vec<Option<StateReply>>, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let mut clients = lock_clients(&mut transaction, self.engine(), batches).await?;
        let replies = batches
            .iter()
            .map(|(client, batch)| {
                let client = clients.get_mut(client)?;
                let (new, reply) = client.stream.advance(batch);
                new.iter().for_each(|message| client.changes.push(message));
                Some(reply)
            })
            .collect();
        let mut clients: Vec<_> = clients.into_values().collect();
        clients.sort_unstable_by_key(|client| client.client);
        apply::apply(&mut transaction, self.engine(), &mut clients, now).await?;
        transaction.commit().await?;
        Ok(replies)
    }
}

/// Reads the streams of the batches' clients. PostgreSQL keeps other writers off these clients until the commit, and
/// takes the locks in one order everywhere; SQLite has one writer anyway.
async fn lock_clients<'a>(
    connection: &mut AnyConnection,
    engine: Engine,
    batches: &[(ClientId, &StateBatch)],
) -> Result<HashMap<ClientId, ClientChanges<'a>>, sqlx::Error> {
    let mut ids: Vec<ClientId> = batches.iter().map(|(client, _)| *client).collect();
    ids.sort_unstable();
    ids.dedup();
    let sql = format!(
        "SELECT id, client_id, stream, last_serial, incomplete_since, \
         (SELECT COALESCE(MAX(id), 0) FROM software_updates) AS newest_update \
         FROM clients WHERE client_id IN ({}) ORDER BY id{}",
        Marks::new(engine).list(ids.len()),
        if engine == Engine::Postgres { " FOR UPDATE" } else { "" }
    );
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    let query = ids.iter().fold(query, |query, client| query.bind(client.as_bytes()));
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(client_of_row).collect()
}

fn client_of_row<'a>(row: &AnyRow) -> Result<(ClientId, ClientChanges<'a>), sqlx::Error> {
    let id = ClientId::from_slice(row.try_get("client_id")?);
    let id = id.ok_or_else(|| sqlx::Error::Decode("a client's id is no id".into()))?;
    // Numbers of the wire are unsigned, those of the database are signed: the same 64 bits.
    let number = row.try_get::<Option<i64>, _>("stream")?.map(i64::cast_unsigned);
    let mut client = ClientChanges {
        client: row.try_get("id")?,
        stream: Stream { number, last_serial: row.try_get::<i64, _>("last_serial")?.cast_unsigned() },
        incomplete_since: row.try_get("incomplete_since")?,
        newest_update: row.try_get("newest_update")?,
        changes: Changes::default(),
    };
    // A site restored from a backup hears of updates that it has yet to import again. It cannot keep their states, and
    // the client says them once; so after an import the site follows its stream no more, which has it resend
    // everything. Only after one that brought new updates: while they stay unknown, asking again would never end.
    if client.incomplete_since.is_some_and(|since| since < client.newest_update) {
        client.stream.number = None;
        client.incomplete_since = None;
    }
    Ok((id, client))
}
