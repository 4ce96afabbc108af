//! What whoever asks is told while an installer is at work: the data folder is locked until it ends, perhaps for hours, and
//! nobody is to wait for an answer that long. It is never read by the agent itself.

use super::list;
use crate::agent::Agent;
use crate::clock::{Moment, now};
use crate::enforce::Board;
use crate::lock::{Attempt, Lock, RETRY};
use crate::session::Session;
use crate::status::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The answers to everything that can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    /// To `updates`.
    pub(crate) updates: Shown,
    /// To `status`.
    pub(crate) status: Shown,
}

/// One answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
}

/// The answers where others find them, until this is dropped.
#[derive(Debug)]
pub(crate) struct Posted(PathBuf);

impl Posted {
    /// Posts how things stand now. An installation does not fail because that cannot be done.
    pub(crate) fn new(session: &mut Session<'_>, board: &Board) -> Self {
        let file = session.agent.layout.at_work();
        let posted =
            Answers::of(session, board).and_then(|answers| Ok(fs::write(&file, serde_json::to_vec(&answers)?)?));
        if let Err(error) = posted {
            tracing::debug!(error = format!("{error:#}"), "Whoever asks has to wait for the installer");
        }
        Self(file)
    }
}

impl Shown {
    /// As it is printed.
    pub(crate) fn printed(&self, json: bool) -> String {
        if json { format!("{}\n", self.json) } else { self.text.clone() }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        // What is left over is removed by the next session.
        let _ = fs::remove_file(&self.0);
    }
}

impl Answers {
    fn of(session: &mut Session<'_>, board: &Board) -> anyhow::Result<Self> {
        let status = Status::of(session)?;
        let said = |text: String| {
            format!("An installer is at work. This is how things stood when it began, {}.\n{text}", Moment(now()))
        };
        Ok(Self {
            updates: Shown { text: said(list::text(Some(board))), json: list::json(Some(board)) },
            status: Shown { text: said(Status::text(Some(&status))), json: Status::json(Some(&status)) },
        })
    }
}

/// The data folder, as soon as it is free, or the answers of whoever has an installer at work in it.
pub(crate) fn session_or_answers(agent: &Agent) -> anyhow::Result<Result<Session<'_>, Answers>> {
    agent.identity()?;
    loop {
        match Lock::attempt(&agent.layout.lock())? {
            Attempt::Locked(lock) => {
                agent.progress.clear();
                return Session::open(agent, lock).map(Ok);
            }
            Attempt::HeldBy(holder) => {
                let posted = fs::read(agent.layout.at_work()).ok();
                // Half of it is there while it is written.
                if let Some(answers) = posted.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                    agent.progress.clear();
                    return Ok(Err(answers));
                }
                agent.progress.show(format_args!("Waiting for another farrier-agent ({holder})"));
                std::thread::sleep(RETRY);
            }
        }
    }
}
