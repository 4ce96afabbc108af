//! How far clients are with a deployment, in as few words and colours as a person can hold apart.

use super::chart::{self, Chart};
use crate::database::views::EnforcementCounts;
use farrier_protocol::enforcement::EnforcementState;

/// A group of enforcement states that charts draw alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Proved by a scan, or superseded by something newer.
    Succeeded,
    /// Downloading, installing, verifying.
    Progress,
    /// Installed, and the machine has to restart.
    Restart,
    /// Nothing to do before something else happens.
    Waiting,
    /// The client has not said anything yet.
    Silent,
    /// Cancelled.
    Ended,
    /// Failed or rolled back.
    Failed,
}

impl Stage {
    /// In the order in which they lie above each other: what is done at the bottom, what went wrong on top.
    pub(super) const ALL: [Self; 7] =
        [Self::Succeeded, Self::Progress, Self::Restart, Self::Waiting, Self::Silent, Self::Ended, Self::Failed];

    /// The group of a state; none: nothing was said yet.
    pub(super) fn of(state: Option<EnforcementState>) -> Self {
        use EnforcementState as State;
        match state {
            None => Self::Silent,
            Some(State::Waiting | State::WaitingForContent | State::WaitingForWindow) => Self::Waiting,
            Some(State::Downloading | State::Downloaded | State::Installing | State::Verifying) => Self::Progress,
            Some(State::PendingRestart) => Self::Restart,
            Some(State::Succeeded | State::Superseded) => Self::Succeeded,
            Some(State::Failed | State::RolledBack) => Self::Failed,
            Some(State::Cancelled) => Self::Ended,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Progress => "In progress",
            Self::Restart => "Pending restart",
            Self::Waiting => "Waiting",
            Self::Silent => "Unreported",
            Self::Ended => "Cancelled",
            Self::Failed => "Failed",
        }
    }

    /// A part of class names and of icons' names.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Progress => "progress",
            Self::Restart => "restart",
            Self::Waiting => "waiting",
            Self::Silent => "silent",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

/// The label of one state.
pub(super) fn state_label(state: Option<EnforcementState>) -> &'static str {
    use EnforcementState as State;
    match state {
        None => "Unreported",
        Some(State::Waiting) => "Waiting",
        Some(State::WaitingForContent) => "Waiting for content",
        Some(State::Downloading) => "Downloading",
        Some(State::Downloaded) => "Downloaded",
        Some(State::WaitingForWindow) => "Waiting for window",
        Some(State::Installing) => "Installing",
        Some(State::PendingRestart) => "Pending restart",
        Some(State::Verifying) => "Verifying",
        Some(State::Succeeded) => "Succeeded",
        Some(State::Failed) => "Failed",
        Some(State::RolledBack) => "Rolled back",
        Some(State::Superseded) => "Superseded",
        Some(State::Cancelled) => "Cancelled",
    }
}

/// Clients by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StageCounts([i64; Stage::ALL.len()]);

impl StageCounts {
    /// The clients of a deployment, or of one of its phases.
    pub(super) fn of_clients(clients: &EnforcementCounts) -> Self {
        let states = clients.by_state().map(|(state, count)| (Some(state), count));
        Self::of_states(states.chain([(None, clients.silent)]))
    }

    /// Sums up counts by state.
    pub(super) fn of_states(counts: impl IntoIterator<Item = (Option<EnforcementState>, i64)>) -> Self {
        let mut sums = Self::default();
        for (state, count) in counts {
            sums.add(Stage::of(state), count);
        }
        sums
    }

    pub(super) fn add(&mut self, stage: Stage, count: i64) {
        self.0[stage as usize] += count;
    }

    pub(super) fn of(&self, stage: Stage) -> i64 {
        self.0[stage as usize]
    }

    pub(super) fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Clients that have it, in percent of all, rounded down.
    pub(super) fn percent(&self, stage: Stage) -> i64 {
        self.of(stage) * 100 / self.total().max(1)
    }

    pub(super) fn chart(&self) -> Chart {
        chart::chart(&self.shares())
    }

    pub(super) fn exact_chart(&self) -> Chart {
        chart::exact(&self.shares())
    }

    fn shares(&self) -> [(&'static str, &'static str, i64); Stage::ALL.len()] {
        Stage::ALL.map(|stage| (stage.class(), stage.label(), self.of(stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_counts_in_one_stage() {
        let states = EnforcementState::ALL.into_iter().map(Some).chain([None]);
        let counts = StageCounts::of_states(states.map(|state| (state, 1)));
        assert_eq!(counts.total(), 14);
        assert!(Stage::ALL.into_iter().all(|stage| counts.of(stage) > 0));
        assert!(Stage::ALL.into_iter().enumerate().all(|(place, stage)| stage as usize == place));
    }
}
