//! Deployments as people look at them: the list, one of them, its clients with the reason why each is not done, and its
//! course over time.

mod client_progress;
mod client_rows;
mod counts;
mod csv;
mod detail;
mod history;
mod list;
mod update_progress;

pub use client_progress::ClientProgress;
pub use client_rows::{ClientDeploymentRow, DeploymentClientDetail, DeploymentClientFilter, DeploymentClientRow};
pub use counts::{EnforcementCounts, SILENT};
pub use csv::{CSV_HEAD, CsvRow};
pub use detail::{DeployedUpdateRow, DeploymentDetail, EventRow, PhaseRow};
pub use history::HistoryPoint;
pub use list::{DeploymentFilter, DeploymentRow};
pub use update_progress::UpdateProgress;

/// Whether a deployment `o` goes on and is newer than `d`, in SQL: what a client is told of first. The order is that of
/// [`Database::assigned_deployments`](crate::database::Database::assigned_deployments).
const GOES_BEFORE: &str =
    "o.status <> 2 AND (o.created_at > d.created_at OR o.created_at = d.created_at AND o.id > d.id)";
