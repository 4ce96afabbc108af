//! The settings of a deployment: one type for the wizard, templates, automatic deployment rules, JSON and command line.
//!
//! Times may be written relative to the making of the deployment, which is what templates and rules need;
//! [`DeploymentSettings::resolved`] makes them absolute. Nothing here knows a database.

use super::schedule::When;
use super::share::Share;
use crate::database::CollectionId;
pub use farrier_protocol::deployment::{ContentSource, Purpose, RestartBehaviour};
use farrier_protocol::deployment::{MAX_PHASES, PhaseMembers};
use serde::{Deserialize, Serialize};
use std::fmt;

const HOUR_SECONDS: u32 = 60 * 60;
const DAY_SECONDS: u32 = 24 * HOUR_SECONDS;
/// The longest period that can be written anywhere in the settings.
pub const MAX_PERIOD_SECONDS: u32 = 366 * DAY_SECONDS;
/// The longest time that an installation can be given.
pub const MAX_RUN_SECONDS: u32 = 12 * HOUR_SECONDS;
/// Bytes of a name, at most.
pub const MAX_NAME_BYTES: usize = 120;
/// Bytes of the notification, at most.
pub const MAX_NOTIFICATION_BYTES: usize = 1_000;
/// Tries of an installation, at most.
pub const MAX_ATTEMPTS: u8 = 10;

/// What a deployment does, to everybody it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentSettings {
    /// Offered or installed.
    pub purpose: Purpose,
    /// Before this nothing is done or offered.
    pub available: When,
    /// When a required deployment installs by itself; each phase may have its own instead.
    pub deadline: Option<When>,
    /// Clients begin up to this much later than the deadline, each by its own delay.
    pub random_delay_seconds: u32,
    /// How long a client that learns of the deadline late has from then.
    pub grace_seconds: u32,
    /// Whether content is downloaded ahead of the deadline.
    pub download_ahead: bool,
    /// How long the installation of one update may take, where the update group does not say.
    pub max_run_seconds: u32,
    /// What happens when an installation needs a restart.
    pub restart: RestartBehaviour,
    /// Urgent: installs outside maintenance windows and in business hours.
    pub install_any_time: bool,
    /// Urgent: restarts outside maintenance windows and in business hours.
    pub restart_any_time: bool,
    /// What users are told; empty for the agent's own words.
    pub notification: String,
    /// Where content may come from, in the order of preference.
    pub sources: Vec<ContentSource>,
    /// Whether an installation may remove other software.
    pub allow_removals: bool,
    /// Whether a failed installation is rolled back where that is possible.
    pub roll_back: bool,
    /// How often an installation is tried.
    pub attempts: u8,
    /// The phases, in order.
    pub phases: Vec<PhaseSettings>,
}

/// One phase of the roll-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSettings {
    /// Its name.
    pub name: String,
    /// Who is in it, of those who are in no phase before it.
    pub members: Members,
    /// How many percent of its clients have to succeed before the next phase.
    #[serde(default = "default_success")]
    pub success_percent: u8,
    /// How long it is watched after that.
    #[serde(default)]
    pub soak_seconds: u32,
    /// Whether an administrator has to let the roll-out go on after it.
    #[serde(default)]
    pub manual: bool,
    /// The deployment pauses by itself when more percent of the phase's clients than this have failed.
    #[serde(default = "default_failure")]
    pub failure_percent: u8,
    /// The deadline, counted from the opening of the phase, if it has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_after_seconds: Option<u32>,
}

/// Who is in a phase. A client is in the first phase that it is a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// The first so many percent of the fleet, in an order of its own for every deployment; the percentages of the
    /// phases before it are part of them: 5, 25, 100.
    Percent(Share),
    /// The members of this collection.
    Collection(CollectionId),
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The setting: `attempts`, `phases[1].members`.
    pub field: String,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

const fn default_success() -> u8 {
    90
}

const fn default_failure() -> u8 {
    10
}

impl Default for DeploymentSettings {
    /// Required after a week, for everybody at once.
    fn default() -> Self {
        Self {
            purpose: Purpose::Required,
            available: When::After { seconds: 0 },
            deadline: Some(When::After { seconds: 7 * DAY_SECONDS }),
            random_delay_seconds: HOUR_SECONDS,
            grace_seconds: 4 * HOUR_SECONDS,
            download_ahead: true,
            max_run_seconds: HOUR_SECONDS / 2,
            restart: RestartBehaviour::Ask,
            install_any_time: false,
            restart_any_time: false,
            notification: String::new(),
            sources: vec![ContentSource::DistributionPoint, ContentSource::Upstream],
            allow_removals: false,
            roll_back: false,
            attempts: 3,
            phases: vec![PhaseSettings::everybody()],
        }
    }
}

impl PhaseSettings {
    /// A phase of everybody who is left. Alone it never stops by itself: there is nobody to protect any more.
    #[must_use]
    pub fn everybody() -> Self {
        Self { failure_percent: 100, ..Self::of("Everybody", Members::Percent(Share::ALL)) }
    }

    /// A phase with the usual thresholds.
    #[must_use]
    pub fn of(name: &str, members: Members) -> Self {
        Self {
            name: name.to_owned(),
            members,
            success_percent: default_success(),
            soak_seconds: 0,
            manual: false,
            failure_percent: default_failure(),
            deadline_after_seconds: None,
        }
    }

