//! What is to be done about an installation that takes effect when the machine has restarted.

use super::decide::{Decision, Note, Situation};
use super::{Event, Job, Opening, Terms};
use crate::schedule::Timer;
use farrier_protocol::UnixTime;
use farrier_protocol::deployment::RestartBehaviour;

/// Why a job waits for a restart, in words.
pub(super) const RESTART_NEEDED: &str = "it takes effect when the machine restarts";
pub(super) const RESTART_UNKNOWN: &str =
    "it is installed, but the agent stopped meanwhile: it may take effect only when the machine restarts";
pub(super) const RESTART_ASKED: &str = "users were asked to restart the machine";
pub(super) const RESTART_COUNTDOWN: &str = "users were told that the machine restarts after a countdown";
pub(super) const RESTART_TOLD: &str = "the machine was told to restart";

/// How long users who were asked to restart the machine are left alone.
const ASK_AGAIN_SECONDS: u32 = 24 * 3600;
/// What a restart needs of a window beyond its countdown: the agent is not always on the second.
const RESTART_MARGIN_SECONDS: u32 = 60;

/// Whether the installation takes effect with a restart that has not been yet.
pub(super) fn is_pending(job: &Job, situation: &Situation<'_>) -> bool {
    job.history.installed_in.is_some() && job.history.installed_in == situation.boot
}

/// What is to be done about a job that waits for a restart.
pub(super) fn decide(job: &Job, terms: &Terms, situation: &Situation<'_>) -> Decision {
    if !is_pending(job, situation) {
        return Note::new(Event::Restarted, None, "the machine has restarted".into()).into();
    }
    match terms.restart {
        RestartBehaviour::Suppress => wait(None, RESTART_NEEDED),
        RestartBehaviour::Ask if was_asked(job, situation.now) => wait(None, RESTART_ASKED),
        RestartBehaviour::Ask => Decision::AnnounceRestart { at: None },
        RestartBehaviour::Force { countdown_seconds } => force(job, terms, situation, countdown_seconds),
    }
}

fn force(job: &Job, terms: &Terms, situation: &Situation<'_>, countdown_seconds: u32) -> Decision {
    let now = situation.now;
    if let Some((until, reason)) = terms.hold(now) {
        return wait(until, &reason);
    }
    if let Some(pause) = job.history.pause.filter(|pause| !pause.timer.is_due(now)) {
        return wait(Some(pause.timer.end()), RESTART_TOLD);
    }
    if let Some(announced_at) = job.history.announced_at.filter(|at| counts(*at, terms, situation)) {
        let at = announced_at.saturating_add(countdown_seconds.into());
        return if at <= now { Decision::Restart } else { wait(Some(at), RESTART_COUNTDOWN) };
    }
    let needed_seconds = countdown_seconds.saturating_add(RESTART_MARGIN_SECONDS);
    match situation.calendar.opening(now, needed_seconds, "the countdown to its restart") {
        Opening::Later { at, reason } if !terms.restart_any_time => wait(at, &reason),
        Opening::Now | Opening::Later { .. } => {
            Decision::AnnounceRestart { at: Some(now.saturating_add(countdown_seconds.into())) }
        }
    }
}

/// Whether an announcement still counts: a machine that slept through its window begins its countdown again.
fn counts(announced_at: UnixTime, terms: &Terms, situation: &Situation<'_>) -> bool {
    let now = situation.now;
    announced_at <= now && (terms.restart_any_time || situation.calendar.is_open_throughout(announced_at, now))
}

fn was_asked(job: &Job, now: UnixTime) -> bool {
    job.history.announced_at.is_some_and(|at| !Timer::start(at, ASK_AGAIN_SECONDS).is_due(now))
}

fn wait(until: Option<UnixTime>, reason: &str) -> Decision {
    Note::new(Event::RestartNeeded, until, reason.into()).into()
}
