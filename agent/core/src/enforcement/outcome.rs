//! What happens to a job, as the engine tells it. Each call is what the engine did or is about to do; what has to be
//! durable first says so.

use super::decide::{Note, installed};
use super::history::{Finish, MAX_FINISHES, Next, Pause};
use super::restart::{RESTART_ASKED, RESTART_COUNTDOWN, RESTART_TOLD};
use super::{BootId, Event, Impossible, Job};
use alloc::format;
use alloc::string::String;
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::bounded;

/// The rest before a machine that did not restart is told again.
const RESTART_PAUSE_SECONDS: u32 = 3600;

const INTERRUPTED: &str = "the agent or the machine stopped while the installer was at work";

/// What an installer said when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what it was to do; a scan is to prove that.
    Done {
        /// What an administrator should know: `kept the locally modified /etc/ssl/openssl.cnf`.
        notes: &'a str,
        /// The machine's present boot, if the installer asked for a restart of the machine.
        restart: Option<BootId>,
    },
    /// It failed, was stopped or trapped, for this reason.
    Failed(&'a str),
}

impl Job {
    /// Notes what was decided. Returns whether that changed the job: only then it has to be stored and reported.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn note(&mut self, note: &Note, now: UnixTime) -> Result<bool, Impossible> {
        let before = self.clone();
        self.happen(note.event, note.until, &note.reason, now)?;
        if note.pause.is_some() {
            self.history.pause = note.pause;
        }
        if note.finish {
            self.history.finish = Finish { is_owed: true, tries: 0 };
        }
        Ok(*self != before)
    }

    /// Its content, of `length` bytes, is about to be fetched, or goes on being; `left` bytes of it are not here.
    /// Returns how many bytes may come at most before the job has to be asked again.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn download_begun(&mut self, length: u64, left: u64, now: UnixTime) -> Result<u64, Impossible> {
        self.happen(Event::DownloadBegun, None, "", now)?;
        let downloads = &mut self.history.budgets.downloads;
        (downloads.length, downloads.left) = (length, left);
        Ok(downloads.allowance())
    }

    /// Bytes came, wanted or not; `left` are not here yet. To be stored: they are counted against the job's budget.
    pub fn downloaded(&mut self, bytes: u64, left: u64) {
        self.history.budgets.downloads.came(bytes, left);
    }

    /// All of its content is here, and is what was signed.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn content_ready(&mut self, now: UnixTime) -> Result<(), Impossible> {
        self.happen(Event::ContentReady, None, "", now)
    }

    /// Its content cannot be had at the moment, or what is here is not what was signed. A source may have said when to
    /// ask again.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn content_missing(
        &mut self,
        reason: &str,
        retry_after_seconds: Option<u32>,
        random: u32,
        now: UnixTime,
    ) -> Result<(), Impossible> {
        self.happen(Event::ContentMissing, None, reason, now)?;
        let seconds = self.history.budgets.downloads.failed(random, retry_after_seconds);
        self.rest(Pause::start(Next::Download, seconds, now));
        Ok(())
    }

    /// The installer refuses to select, or to begin: nothing was changed. It counts as an attempt.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn refused(&mut self, reason: &str, random: u32, now: UnixTime) -> Result<(), Impossible> {
        self.happen(Event::Refused, None, reason, now)?;
        let seconds = self.history.budgets.attempts.pause_seconds(random);
        self.rest(Pause::start(Next::Installation, seconds, now));
        Ok(())
    }

    /// The installer is about to begin, in this boot. To be stored durably, with its message, before it does.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn installation_begun(&mut self, boot: Option<BootId>, now: UnixTime) -> Result<(), Impossible> {
        self.happen(Event::InstallBegun, None, "", now)?;
        self.history.installed_in = boot;
        Ok(())
    }

    /// The installer ended. Whatever it said: a scan comes next.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn installation_ended(&mut self, outcome: Outcome<'_>, now: UnixTime) -> Result<(), Impossible> {
        match outcome {
            Outcome::Done { notes, restart } => {
                self.happen(Event::InstallEnded, None, notes, now)?;
                (self.history.notes, self.history.installed_in) = (bounded(notes), restart);
            }
            Outcome::Failed(reason) => {
                self.happen(Event::InstallEnded, None, reason, now)?;
                (self.history.trouble, self.history.installed_in) = (bounded(reason), None);
            }
        }
        Ok(())
    }

    /// The agent started and finds the job as a crash left it. Returns whether that changed the job: what was not at
    /// work is left alone.
    pub fn interrupted(&mut self, now: UnixTime) -> bool {
        if self.state == EnforcementState::Downloading {
            self.history.budgets.downloads.interrupted();
            return true;
        }
        let was_rolling_back = self.history.rolling_back;
        let was_at_work = self.happen(Event::Interrupted, None, INTERRUPTED, now).is_ok();
        if was_at_work && !was_rolling_back {
            self.history.trouble = bounded(INTERRUPTED);
        }
        was_at_work
    }

    /// The installer is about to finish. To be stored durably before it does: one that takes the agent down with it is not
    /// asked for ever.
    pub fn finish_begun(&mut self) {
        self.history.finish.tries = self.history.finish.tries.saturating_add(1);
    }

    /// The installer finished, with what an administrator should know; or it failed to, for this reason: then it is asked
    /// again after the next scan, but not too often. What a scan proved stays proved.
    pub fn finish_ended(&mut self, result: Result<&str, &str>) {
        let tries = self.history.finish.tries;
        let reason = match result {
            Ok(notes) => {
                self.history.finish.is_owed = false;
                self.history.notes = bounded(&joined(&self.history.notes, notes));
                // Beside trouble there is no other place for them.
                if self.history.trouble.is_empty() { installed(self) } else { joined(&installed(self), notes) }
            }
            Err(reason) => format!("installed, but finishing it failed (try {tries} of {MAX_FINISHES}): {reason}"),
        };
        self.history.reason = bounded(&reason);
    }

    /// The installer is about to roll back. To be stored durably, with its message, before it does.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn roll_back_begun(&mut self, now: UnixTime) -> Result<(), Impossible> {
        self.happen(Event::RollBackBegun, None, "rolling back to what was there before", now)
    }

    /// The roll-back ended: the job is over, one way or the other.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn roll_back_ended(&mut self, result: Result<(), &str>, now: UnixTime) -> Result<(), Impossible> {
        let trouble = &self.history.trouble;
        let (event, reason) = match result {
            Ok(()) => (Event::RolledBack, format!("rolled back: {trouble}")),
            Err(reason) => {
                (Event::GaveUp, format!("it could not be rolled back ({reason}) after it failed: {trouble}"))
            }
        };
        self.happen(event, None, &reason, now)
    }

    /// Users were told that the machine has to restart; at this time, if it does by itself.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn restart_announced(&mut self, at: Option<UnixTime>, now: UnixTime) -> Result<(), Impossible> {
        let reason = if at.is_some() { RESTART_COUNTDOWN } else { RESTART_ASKED };
        self.happen(Event::RestartNeeded, at, reason, now)?;
        self.history.announced_at = Some(now);
        Ok(())
    }

    /// The machine is about to be told to restart. To be stored durably before.
    ///
    /// # Errors
    /// When it cannot happen in the job's state.
    pub fn restart_begun(&mut self, now: UnixTime) -> Result<(), Impossible> {
        self.history.announced_at = None;
        let pause = Pause::start(Next::Restart, RESTART_PAUSE_SECONDS, now);
        self.happen(Event::RestartNeeded, Some(pause.timer.end()), RESTART_TOLD, now)?;
        self.history.pause = Some(pause);
        Ok(())
    }

    /// What just happened is tried again after a pause.
    fn rest(&mut self, pause: Pause) {
        let history = &mut self.history;
        (history.trouble, history.until, history.pause) =
            (history.reason.clone(), Some(pause.timer.end()), Some(pause));
    }
}

/// Two texts, either of which may be empty.
fn joined(one: &str, other: &str) -> String {
    let separator = if one.is_empty() || other.is_empty() { "" } else { "; " };
    format!("{one}{separator}{other}")
}
