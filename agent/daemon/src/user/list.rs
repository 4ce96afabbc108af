//! The list of deployed updates, for people and for programs.

use super::Shown;
use crate::clock::now;
use crate::enforce::{Board, Item};
use crate::local_time::WallClock;
use crate::session::Session;
use farrier_agent_core::enforcement::Job;
use farrier_protocol::UnixTime;
use farrier_protocol::deployment::Purpose;
use farrier_protocol::enforcement::EnforcementState;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The deployed updates of this client; none where it has heard of no deployment.
pub(crate) struct Listed(Option<Board>);

/// Reads the list.
pub(crate) fn list(session: &mut Session<'_>) -> anyhow::Result<Listed> {
    let mut board = Board::open(session, now())?;
    if let Some(board) = &mut board {
        // What can no longer be understood is stored as failed.
        board.commit(&session.spool, true)?;
    }
    Ok(Listed(board))
}

impl Listed {
    /// Both.
    pub(crate) fn shown(&self) -> Shown {
        Shown { text: self.text(), json: self.json() }
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        json(self.0.as_ref())
    }

    /// What is not done with, for people.
    pub(crate) fn text(&self) -> String {
        text(self.0.as_ref())
    }
}

pub(super) fn json(board: Option<&Board>) -> Value {
    board.into_iter().flat_map(Board::items).map(|(item, job)| update_json(item, job)).collect()
}

pub(super) fn text(board: Option<&Board>) -> String {
    let mut text = String::new();
    let mut done = 0;
    for (board, item, job) in
        board.into_iter().flat_map(|board| board.items().map(move |(item, job)| (board, item, job)))
    {
        match job.state() {
            EnforcementState::Succeeded | EnforcementState::Superseded | EnforcementState::Cancelled => done += 1,
            _ => write(&mut text, &board.wall, item, job),
        }
    }
    // Writing to a string does not fail.
    let _ = match (text.is_empty(), done) {
        (true, 0) => writeln!(text, "No updates are deployed to this client."),
        (true, _) => writeln!(text, "Nothing is left to install. Done: {done}."),
        (false, 0) => Ok(()),
        (false, _) => writeln!(text, "Done: {done}."),
    };
    text
}

fn update_json(item: &Item, job: &Job) -> Value {
    json!({
        "id": item.offer.update.to_string(),
        "name": item.offer.name,
        "summary": item.offer.summary,
        "deployment": item.policy.name,
        "required": item.terms.purpose == Purpose::Required,
        "notification": item.policy.notification,
        "due_at": due(item, job),
        "deferred_until": job.deferred_until(),
        "state": job.state().as_str(),
        "since": job.since(),
        "until": job.until(),
        "reason": job.reason(),
        "bytes_left": job.bytes_left(),
        "installations": job.installations(),
    })
}

fn write(text: &mut String, wall: &WallClock, item: &Item, job: &Job) {
    let name = &item.policy.name;
    let purpose = match (item.terms.purpose, due(item, job)) {
        (Purpose::Available, _) => format!("offered by \"{name}\""),
        (Purpose::Required, Some(due)) if due > now() && item.terms.hold(now()).is_none() => {
            format!("required by \"{name}\", installs by itself at {}", wall.show(due))
        }
        (Purpose::Required, _) => format!("required by \"{name}\""),
    };
    let mut state = job.state().to_string();
    if !job.reason().is_empty() {
        let _ = write!(state, ": {}", job.reason());
    }
    if let Some(until) = job.until() {
        let _ = write!(state, " (until {})", wall.show(until));
    }
    let _ = writeln!(text, "{}\n  {}\n  {purpose}\n  {state}", item.offer.name, item.offer.summary);
}

fn due(item: &Item, job: &Job) -> Option<UnixTime> {
    item.terms.due_at(job, now())
}
