//! A client that has nothing to do: it asks whether that is still so without opening, locking or writing anything.

use crate::agent::Agent;
use crate::clock::{BUILT_AT, now};
use crate::notes::Notes;
use crate::session::Session;
use crate::site::is_unreachable;
use crate::statement::{Director, ask};
use farrier_agent_core::clock::{Refreshed, trusted_now};
use farrier_protocol::poll::Statement;
use farrier_protocol::{ClientId, Digest, UnixTime};
use std::time::SystemTime;

/// What a client holds: as long as the site says the same, nothing has changed.
#[derive(Debug)]
pub(crate) struct Held {
    assignment: Digest,
    root: u64,
    timestamp: Digest,
    expires: UnixTime,
    refreshed: Refreshed,
}

impl Held {
    /// What the client of this session holds. Nothing is returned where something of it is missing.
    pub(crate) fn of(session: &Session<'_>) -> anyhow::Result<Option<Self>> {
        let Some(policy) = session.policy() else { return Ok(None) };
        let Notes { refreshed, content_missing, engine, .. } = Notes::load(&session.spool)?;
        // What another engine needs may have been there all the time.
        let is_missing = content_missing || engine != session.agent.engine().map(|engine| engine.to_string());
        let Some(refreshed) = refreshed.filter(|_| !is_missing) else { return Ok(None) };
        let standing = &policy.repository;
        let (root, timestamp, expires) = (session.accepted.root_version(), standing.timestamp, standing.expires);
        Ok((standing.root == root).then_some(Self { assignment: policy.digest, root, timestamp, expires, refreshed }))
    }

    /// Whether the site has nothing else, and nothing is to be verified anew.
    pub(crate) fn is_all_of(&self, statement: &Statement, now: UnixTime, clock: UnixTime) -> bool {
        (statement.assignment, statement.root, statement.timestamp) == (self.assignment, self.root, self.timestamp)
            && now < self.expires
            && !self.refreshed.is_due(clock, statement.issued_at)
    }
}

/// A client whose site heard everything, and that holds everything the site has.
#[derive(Debug)]
pub(crate) struct Settled {
    client: ClientId,
    director: Director,
    held: Held,
    accepted_time: UnixTime,
    spool_written_at: SystemTime,
}

impl Settled {
    /// Closes a session. Nothing is returned where there is still something to do.
    pub(crate) fn close(session: Session<'_>) -> Option<Self> {
        let held = Held::of(&session).ok()??;
        // That it ended is for a session to note.
        let refuses = Notes::load(&session.spool).ok()?.refusal.is_some_and(|refusal| refusal.stands);
        let unsent = session.spool.stream().ok()?.unsent();
        let director = session.accepted.director().ok()?;
        let (client, agent, accepted_time) =
            (session.identity.client, session.agent, session.accepted.floors.accepted_time);
        drop(session);
        if unsent > 0 || refuses {
            return None;
        }
        Some(Self { client, director, held, accepted_time, spool_written_at: written_at(agent)? })
    }

    /// Polls the site: true if there is still nothing to do. What it refuses, and what it says that cannot be believed, is
    /// for a session to note.
    pub(crate) async fn is_unchanged(&self, agent: &Agent) -> anyhow::Result<bool> {
        let identity = agent.identity()?;
        if identity.client != self.client || written_at(agent) != Some(self.spool_written_at) {
            return Ok(false);
        }
        let site = agent.site(&identity, self.accepted_time)?;
        let reply = match ask(agent, &site, Some(self.held.assignment)).await {
            Err(error) if !is_unreachable(&error) => return Ok(false),
            reply => reply?,
        };
        agent.note_contact();
        let clock = now();
        let now = trusted_now(clock, BUILT_AT, self.accepted_time);
        let statement = reply.statement(&self.director, now);
        Ok(statement.is_ok_and(|statement| self.held.is_all_of(&statement, now, clock)))
    }
}

/// When anybody wrote the spool.
fn written_at(agent: &Agent) -> Option<SystemTime> {
    std::fs::metadata(agent.layout.spool()).and_then(|file| file.modified()).ok()
}
