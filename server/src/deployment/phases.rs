//! When a phase opens, has succeeded, or stops the roll-out: a function of the counts and the time.
//!
//! No database and no clock here: the role reads a [`Rollout`], asks [`steps`], and writes down what they say.

use super::words::{counted, period};

/// How a deployment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Neither paused nor cancelled.
    pub active: bool,
    /// Whether the site knows who is in which phase: no collection and no client waits to be evaluated.
    pub settled: bool,
    /// The first instant at which the deployment is available anywhere.
    pub available_at: i64,
    /// The instant after which a required deployment is due everywhere, for phases without a deadline of their own.
    pub deadline: Option<i64>,
    /// The phases, in order.
    pub phases: Vec<PhaseProgress>,
}

/// How a phase stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseProgress {
    /// Its name.
    pub name: String,
    /// Percent of its clients that have to succeed before the next phase.
    pub success_percent: i64,
    /// How long it is watched after that.
    pub soak_seconds: i64,
    /// Whether an administrator has to let the roll-out go on after it.
    pub manual: bool,
    /// More percent of failed clients than this pause the deployment.
    pub failure_percent: i64,
    /// Its own deadline, counted from its opening.
    pub deadline_after_seconds: Option<i64>,
    /// Its clients.
    pub clients: i64,
    /// Those that have what was deployed.
    pub succeeded: i64,
    /// Those on which something failed.
    pub failed: i64,
    /// When it opened.
    pub opened_at: Option<i64>,
    /// When it is expected to open.
    pub expected_at: Option<i64>,
    /// Since when it has been at its success threshold.
    pub succeeded_at: Option<i64>,
    /// When an administrator let the roll-out go on after it.
    pub approved_at: Option<i64>,
    /// Failed clients that an administrator knew of who resumed the deployment.
    pub accepted_failures: i64,
}

/// Something to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The phase opens.
    Open {
        /// Its place.
        phase: usize,
    },
    /// The phase has reached its success threshold.
    Succeeded {
        /// Its place.
        phase: usize,
    },
    /// The phase is below its success threshold again before the next one opened.
    FellBack {
        /// Its place.
        phase: usize,
    },
    /// The deployment pauses.
    Pause {
        /// Why, in words.
        reason: String,
    },
    /// Fewer clients of the phase have failed than an administrator accepted: more of them count again.
    AcceptFewer {
        /// Its place.
        phase: usize,
        /// How many have failed.
        failures: i64,
    },
    /// The phase is expected to open at another time.
    Expect {
        /// Its place.
        phase: usize,
        /// When, as far as that can be said.
        at: Option<i64>,
    },
}

/// What is to be done now, in this order.
#[must_use]
pub fn steps(rollout: &Rollout, now: i64) -> Vec<Step> {
    let mut after = rollout.clone();
    let mut steps = Vec::new();
    while let Some(step) = next_step(&after, now) {
        after.take(&step, now);
        steps.push(step);
    }
    if after.active {
        steps.extend(expectations(&after, now));
    }
    steps
}

fn next_step(rollout: &Rollout, now: i64) -> Option<Step> {
    if !rollout.active {
        return None;
    }
    let phases = || rollout.phases.iter().enumerate();
    if let Some((phase, fewer)) = phases().find(|(_, phase)| phase.failed < phase.accepted_failures) {
        return Some(Step::AcceptFewer { phase, failures: fewer.failed });
    }
    if let Some((position, phase)) = phases().find(|(_, phase)| phase.opened_at.is_some() && phase.fails()) {
        return Some(Step::Pause { reason: phase.failure(position, rollout.phases.len()) });
    }
    phases().find_map(|(position, phase)| rollout.step_of(position, phase, now))
}

impl Rollout {
    fn step_of(&self, position: usize, phase: &PhaseProgress, now: i64) -> Option<Step> {
        if phase.opened_at.is_none() {
            return self.may_open(position, now).then_some(Step::Open { phase: position });
        }
        let watched = self.phases.get(position + 1).is_none_or(|next| next.opened_at.is_none());
        match (phase.succeeded_at, phase.has_succeeded()) {
            (None, true) => Some(Step::Succeeded { phase: position }),
            (Some(_), false) if watched => Some(Step::FellBack { phase: position }),
            _ => None,
        }
    }

