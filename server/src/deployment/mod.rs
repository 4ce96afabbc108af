//! Deployments: what administrators do with them, and the role that rolls them out.
//!
//! [`Deployments`] holds the application functions; console, JSON and command line call nothing else. They write the
//! database and ring a bell. What time and clients do to a deployment is decided by pure functions ([`phases`],
//! [`rules`]) and carried out by the [`role`]. Nothing here talks to a client, and nothing here is SQL.

mod actions;
mod create;
mod groups;
pub mod phases;
pub mod role;
mod rule_runs;
pub mod rules;
pub mod schedule;
pub mod settings;
pub mod share;
mod templates;
pub mod why;
pub mod words;

pub use create::{NewDeployment, PhaseReview, Review, Selection, common_deadline};
pub use groups::NewGroup;
pub use rule_runs::NewRule;

use crate::database::Database;
use crate::signals::Signals;
use farrier_protocol::DeploymentId;
use farrier_protocol::enforcement::EnforcementState;
use serde::Serialize;
use settings::FieldError;

/// What administrators do with deployments, update groups, templates and automatic deployment rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deployments {
    /// The site database.
    pub database: Database,
    /// Whom to wake.
    pub signals: Signals,
}

/// Whether a deployment goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentStatus {
    /// It goes on.
    Active = 0,
    /// Nothing new is begun.
    Paused = 1,
    /// It has ended for good.
    Cancelled = 2,
}

impl DeploymentStatus {
    /// The value stored as this number, if there is one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Cancelled].into_iter().find(|status| *status as i64 == number)
    }

    /// The name as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A client that is differently far with the updates of a deployment is so far as with the first of these: what needs
/// somebody's attention goes before what goes on, and that before what is done.
pub const LEAST_DONE_FIRST: [EnforcementState; EnforcementState::ALL.len()] = [
    EnforcementState::Failed,
    EnforcementState::RolledBack,
    EnforcementState::Installing,
    EnforcementState::PendingRestart,
    EnforcementState::Verifying,
    EnforcementState::Downloading,
    EnforcementState::Downloaded,
    EnforcementState::WaitingForWindow,
    EnforcementState::WaitingForContent,
    EnforcementState::Waiting,
    EnforcementState::Cancelled,
    EnforcementState::Succeeded,
    EnforcementState::Superseded,
];

/// The place of a state among [`LEAST_DONE_FIRST`].
#[must_use]
pub fn rank(state: EnforcementState) -> usize {
    LEAST_DONE_FIRST.iter().position(|other| *other == state).unwrap_or(LEAST_DONE_FIRST.len())
}

/// Why something was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// Something that was written cannot be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// What was named does not exist.
    #[error("there is no {0}")]
    Unknown(String),
    /// It cannot be done with what it is now.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error("the site database failed")]
    Database(#[from] sqlx::Error),
}

impl DeploymentError {
    fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    fn unknown_deployment(deployment: DeploymentId) -> Self {
        Self::Unknown(format!("deployment {deployment}"))
    }
}

impl Deployments {
    /// With a running site's bells, or, in another process, with bells that nobody hears: the roles look by themselves,
    /// a little later.
    #[must_use]
    pub fn new(database: Database, signals: Signals) -> Self {
        Self { database, signals }
    }

    /// Wakes whoever has to do with deployments.
    fn changed(&self) {
        self.signals.deployments_changed.notify_one();
        self.signals.deployments_look_different();
    }
}
