//! What users are told, and when: once a process, and only of what a scan says is needed.

use super::Engine;
use super::board::{Board, Item, Transition};
use crate::clock::now;
use crate::hooks::{Notice, Told};
use farrier_agent_core::enforcement::{Job, JobKey};
use farrier_protocol::deployment::Purpose;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ComplianceState, UnixTime};

/// How long before their deadline users are told of updates.
const DEADLINE_SECONDS: i64 = 24 * 3600;

impl Engine {
    /// Tells users what changed, and what is coming.
    pub(super) fn notice(&mut self, board: &mut Board) {
        for Transition { key, from, to } in board.take_transitions() {
            let notice = match (from, to) {
                (EnforcementState::Verifying, EnforcementState::Succeeded) => Notice::Installed,
                (_, EnforcementState::Failed | EnforcementState::RolledBack) => Notice::Failed,
                _ => continue,
            };
            if let Some((item, job)) = board.item(key) {
                self.hooks.collect(notice, told(item, job, None));
            }
        }
        let Some(sight) = self.sight.clone() else { return };
        for (item, job) in board.items() {
            if sight.state(item.offer.update) == Some(ComplianceState::Required)
                && let Some((notice, at)) = coming(item, job, now())
                && self.told.insert((item.key, notice))
            {
                let at = at.map(|at| board.wall.show(at));
                self.hooks.collect(notice, told(item, job, at));
            }
        }
    }

    /// Tells users that the machine has to restart, and perhaps when it will.
    pub(super) fn tell_of_restart(&mut self, board: &Board, key: JobKey, at: Option<UnixTime>) {
        if let Some((item, job)) = board.item(key) {
            let at = at.map(|at| board.wall.show(at));
            self.hooks.collect(Notice::Restart, told(item, job, at));
        }
    }
}

/// What is coming for a job that is needed, if users are to know of it already.
fn coming(item: &Item, job: &Job, now: UnixTime) -> Option<(Notice, Option<UnixTime>)> {
    let waits = matches!(
        job.state(),
        EnforcementState::Waiting
            | EnforcementState::WaitingForContent
            | EnforcementState::Downloading
            | EnforcementState::Downloaded
            | EnforcementState::WaitingForWindow
    );
    if !waits || job.is_asked_for() || item.terms.hold(now).is_some() {
        return None;
    }
    match (item.terms.purpose, item.terms.due_at(job, now)) {
        (Purpose::Required, Some(due)) if due.saturating_sub(now) <= DEADLINE_SECONDS => {
            Some((Notice::Deadline, Some(due.max(now))))
        }
        _ => Some((Notice::Available, None)),
    }
}

fn told(item: &Item, job: &Job, at: Option<String>) -> Told {
    Told {
        name: item.offer.name.clone(),
        summary: item.offer.summary.clone(),
        deployment: item.policy.name.clone(),
        notification: item.policy.notification.clone(),
        at,
        reason: job.reason().to_owned(),
    }
}