    fn may_open(&self, position: usize, now: i64) -> bool {
        let Some(before) = position.checked_sub(1).map(|before| &self.phases[before]) else {
            return self.settled && now >= self.available_at;
        };
        let has_clients = self.phases.iter().any(|phase| phase.clients > 0);
        let soaked = before.succeeded_at.is_some_and(|since| now >= since.saturating_add(before.soak_seconds));
        // In a phase of nobody there is nothing to watch; a deployment of nobody waits for its clients.
        let by_itself = !before.manual && self.settled && has_clients && (soaked || before.clients == 0);
        before.opened_at.is_some() && (before.approved_at.is_some() || by_itself)
    }

    fn take(&mut self, step: &Step, now: i64) {
        match step {
            Step::Open { phase } => {
                self.phases[*phase].opened_at = Some(now);
                self.phases[*phase].expected_at = None;
            }
            Step::Succeeded { phase } => self.phases[*phase].succeeded_at = Some(now),
            Step::FellBack { phase } => self.phases[*phase].succeeded_at = None,
            Step::Pause { .. } => self.active = false,
            Step::AcceptFewer { phase, failures } => self.phases[*phase].accepted_failures = *failures,
            Step::Expect { phase, at } => self.phases[*phase].expected_at = *at,
        }
    }
}

impl PhaseProgress {
    fn has_succeeded(&self) -> bool {
        self.clients > 0 && self.succeeded * 100 >= self.success_percent * self.clients
    }

    fn fails(&self) -> bool {
        self.failed > self.accepted_failures && self.failed * 100 > self.failure_percent * self.clients
    }

    fn failure(&self, position: usize, of: usize) -> String {
        let Self { name, clients, failed, failure_percent, .. } = self;
        let percent = failed * 100 / clients.max(&1);
        let phase = if of == 1 { String::new() } else { format!(" of phase {} ({name})", position + 1) };
        format!(
            "{failed} of {}{phase} failed: {percent} %, and at most {failure_percent} % may",
            counted(*clients, "client")
        )
    }

    /// When everybody in it should be done, if it opens at `start`.
    fn end(&self, start: i64, deadline: Option<i64>) -> Option<i64> {
        if let Some(succeeded) = self.succeeded_at {
            return Some(succeeded);
        }
        let own = self.deadline_after_seconds.map(|after| start.saturating_add(after));
        own.or(deadline).map(|due| due.max(start))
    }
}

/// When the phases that are not open are expected to open: each when the one before it is due, and has been watched.
fn expectations(rollout: &Rollout, now: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut opens = Some(rollout.available_at).filter(|available| *available > now);
    for (position, phase) in rollout.phases.iter().enumerate() {
        if phase.opened_at.is_none() && phase.expected_at != opens {
            steps.push(Step::Expect { phase: position, at: opens });
        }
        let start = phase.opened_at.or(opens);
        let next = match start {
            Some(start) if !phase.manual || phase.approved_at.is_some() => {
                phase.end(start, rollout.deadline).map(|end| end.saturating_add(phase.soak_seconds))
            }
            _ => None,
        };
        // What should have happened, and did not, is not expected at a time any more.
        opens = next.filter(|next| *next > now);
    }
    steps
}

impl Step {
    /// What happened, for people; `phases` are those of the rollout. None for what nobody needs to be told.
    #[must_use]
    pub fn event(&self, rollout: &Rollout) -> Option<String> {
        let of = rollout.phases.len();
        let named = |phase: &usize| match rollout.phases.get(*phase) {
            Some(PhaseProgress { name, .. }) if of > 1 => format!("Phase {} of {of} ({name})", phase + 1),
            _ => "The deployment".to_owned(),
        };
        match self {
            Self::Open { phase } => Some(match rollout.phases.get(*phase) {
                Some(progress) => format!("{} opened: {}.", named(phase), counted(progress.clients, "client")),
                None => format!("{} opened.", named(phase)),
            }),
            Self::Succeeded { phase } => rollout.phases.get(*phase).map(|progress| {
                let PhaseProgress { clients, succeeded, soak_seconds, manual, .. } = progress;
                let then = match (phase + 1 < of, *manual, *soak_seconds) {
                    (true, true, _) => "; it waits for an administrator to let the roll-out go on".to_owned(),
                    (true, false, soak @ 1..) => format!("; it is watched for {}", period(soak)),
                    _ => String::new(),
                };
                format!(
                    "{} reached its threshold: {succeeded} of {} succeeded{then}.",
                    named(phase),
                    counted(*clients, "client")
                )
            }),
            Self::FellBack { phase } => Some(format!("{} fell below its success threshold.", named(phase))),
            Self::Pause { reason } => Some(format!("Paused by itself: {reason}.")),
            Self::AcceptFewer { .. } | Self::Expect { .. } => None,
        }
    }
}

#[cfg(test)]
#[path = "phases_tests.rs"]
mod tests;
