//! `/deployments/{id}`: one deployment with its course over time, its phases and its clients.

use super::super::chart::Chart;
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Choice, Parameters};
use super::super::problem::Problem;
use super::super::stage::{self, Stage, StageCounts};
use super::super::timeline::{self, Timeline};
use super::super::wizard::{restart_in_words, sources_in_words};
use super::super::{State, filters};
use super::list::status_label;
use crate::database::now;
use crate::database::views::{
    ClientProgress, DeployedUpdateRow, DeploymentClientDetail, DeploymentClientFilter, DeploymentClientRow,
    DeploymentDetail, EnforcementCounts, HistoryPoint, Page, PhaseRow,
};
use crate::deployment::DeploymentStatus;
use crate::deployment::settings::Purpose;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::response::Html;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ClientId, DeploymentId};
use serde::Serialize;

#[derive(Template)]
#[template(path = "deployment.html")]
struct DeploymentPage {
    frame: Frame,
    deployment: DeploymentDetail,
    timeline: Timeline,
    filter: DeploymentClientFilter,
    list: Page<DeploymentClientRow>,
}

/// The part of the page that changes by itself, its clients aside.
#[derive(Template)]
#[template(path = "deployment_status.html")]
struct StatusFragment {
    frame: Frame,
    deployment: DeploymentDetail,
    timeline: Timeline,
}

/// The clients of the page.
#[derive(Template)]
#[template(path = "deployment_clients.html")]
struct ClientsFragment {
    frame: Frame,
    deployment: DeploymentDetail,
    filter: DeploymentClientFilter,
    list: Page<DeploymentClientRow>,
}

