//! What is to be done about a job now.

use super::history::{Next, Pause};
use super::{BootId, Calendar, Event, Job, Opening, Terms, restart};
use alloc::format;
use alloc::string::String;
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ComplianceState, UnixTime};

/// The rest before another scan, after one that could not tell.
const SCAN_PAUSE_SECONDS: u32 = 15 * 60;

/// What is to be done about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing outside the journal: [`Job::note`] it. If that changed the job, decide again at once, else when anything
    /// in the situation changed, at the latest at the note's `until`.
    Note(Note),
    /// Scan, and decide again with what the scan says.
    Rescan,
    /// Have the installer select, and fetch what is missing of its selection: [`Job::download_begun`], for as long as a
    /// turn allows, then [`Job::downloaded`] and [`Job::content_ready`] or [`Job::content_missing`].
    Download,
    /// Have the installer plan ([`Job::refused`] if it does not) and install: [`Job::installation_begun`], durably, and
    /// then [`Job::installation_ended`].
    Install,
    /// Have the installer roll back: [`Job::roll_back_begun`], durably, and then [`Job::roll_back_ended`].
    RollBack,
    /// A scan proved what the installer did. Have it finish: [`Job::finish_begun`], durably, and then
    /// [`Job::finish_ended`].
    Finish,
    /// Tell users that the machine has to restart: [`Job::restart_announced`].
    AnnounceRestart {
        /// When it will; none if it is theirs to do.
        at: Option<UnixTime>,
    },
    /// Restart the machine: [`Job::restart_begun`], durably, before.
    Restart,
    /// Nothing, until something else than time changes.
    Nothing,
}

/// Something to note in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub event: Event,
    /// Until when the job waits, where it waits for a time.
    pub until: Option<UnixTime>,
    /// Why, in words.
    pub reason: String,
    pub(super) pause: Option<Pause>,
    /// Whether the installer has something left to do.
    pub(super) finish: bool,
}

/// What matters to a decision, beside the job and its terms.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What time it is.
    pub now: UnixTime,
    /// When something may be installed.
    pub calendar: &'a Calendar,
    /// What a scan says of the update, if there was one since the agent last waited, downloaded, installed or
    /// restarted. An older one is not to be shown: it proves nothing.
    pub scan: Option<ComplianceState>,
    /// Whether everything that the installer selected is here, in its full length.
    pub content_ready: bool,
    /// Whether everything that a roll-back needs is here.
    pub previous_ready: bool,
    /// The machine's present boot; none if a restart is not applicable (an image that does not run).
    pub boot: Option<BootId>,
    /// A random number, for jitter.
    pub random: u32,
}

/// What is to be done about `job` now.
#[must_use]
pub fn decide(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    match job.state {
        EnforcementState::Waiting
        | EnforcementState::WaitingForContent
        | EnforcementState::Downloading
        | EnforcementState::Downloaded
        | EnforcementState::WaitingForWindow => prepare(job, terms, situation),
        // The engine is at it; after a crash it says so with `Job::interrupted`.
        EnforcementState::Installing => Decision::Nothing,
        EnforcementState::PendingRestart => restart::decide(job, terms, situation),
        EnforcementState::Verifying => verify(job, terms, situation),
        EnforcementState::Succeeded => stay(job, terms, situation),
        EnforcementState::Failed | EnforcementState::RolledBack => {
            proof(job, situation).map_or(Decision::Nothing, Decision::Note)
        }
        EnforcementState::Superseded | EnforcementState::Cancelled => Decision::Nothing,
    }
}

/// Before the installation: scan, download, wait for the time, scan, install.
fn prepare(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    let now = situation.now;
    if let Some(proven) = proof(job, situation) {
        return Decision::Note(proven);
    }
    if job.history.budgets.attempts.are_spent(terms.attempts) {
        return give_up(job, terms, situation);
    }
    if let Some((until, reason)) = terms.hold(now) {
        return Note::new(Event::Held, until, reason).into();
    }
    if let Some(resting) = rest(job, terms, situation) {
        return resting.into();
    }
    if situation.content_ready { install(job, terms, situation) } else { fetch(job, terms, situation) }
}

