//! `/deployments`: the list of deployments, searched and filtered by its address.

use super::super::chart::Chart;
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Choice, Parameters, Words, choices, word_of};
use super::super::problem::Problem;
use super::super::stage::{Stage, StageCounts};
use super::super::{State, filters};
use crate::database::views::{DeploymentFilter, DeploymentRow, EnforcementCounts, Page};
use crate::deployment::DeploymentStatus;
use crate::deployment::settings::Purpose;
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;

pub(super) const STATUSES: Words<DeploymentStatus> = &[
    ("active", DeploymentStatus::Active),
    ("paused", DeploymentStatus::Paused),
    ("cancelled", DeploymentStatus::Cancelled),
];

#[derive(Template)]
#[template(path = "deployments.html")]
struct DeploymentsPage {
    frame: Frame,
    filter: DeploymentFilter,
    list: Page<DeploymentRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let filter = parse(parameters)?;
    let list = state.database().deployments(&filter).await?;
    html(&DeploymentsPage { frame: Frame::new(&state, Section::Deployments), filter, list })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Json<Page<DeploymentRow>>, Problem> {
    Ok(Json(state.database().deployments(&parse(parameters)?).await?))
}

fn parse(mut parameters: Parameters) -> Result<DeploymentFilter, Problem> {
    let filter = DeploymentFilter {
        search: parameters.search()?,
        status: parameters.word("status", STATUSES)?,
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

pub(super) fn status_label(status: DeploymentStatus) -> &'static str {
    match status {
        DeploymentStatus::Active => "Active",
        DeploymentStatus::Paused => "Paused",
        DeploymentStatus::Cancelled => "Cancelled",
    }
}

impl DeploymentsPage {
    fn statuses(&self) -> Vec<Choice> {
        choices(STATUSES, self.filter.status, status_label)
    }

    fn is_filtered(&self) -> bool {
        !self.filter.search.is_empty() || self.filter.status.is_some()
    }

    fn page_address(&self, page: i64) -> String {
        Address::new("/deployments")
            .with("search", &self.filter.search)
            .with("status", self.filter.status.map_or("", |status| word_of(STATUSES, &status)))
            .with_page(page)
            .into_string()
    }

    fn chart(clients: &EnforcementCounts) -> Chart {
        StageCounts::of_clients(clients).chart()
    }

    fn failed(clients: &EnforcementCounts) -> i64 {
        StageCounts::of_clients(clients).of(Stage::Failed)
    }
}
