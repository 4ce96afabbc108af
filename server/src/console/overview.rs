//! The overview: how the site fares, and what to do first.

use super::chart::{self, Chart};
use super::frame::{Frame, Section, html};
use super::problem::Problem;
use super::stage::StageCounts;
use super::synchronization::Status;
use super::{State, filters};
use crate::database::now;
use crate::database::views::{ClassificationCounts, ClientFigures, DeploymentFilter, DeploymentRow, Overview};
use crate::deployment::DeploymentStatus;
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;
use serde::Serialize;

/// Deployments that are shown.
const SHOWN_DEPLOYMENTS: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    overview: Overview,
    synchronization: Status,
    deployments: Vec<DeploymentRow>,
}

#[derive(Serialize)]
pub(super) struct OverviewJson {
    site: String,
    #[serde(flatten)]
    overview: Overview,
    synchronization: Status,
    /// The newest ones that are not cancelled.
    deployments: Vec<DeploymentRow>,
}

/// A bar of the clients by their last contact.
struct ContactBar {
    label: &'static str,
    word: &'static str,
    clients: i64,
    /// In percent of all clients.
    length: f64,
}

pub(super) async fn page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let (overview, synchronization) = read(&state).await?;
    let deployments = running(&state).await?;
    html(&OverviewPage { frame: Frame::new(&state, Section::Overview), overview, synchronization, deployments })
}

pub(super) async fn api(Shared(state): Shared<State>) -> Result<Json<OverviewJson>, Problem> {
    let (overview, synchronization) = read(&state).await?;
    let deployments = running(&state).await?;
    Ok(Json(OverviewJson { site: state.console.site_name.clone(), overview, synchronization, deployments }))
}

/// The newest deployments that are not cancelled.
async fn running(state: &State) -> Result<Vec<DeploymentRow>, Problem> {
    let mut rows = state.database().deployments(&DeploymentFilter::default()).await?.items;
    rows.retain(|row| row.status != DeploymentStatus::Cancelled);
    rows.truncate(SHOWN_DEPLOYMENTS);
    Ok(rows)
}

async fn read(state: &State) -> Result<(Overview, Status), Problem> {
    state.counting.refresh().await?;
    Ok((state.database().overview(now()).await?, Status::read(state, 1).await?))
}

impl OverviewPage {
    fn clients(&self) -> &ClientFigures {
        &self.overview.clients
    }

    fn never_scanned(&self) -> i64 {
        self.clients().total - self.clients().scanned
    }

    fn client_chart(&self) -> Chart {
        let clients = self.clients();
        chart::chart(&[
            ("required", "Require updates", clients.required),
            ("unknown", "Unknown", clients.unknown),
            ("installed", "Compliant", clients.compliant),
            ("not-required", "Never scanned", self.never_scanned()),
        ])
    }

    fn state_chart(&self) -> Chart {
        chart::applicable(&self.overview.compliance.states)
    }

    fn installed_share(&self) -> Option<f64> {
        chart::installed_share(&self.overview.compliance.states)
    }

    fn deployment_chart(deployment: &DeploymentRow) -> Chart {
        StageCounts::of_clients(&deployment.clients).chart()
    }

    fn classification_chart(counts: &ClassificationCounts) -> Chart {
        chart::applicable(&counts.states)
    }

    /// Required updates of all classifications.
    fn required_updates(&self) -> i64 {
        self.overview.classifications.iter().map(|part| part.required_updates).sum()
    }

    fn contact_bars(&self) -> [ContactBar; 4] {
        let clients = self.clients();
        let bar = |label, word, count| ContactBar { label, word, clients: count, length: share(count, clients.total) };
        [
            bar("24 hours", "24h", clients.contact.day),
            bar("7 days", "7d", clients.contact.week),
            bar("30 days", "30d", clients.contact.month),
            bar("Older", "older", clients.contact.older),
        ]
    }
}

// For a bar of a hundred units: the rounding of counts above 2^53 is not seen.
#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