    /// As clients see it.
    #[must_use]
    pub fn members_on_the_wire(&self) -> PhaseMembers {
        match self.members {
            Members::Percent(share) => PhaseMembers::BucketsBelow(share.buckets()),
            Members::Collection(_) => PhaseMembers::Collection,
        }
    }
}

impl DeploymentSettings {
    /// The same with absolute times, for a deployment made at this time.
    #[must_use]
    pub fn resolved(mut self, created_at: i64) -> Self {
        self.available = self.available.resolved(created_at);
        self.deadline = match self.purpose {
            Purpose::Required => self.deadline.map(|deadline| deadline.resolved(created_at)),
            Purpose::Available => None,
        };
        self
    }

    /// Everything that is wrong with the settings; nothing if they can be deployed.
    #[must_use]
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Problems::default();
        self.check_times(&mut problems);
        self.check_installation(&mut problems);
        self.check_phases(&mut problems);
        problems.0
    }

    fn check_times(&self, problems: &mut Problems) {
        problems.check(self.available.problem().is_none(), "available", || self.available.problem());
        if let Some(deadline) = &self.deadline {
            problems.check(deadline.problem().is_none(), "deadline", || deadline.problem());
            let ends_before_it_begins = self.available.is_surely_after(deadline);
            problems.check(!ends_before_it_begins, "deadline", || {
                Some("it is before the deployment is available: write a later one".to_owned())
            });
        }
        let own_deadlines = self.phases.iter().all(|phase| phase.deadline_after_seconds.is_some());
        let has_deadline = self.purpose == Purpose::Available || self.deadline.is_some() || own_deadlines;
        problems.check(has_deadline, "deadline", || {
            Some("a required deployment needs a deadline, or one in each of its phases".to_owned())
        });
        for (field, seconds) in
            [("random_delay_seconds", self.random_delay_seconds), ("grace_seconds", self.grace_seconds)]
        {
            problems.period(field, seconds);
        }
    }

    fn check_installation(&self, problems: &mut Problems) {
        let runs = (1..=MAX_RUN_SECONDS).contains(&self.max_run_seconds);
        problems.check(runs, "max_run_seconds", || Some(format!("write 1 to {MAX_RUN_SECONDS} seconds")));
        if let RestartBehaviour::Force { countdown_seconds } = self.restart {
            let bearable = countdown_seconds <= DAY_SECONDS;
            problems.check(bearable, "restart", || Some("a countdown lasts a day at most".to_owned()));
        }
        let short = self.notification.len() <= MAX_NOTIFICATION_BYTES && !self.notification.contains('\0');
        problems.check(short, "notification", || Some(format!("write at most {MAX_NOTIFICATION_BYTES} bytes of text")));
        let distinct = match &self.sources[..] {
            [] => false,
            [first, rest @ ..] => !rest.contains(first) && rest.len() < 2,
        };
        problems.check(distinct, "sources", || {
            Some("name the distribution point, the upstream, or both, each once".to_owned())
        });
        let tries = (1..=MAX_ATTEMPTS).contains(&self.attempts);
        problems.check(tries, "attempts", || Some(format!("write a number from 1 to {MAX_ATTEMPTS}")));
    }

    fn check_phases(&self, problems: &mut Problems) {
        let count = (1..=MAX_PHASES).contains(&self.phases.len());
        problems.check(count, "phases", || Some(format!("a deployment has 1 to {MAX_PHASES} phases")));
        let takes_the_rest = self.phases.last().is_none_or(|last| last.members == Members::Percent(Share::ALL));
        problems.check(takes_the_rest, "phases", || {
            Some("the last phase has to take everybody who is in no phase before it: give it 100 percent".to_owned())
        });
        let mut below = Share::NONE;
        for (index, phase) in self.phases.iter().enumerate() {
            phase.check(index, &mut below, problems);
        }
    }
}

impl PhaseSettings {
    /// `below` is the share of the phases before it.
    fn check(&self, index: usize, below: &mut Share, problems: &mut Problems) {
        let field = |name: &str| format!("phases[{index}].{name}");
        let named = !self.name.trim().is_empty() && self.name.len() <= MAX_NAME_BYTES && !self.name.contains('\0');
        problems.check(named, &field("name"), || Some(format!("write a name of at most {MAX_NAME_BYTES} bytes")));
        if let Members::Percent(share) = self.members {
            problems.check(share > *below, &field("members"), || {
                Some(format!(
                    "{share} is not more than the {below} of the phases before it, which are part of it: write more"
                ))
            });
            *below = share.max(*below);
        }
        let success = (1..=100).contains(&self.success_percent);
        problems.check(success, &field("success_percent"), || Some("write a number from 1 to 100".to_owned()));
        let failure = self.failure_percent <= 100;
        problems.check(failure, &field("failure_percent"), || Some("write a number from 0 to 100".to_owned()));
        problems.period(&field("soak_seconds"), self.soak_seconds);
        problems.period(&field("deadline_after_seconds"), self.deadline_after_seconds.unwrap_or_default());
    }
}

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn check(&mut self, is_good: bool, field: &str, message: impl FnOnce() -> Option<String>) {
        if let (false, Some(message)) = (is_good, message()) {
            self.0.push(FieldError { field: field.to_owned(), message });
        }
    }

    fn period(&mut self, field: &str, seconds: u32) {
        self.check(seconds <= MAX_PERIOD_SECONDS, field, || Some("a period lasts a year at most".to_owned()));
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
