//! How many clients are how far.

use farrier_protocol::enforcement::EnforcementState;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// What a client that has not said anything of a deployment is counted as; also its name in filters and JSON.
pub const SILENT: &str = "Unreported";

/// Clients of a deployment, or of a phase, by their state. JSON has a number for each state and for `Unreported`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnforcementCounts {
    states: [i64; EnforcementState::ALL.len()],
    /// Clients that have not said anything of it.
    pub silent: i64,
}

impl EnforcementCounts {
    /// Adds clients in a state; none: that have not said anything.
    pub fn add(&mut self, state: Option<EnforcementState>, clients: i64) {
        *self.place(state) += clients;
    }

    /// Sets how many clients are in a state.
    pub fn set(&mut self, state: Option<EnforcementState>, clients: i64) {
        *self.place(state) = clients;
    }

    fn place(&mut self, state: Option<EnforcementState>) -> &mut i64 {
        match state {
            Some(state) => &mut self.states[state as usize],
            None => &mut self.silent,
        }
    }

    /// Clients in this state.
    #[must_use]
    pub fn of(&self, state: EnforcementState) -> i64 {
        self.states[state as usize]
    }

    /// All clients.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.silent + self.states.iter().sum::<i64>()
    }

    /// Clients that have what was deployed, or something newer, as a scan proved.
    #[must_use]
    pub fn succeeded(&self) -> i64 {
        self.of(EnforcementState::Succeeded) + self.of(EnforcementState::Superseded)
    }

    /// Clients on which something was not installed.
    #[must_use]
    pub fn failed(&self) -> i64 {
        self.of(EnforcementState::Failed) + self.of(EnforcementState::RolledBack)
    }

    /// Clients that have it, in percent; none where there are no clients.
    #[must_use]
    pub fn percent_succeeded(&self) -> Option<f64> {
        super::super::percent(self.succeeded(), self.total())
    }

    /// The states in the order of an installation with their clients.
    pub fn by_state(&self) -> impl Iterator<Item = (EnforcementState, i64)> + '_ {
        EnforcementState::ALL.into_iter().map(|state| (state, self.of(state)))
    }
}

impl std::ops::AddAssign for EnforcementCounts {
    fn add_assign(&mut self, other: Self) {
        self.silent += other.silent;
        self.states.iter_mut().zip(other.states).for_each(|(count, more)| *count += more);
    }
}

impl Serialize for EnforcementCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(EnforcementState::ALL.len() + 1))?;
        map.serialize_entry(SILENT, &self.silent)?;
        for (state, clients) in self.by_state() {
            map.serialize_entry(state.as_str(), &clients)?;
        }
        map.end()
    }
}
