//! What is remembered of a job beside its state, and what each event adds to it.

use super::Event;
use super::budget::Budgets;
use crate::schedule::Timer;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::state_message::Text;
use farrier_protocol::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

/// How often an installer is asked to finish, at most.
pub const MAX_FINISHES: u8 = 3;

/// What is remembered of a job beside its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// When the state began.
    pub(super) since: UnixTime,
    /// When the client first heard of it.
    pub(super) first_seen: UnixTime,
    /// The number of the administrator's last request to try again that was followed.
    pub(super) retries: u16,
    /// Whether a user asked for it.
    pub(super) asked: bool,
    /// As long as the user who asked is there to see what happens: no window is waited for.
    pub(super) attended: Option<Timer>,
    /// Until when a user put it off.
    pub(super) deferred_until: Option<UnixTime>,
    /// How often the installer was started, ever.
    pub(super) installations: u16,
    /// What was used up since it began or was tried again.
    pub(super) budgets: Budgets,
    /// The rest before the next try.
    pub(super) pause: Option<Pause>,
    /// The boot in which it was installed, if it takes effect with the next one; while the installer is at work, and if it
    /// was cut off, the boot in which it began.
    pub(super) installed_in: Option<BootId>,
    /// When users were last told that the machine has to restart.
    pub(super) announced_at: Option<UnixTime>,
    /// Whether the installer that is at work rolls back.
    pub(super) rolling_back: bool,
    /// What went wrong last: with the content, or with the installer.
    pub(super) trouble: Text,
    /// What the installer wants an administrator to know.
    pub(super) notes: Text,
    /// Until when it waits, where it waits for a time.
    pub(super) until: Option<UnixTime>,
    /// Why it is in its state, in words.
    pub(super) reason: Text,
    /// What is left to do once it is proved. The second form of the journal begins here.
    pub(super) finish: Finish,
}

/// What an installer has left to do once a scan proved what it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finish {
    /// Whether it is to be asked to.
    pub(super) is_owed: bool,
    /// How often it was asked.
    pub(super) tries: u8,
}

impl Finish {
    /// Whether it is to be asked, and was not too often.
    pub(super) fn is_due(self) -> bool {
        self.is_owed && self.tries < MAX_FINISHES
    }
}

/// A rest before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    /// How long; a clock that is set never makes it longer.
    pub(super) timer: Timer,
    /// What is tried next.
    pub(super) before: Next,
}

impl Pause {
    pub(super) fn start(before: Next, seconds: u32, now: UnixTime) -> Self {
        Self { timer: Timer::start(now, seconds), before }
    }
}

/// What is tried after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Next {
    /// To fetch the content.
    Download,
    /// To install, after the installer failed or refused.
    Installation,
    /// To scan, after a scan that could not tell.
    Scan,
    /// To restart the machine, which did not follow.
    Restart,
}

/// One run of the machine between two restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId([u8; 8]);

impl BootId {
    /// The boot that the operating system calls this (`/proc/sys/kernel/random/boot_id`), whatever its form.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let Digest([a, b, c, d, e, f, g, h, ..]) = Digest::of(name.trim().as_bytes());
        Self([a, b, c, d, e, f, g, h])
    }
}

impl History {
    /// Nothing happened yet.
    pub(super) fn new(retries: u16, now: UnixTime) -> Self {
        Self {
            since: now,
            first_seen: now,
            retries,
            asked: false,
            attended: None,
            deferred_until: None,
            installations: 0,
            budgets: Budgets::default(),
            pause: None,
            installed_in: None,
            announced_at: None,
            rolling_back: false,
            trouble: Text::new(),
            notes: Text::new(),
            until: None,
            reason: Text::new(),
            finish: Finish::default(),
        }
    }

    /// What an event means for the time to come, beside the state that it leads to.
    pub(super) fn remember(&mut self, event: Event, before: EnforcementState) {
        match event {
            Event::Held | Event::DownloadBegun | Event::ContentMissing | Event::WindowClosed => {}
            Event::ContentReady => {
                self.budgets.downloads.left = 0;
                self.trouble.clear();
            }
            Event::Refused => self.budgets.attempts.refused(),
            Event::InstallBegun => {
                // Before the installer does: one that takes the machine down with it counts.
                self.budgets.attempts.begun();
                self.installations = self.installations.saturating_add(1);
                self.trouble.clear();
                self.notes.clear();
                self.finish = Finish::default();
            }
            Event::InstallEnded => self.rolling_back = false,
            Event::Interrupted => {
                if !self.rolling_back {
                    self.budgets.attempts.interrupted();
                }
                self.rolling_back = false;
            }
            // What was proved is not so any more. The attempts count on: a machine that goes back by itself is not to
            // install for ever. And what is there now is not what a roll-back would be from.
            Event::Disproved if before == EnforcementState::Succeeded => {
                self.budgets.attempts.touched = false;
                self.trouble = self.reason.clone();
                self.finish = Finish::default();
            }
            Event::Disproved | Event::RestartNeeded => {}
            Event::Restarted => self.forget_restart(),
            Event::RollBackBegun => {
                self.budgets.attempts.roll_back_begun();
                self.rolling_back = true;
            }
            Event::Proven | Event::Superseded | Event::Cancelled => {
                self.asked = false;
                self.close();
            }
            // A user's wish that did not come true stays: an administrator may want it tried again.
            Event::RolledBack | Event::GaveUp => self.close(),
            Event::Retried | Event::Redeployed => self.begin_afresh(),
        }
    }

    /// Nothing is used up and nothing went wrong.
    pub(super) fn begin_afresh(&mut self) {
        self.budgets = self.budgets.afresh();
        self.pause = None;
        self.finish = Finish::default();
        self.trouble.clear();
        self.notes.clear();
    }

    /// The job is over.
    fn close(&mut self) {
        (self.attended, self.deferred_until) = (None, None);
        self.rolling_back = false;
        self.budgets.downloads.left = 0;
        self.forget_restart();
    }

    fn forget_restart(&mut self) {
        (self.installed_in, self.announced_at, self.pause) = (None, None, None);
    }
}