fn fetch(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    let now = situation.now;
    if !terms.download_ahead && !job.is_its_time(terms, now) {
        let (until, reason) = awaited(job, terms, now);
        return Note::new(Event::Held, until, reason).into();
    }
    if job.history.budgets.downloads.is_spent() {
        let reason = format!("its content was downloaded again and again without success: {}", job.history.trouble);
        return Note::new(Event::GaveUp, None, reason).into();
    }
    match situation.scan {
        _ if job.state == EnforcementState::Downloading => Decision::Download,
        None => Decision::Rescan,
        Some(ComplianceState::Unknown) => undecided(now),
        Some(ComplianceState::Required | ComplianceState::Installed | ComplianceState::NotRequired) => {
            Decision::Download
        }
    }
}

fn install(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    let now = situation.now;
    if !job.is_its_time(terms, now) {
        let (until, reason) = awaited(job, terms, now);
        return Note::new(Event::ContentReady, until, reason).into();
    }
    if !matches!(job.state, EnforcementState::Downloaded | EnforcementState::WaitingForWindow) {
        return Note::new(Event::ContentReady, None, String::new()).into();
    }
    // A user who asks is there to see what happens.
    if !terms.install_any_time
        && !is_attended(job, now)
        && let Opening::Later { at, reason } =
            situation.calendar.opening(now, terms.max_run_seconds, "its maximum run time")
    {
        return Note::new(Event::WindowClosed, at, reason).into();
    }
    match situation.scan {
        None => Decision::Rescan,
        Some(ComplianceState::Unknown) => undecided(now),
        Some(ComplianceState::Required | ComplianceState::Installed | ComplianceState::NotRequired) => {
            Decision::Install
        }
    }
}

/// After the installer: what a scan says counts, not what the installer said.
fn verify(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    if situation.scan.is_none() {
        return Decision::Rescan;
    }
    if restart::is_pending(job, situation) && !job.history.budgets.attempts.cut_off {
        return Note::new(Event::RestartNeeded, None, restart::RESTART_NEEDED.into()).into();
    }
    if let Some(proven) = proof(job, situation) {
        return Decision::Note(proven);
    }
    let now = situation.now;
    let pause = Pause::start(Next::Installation, job.history.budgets.attempts.pause_seconds(situation.random), now);
    let note = Note::new(Event::Disproved, Some(pause.timer.end()), attempted(job, terms));
    Note { pause: Some(pause), ..note }.into()
}

/// Nothing is proved for ever: the endpoint may have been rolled back, or have got an old version of what it did not
/// have.
fn stay(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    match situation.scan {
        Some(ComplianceState::Required) if terms.standing != Standing::Cancelled => {
            Note::new(Event::Disproved, None, "a scan says that it is required again".into()).into()
        }
        Some(ComplianceState::Installed) if job.history.finish.is_due() => Decision::Finish,
        Some(_) | None => Decision::Nothing,
    }
}

/// No attempt is left: what can be rolled back is, and the job ends.
fn give_up(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    if terms.roll_back && situation.previous_ready && job.history.budgets.attempts.can_be_rolled_back() {
        match situation.scan {
            None => return Decision::Rescan,
            Some(ComplianceState::Required) => return Decision::RollBack,
            // What a scan cannot tell may well be installed.
            Some(ComplianceState::Unknown | ComplianceState::Installed | ComplianceState::NotRequired) => {}
        }
    }
    Note::new(Event::GaveUp, None, attempted(job, terms)).into()
}