/// The deployment, its course, and one page of its clients.
#[derive(Serialize)]
pub(in super::super) struct DeploymentJson {
    #[serde(flatten)]
    deployment: DeploymentDetail,
    course: Vec<HistoryPoint>,
    clients_found: Page<DeploymentClientRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(&state, Section::Deployments);
    let DeploymentJson { deployment, course, clients_found: list } = read(&state, &id, parameters.clone()).await?;
    let (timeline, filter) = (drawn(&deployment, &course, frame.now), parse(parameters)?);
    html(&DeploymentPage { frame, deployment, timeline, filter, list })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<DeploymentJson>, Problem> {
    read(&state, &id, parameters).await.map(Json)
}

/// The page's [`StatusFragment`].
pub(in super::super) async fn status(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(&state, Section::Deployments);
    let id = parse_id(&id)?;
    let deployment = deployment(&state, id).await?;
    let course = state.database().deployment_history(id, None, timeline::MAX_POINTS).await?;
    let timeline = drawn(&deployment, &course, frame.now);
    html(&StatusFragment { frame, deployment, timeline })
}

/// The page's [`ClientsFragment`].
pub(in super::super) async fn clients(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(&state, Section::Deployments);
    let (id, filter) = (parse_id(&id)?, parse(parameters)?);
    let deployment = deployment(&state, id).await?;
    let list = state.database().deployment_clients(id, &filter, frame.now).await?;
    html(&ClientsFragment { frame, deployment, filter, list })
}

/// One client of a deployment with everything it said of it.
pub(in super::super) async fn client_api(
    Shared(state): Shared<State>,
    Path((id, client)): Path<(String, String)>,
) -> Result<Json<DeploymentClientDetail>, Problem> {
    let client: ClientId =
        client.parse().map_err(|error| Problem::bad_request(format!("{client:?} is no id of a client: {error}.")))?;
    let found = state.database().deployment_client(parse_id(&id)?, client, now()).await?;
    found.map(Json).ok_or_else(|| {
        let message = format!("Deployment {id} does not concern client {client}, or there is none of them.");
        Problem::not_found(message, "Look at the deployment's clients.")
    })
}

async fn read(state: &State, id: &str, parameters: Parameters) -> Result<DeploymentJson, Problem> {
    let (id, filter) = (parse_id(id)?, parse(parameters)?);
    let deployment = deployment(state, id).await?;
    let course = state.database().deployment_history(id, None, timeline::MAX_POINTS).await?;
    let clients_found = state.database().deployment_clients(id, &filter, now()).await?;
    Ok(DeploymentJson { deployment, course, clients_found })
}

pub(super) fn parse_id(id: &str) -> Result<DeploymentId, Problem> {
    id.parse().map_err(|error| Problem::bad_request(format!("{id:?} is no id of a deployment: {error}.")))
}

pub(super) async fn deployment(state: &State, id: DeploymentId) -> Result<DeploymentDetail, Problem> {
    state.database().deployment(id).await?.ok_or_else(|| {
        let message = format!("There is no deployment {id} on this site.");
        Problem::not_found(message, "Search for it in the list of deployments.")
    })
}

fn parse(mut parameters: Parameters) -> Result<DeploymentClientFilter, Problem> {
    let filter = DeploymentClientFilter {
        search: parameters.search()?,
        state: parameters.text("state")?.map(|word| progress(&word)).transpose()?,
        phase: parameters.number("phase", 1, farrier_protocol::deployment::MAX_PHASES)?.map(|phase| phase - 1),
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

fn progress(word: &str) -> Result<ClientProgress, Problem> {
    word.parse().map_err(|_| {
        let known: Vec<_> = every_progress().map(ClientProgress::as_str).collect();
        Problem::bad_request(format!("state is {word:?}; it can be one of: {}.", known.join(", ")))
    })
}

fn every_progress() -> impl Iterator<Item = ClientProgress> {
    EnforcementState::ALL.into_iter().map(ClientProgress::In).chain([ClientProgress::Silent])
}

fn drawn(deployment: &DeploymentDetail, course: &[HistoryPoint], now: i64) -> Timeline {
    let opened: Vec<_> = deployment.phase_rows.iter().map(|phase| phase.opened_at).collect();
    timeline::timeline(course, &opened, now)
}

/// The address of a deployment's page with its clients filtered.
fn address(deployment: &DeploymentDetail, filter: &DeploymentClientFilter) -> String {
    let address = Address::new(&format!("/deployments/{}", deployment.row.id))
        .with("search", &filter.search)
        .with("state", filter.state.map_or("", ClientProgress::as_str))
        .with("phase", &filter.phase.map_or(String::new(), |phase| (phase + 1).to_string()));
    address.with_page(filter.page).into_string() + "#clients"
}

/// One line of the legend: a state that clients have.
struct LegendLine {
    state: Option<EnforcementState>,
    clients: i64,
    address: String,
}

/// What templates of both the page and its fragments ask.
trait Shown {
    fn deployment(&self) -> &DeploymentDetail;

    fn counts(&self) -> StageCounts {
        StageCounts::of_clients(&self.deployment().row.clients)
    }

    fn legend(&self) -> Vec<LegendLine> {
        let clients = &self.deployment().row.clients;
        let states = clients.by_state().map(|(state, count)| (Some(state), count)).chain([(None, clients.silent)]);
        let line = |(state, clients): (Option<EnforcementState>, i64)| {
            let filter = DeploymentClientFilter { state: Some(state.into()), ..DeploymentClientFilter::default() };
            LegendLine { state, clients, address: address(self.deployment(), &filter) }
        };
        let mut lines: Vec<_> = states.filter(|(_, clients)| *clients > 0).map(line).collect();
        lines.sort_by_key(|line| Stage::of(line.state));
        lines
    }

    /// Clients that an administrator can have try again.
    fn failed(&self) -> i64 {
        self.deployment().row.clients.failed()
    }

    fn is_over(&self) -> bool {
        self.deployment().row.status == DeploymentStatus::Cancelled
    }

    fn phase_address(&self, phase: &PhaseRow) -> String {
        let filter = DeploymentClientFilter { phase: Some(phase.position), ..DeploymentClientFilter::default() };
        address(self.deployment(), &filter)
    }

    fn sources(&self) -> &'static str {
        sources_in_words(&self.deployment().settings.sources)
    }

    fn restart(&self) -> String {
        restart_in_words(self.deployment().settings.restart)
    }
}

impl Shown for DeploymentPage {
    fn deployment(&self) -> &DeploymentDetail {
        &self.deployment
    }
}

impl Shown for StatusFragment {
    fn deployment(&self) -> &DeploymentDetail {
        &self.deployment
    }
}

impl Shown for ClientsFragment {
    fn deployment(&self) -> &DeploymentDetail {
        &self.deployment
    }
}

/// What templates of the list of clients ask.
trait Listed: Shown {
    fn filter(&self) -> &DeploymentClientFilter;

    fn page_address(&self, page: i64) -> String {
        address(self.deployment(), &DeploymentClientFilter { page, ..self.filter().clone() })
    }
}

impl Listed for DeploymentPage {
    fn filter(&self) -> &DeploymentClientFilter {
        &self.filter
    }
}

impl Listed for ClientsFragment {
    fn filter(&self) -> &DeploymentClientFilter {
        &self.filter
    }
}

impl DeploymentPage {
    fn state_choices(&self) -> Vec<Choice> {
        let choice = |progress: ClientProgress| Choice {
            word: progress.as_str().to_owned(),
            label: stage::state_label(progress.state()).to_owned(),
            chosen: self.filter.state == Some(progress),
        };
        every_progress().map(choice).collect()
    }

    fn phase_choices(&self) -> Vec<Choice> {
        let choice = |phase: &PhaseRow| Choice {
            word: (phase.position + 1).to_string(),
            label: format!("{}: {}", phase.position + 1, phase.name),
            chosen: self.filter.phase == Some(phase.position),
        };
        self.deployment.phase_rows.iter().map(choice).collect()
    }
}

fn chart(clients: &EnforcementCounts) -> Chart {
    StageCounts::of_clients(clients).chart()
}

/// The same without enlarging what is small, for a bar with a threshold in it.
fn exact(clients: &EnforcementCounts) -> Chart {
    StageCounts::of_clients(clients).exact_chart()
}

/// Clients of a phase or an update with a stage, in percent.
fn percent(clients: &EnforcementCounts, stage: Stage) -> i64 {
    StageCounts::of_clients(clients).percent(stage)
}

/// Whether an update is no longer deployed.
fn dropped(update: &DeployedUpdateRow) -> bool {
    update.superseded || update.expired
}

/// Whether an administrator can have this client try again.
fn can_retry(client: &DeploymentClientRow) -> bool {
    Stage::of(client.state.state()) == Stage::Failed
}

fn class_of(state: Option<EnforcementState>) -> &'static str {
    Stage::of(state).class()
}
