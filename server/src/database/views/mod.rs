//! What people look at: the console's pages, its JSON and `farrier status`. Everything here only reads, except for the
//! [summaries](Database::summarize) that spare it counting millions of rows.

mod clients;
mod collections;
mod console_deployments;
mod deployments;
mod findings;
mod overview;
mod plugins;
mod sql;
mod suites;
mod summaries;
mod updates;

pub use clients::{
    ClientDetail, ClientFilter, ClientGroup, ClientIdentity, ClientLink, ClientPlugin, ClientRow, ClientSort,
    ClientUpdate, Contact,
};
pub use collections::{CollectionDetail, CollectionLink, CollectionMember, CollectionRow};
pub use console_deployments::PickedUpdate;
pub use deployments::{
    CSV_HEAD, ClientDeploymentRow, ClientProgress, CsvRow, DeployedUpdateRow, DeploymentClientDetail,
    DeploymentClientFilter, DeploymentClientRow, DeploymentDetail, DeploymentFilter, DeploymentRow, EnforcementCounts,
    EventRow, HistoryPoint, PhaseRow, SILENT, UpdateProgress,
};
pub use findings::FindingRow;
pub use overview::{
    ClassificationCounts, ClientFigures, Compliance, ContactCounts, Overview, ScanFailure, UrgentUpdate,
};
pub use plugins::{
    CannotRunRow, ClientFallBack, ClientPluginRow, ClientShadow, DifferenceFilter, DifferenceRow, FailureRow,
    FallBackRow, PluginClientFilter, PluginClientRow, PluginDetail, PluginEvent, PluginRow, PluginVersionRow,
    ShadowSummary, TopDifference, TrialRow, VersionClients,
};
pub use suites::SuiteRow;
pub use summaries::Summary;
pub use updates::{PackageRow, UpdateClient, UpdateDetail, UpdateFilter, UpdateLink, UpdateRow, UpdateSort};

use super::Database;
use crate::config::Classification;
use farrier_protocol::ComplianceState;
use serde::{Serialize, Serializer};
use std::fmt::Display;

/// Rows of one page of a list.
pub const PAGE_ROWS: i64 = 50;
/// Words of a search that are looked at; the rest is ignored.
pub const MAX_SEARCH_WORDS: usize = 8;

/// How many answers of each kind there are: over clients, over updates, or over pairs of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StateCounts {
    /// Applicable and missing.
    pub required: i64,
    /// The scan could not tell.
    pub unknown: i64,
    /// It, or something newer, is installed.
    pub installed: i64,
    /// Nothing of it concerns the client.
    pub not_required: i64,
}

impl StateCounts {
    /// The stored counts, completed: of `answers` in all, those without a row are `NotRequired`.
    #[must_use]
    pub fn of_stored(required: i64, unknown: i64, installed: i64, answers: i64) -> Self {
        Self { required, unknown, installed, not_required: (answers - required - unknown - installed).max(0) }
    }

    /// The same, where `unassessed` of the answers come from clients whose plugins could evaluate nothing: what is not
    /// stored of them is `Unknown`, not `NotRequired`.
    #[must_use]
    fn with_unassessed(self, unassessed: i64) -> Self {
        let unknown = unassessed.min(self.not_required);
        Self { unknown: self.unknown + unknown, not_required: self.not_required - unknown, ..self }
    }

    /// The count of one state.
    #[must_use]
    pub fn of(&self, state: ComplianceState) -> i64 {
        match state {
            ComplianceState::NotRequired => self.not_required,
            ComplianceState::Installed => self.installed,
            ComplianceState::Required => self.required,
            ComplianceState::Unknown => self.unknown,
        }
    }

    /// All answers.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.required + self.unknown + self.installed + self.not_required
    }

    /// Installed and not required among all answers, in percent; none while nobody has answered.
    #[must_use]
    pub fn percent_compliant(&self) -> Option<f64> {
        percent(self.installed + self.not_required, self.total())
    }

    /// The first state in `order` that anything has, for a page that shows one state at a time.
    #[must_use]
    pub fn first_of(&self, order: &[ComplianceState]) -> Option<ComplianceState> {
        order.iter().copied().find(|state| self.of(*state) > 0)
    }
}

impl std::ops::AddAssign for StateCounts {
    fn add_assign(&mut self, other: Self) {
        self.required += other.required;
        self.unknown += other.unknown;
        self.installed += other.installed;
        self.not_required += other.not_required;
    }
}

// A percentage is for people: the rounding of counts above 2^53 is not seen.
#[allow(clippy::cast_precision_loss)]
fn percent(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// The direction of a sorted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Order {
    fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// Rows of all pages.
    pub total: i64,
    /// Which page this is, from 1.
    pub page: i64,
    /// How many pages there are, at least 1.
    pub pages: i64,
}

impl<T> Page<T> {
    fn new(items: Vec<T>, total: i64, page: i64) -> Self {
        Self { items, total, page, pages: ((total + PAGE_ROWS - 1) / PAGE_ROWS).max(1) }
    }

    /// The number of the page's first row, from 1.
    #[must_use]
    pub fn first(&self) -> i64 {
        (self.page - 1) * PAGE_ROWS + 1
    }

    /// The number of the page's last row.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.total.min(self.page * PAGE_ROWS)
    }
}

pub(crate) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The title of an update: `openssl 3.0.17-1~deb12u2`.
fn title(source: &str, version: &str) -> String {
    format!("{source} {version}")
}

fn classification(number: i64) -> Result<Classification, sqlx::Error> {
    Classification::from_number(number).ok_or_else(|| unreadable(format!("{number} is no classification")))
}

fn state(number: i64) -> Result<ComplianceState, sqlx::Error> {
    ComplianceState::try_from(number).map_err(|error| unreadable(format!("{number} is {error}")))
}

/// An unknown stored value is an error, never a default.
fn unreadable(problem: String) -> sqlx::Error {
    sqlx::Error::Decode(problem.into())
}