/// What a scan proves of the job, if it does.
fn proof(job: &Job, situation: &Situation<'_>) -> Option<Note> {
    match situation.scan? {
        ComplianceState::NotRequired => Some(Note::new(Event::Proven, None, "not required".into())),
        // The installer was cut off. What it installed may need a restart, and nobody is left to say so: it is taken to
        // need one.
        ComplianceState::Installed if restart::is_pending(job, situation) => {
            Some(Note::new(Event::RestartNeeded, None, restart::RESTART_UNKNOWN.into()))
        }
        ComplianceState::Installed => {
            let finish = job.history.budgets.attempts.touched && job.state != EnforcementState::RolledBack;
            Some(Note { finish, ..Note::new(Event::Proven, None, installed(job)) })
        }
        ComplianceState::Required | ComplianceState::Unknown => None,
    }
}

/// That it is installed, with what an administrator should know of that.
pub(super) fn installed(job: &Job) -> String {
    let (trouble, notes) = (job.history.trouble.as_str(), job.history.notes.as_str());
    match (job.history.budgets.attempts.touched, trouble, notes) {
        (false, ..) | (true, "", "") => "installed".into(),
        (true, "", notes) => format!("installed; {notes}"),
        (true, trouble, _) => format!("installed, although the installer said: {trouble}"),
    }
}

/// The rest that the job is to have before its next try, if it is not over.
fn rest(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Option<Note> {
    let pause = job.history.pause.filter(|pause| !pause.timer.is_due(situation.now))?;
    let (event, reason) = match pause.before {
        Next::Download => (Event::ContentMissing, String::from(job.history.trouble.as_str())),
        Next::Installation => (Event::Held, attempted(job, terms)),
        Next::Scan if situation.scan == Some(ComplianceState::Required) => return None,
        Next::Scan => (Event::Held, UNDECIDED.into()),
        Next::Restart => return None,
    };
    Some(Note::new(event, Some(pause.timer.end()), reason))
}

impl Job {
    /// Whether the time to install has come: somebody asked, or it is due.
    #[must_use]
    pub fn is_its_time(&self, terms: &Terms, now: UnixTime) -> bool {
        is_asked_for(self, now) || terms.due_at(self, now).is_some_and(|due| due <= now)
    }
}

fn is_asked_for(job: &Job, now: UnixTime) -> bool {
    job.history.asked && job.history.deferred_until.is_none_or(|until| until <= now)
}

/// Whether a user asked for it who is there to see what happens.
fn is_attended(job: &Job, now: UnixTime) -> bool {
    is_asked_for(job, now) && job.history.attended.is_some_and(|attended| !attended.is_due(now))
}

/// What a job waits for whose time has not come.
fn awaited(job: &Job, terms: &Terms, now: UnixTime) -> (Option<UnixTime>, String) {
    let due = terms.due_at(job, now);
    let reason = match job.history.deferred_until {
        Some(until) if now < until => "a user deferred it; it installs by itself when it is due",
        _ if due.is_some() => "it installs by itself when it is due",
        _ => "it waits for a user to ask for it",
    };
    (due, reason.into())
}

const UNDECIDED: &str = "a scan could not tell whether it is required";

fn undecided(now: UnixTime) -> Decision {
    let pause = Pause::start(Next::Scan, SCAN_PAUSE_SECONDS, now);
    Note { pause: Some(pause), ..Note::new(Event::Held, Some(pause.timer.end()), UNDECIDED.into()) }.into()
}

/// What became of the attempts so far.
fn attempted(job: &Job, terms: &Terms) -> String {
    let (used, most) = (job.history.budgets.attempts.used, terms.attempts.max(1));
    let trouble = match job.history.trouble.as_str() {
        "" => "the installer reported success, but a scan does not find the update installed",
        trouble => trouble,
    };
    if used > 0 && most > 1 { format!("attempt {used} of {most} failed: {trouble}") } else { trouble.into() }
}

impl Note {
    pub(super) fn new(event: Event, until: Option<UnixTime>, reason: String) -> Self {
        Self { event, until, reason, pause: None, finish: false }
    }
}

impl From<Note> for Decision {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}
