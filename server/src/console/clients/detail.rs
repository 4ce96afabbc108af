//! `/clients/{id}`: one client, its last scan, and its updates with reasons.

use super::super::chart::{self, Chart};
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Parameters, STATES, word_of};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::views::{ClientDeploymentRow, ClientDetail, ClientPluginRow, ClientUpdate, CollectionLink, Page};
use crate::database::{Admission, now};
use crate::deployment::settings::Purpose;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::response::Html;
use farrier_protocol::enforcement::EnforcementState;
use farrier_protocol::{ClientId, ComplianceState};
use serde::Serialize;

/// Updates of a deployment that are shown.
const SHOWN_UPDATES: usize = 10;

#[derive(Template)]
#[template(path = "client.html")]
struct ClientPage {
    frame: Frame,
    client: ClientDetail,
    state: ComplianceState,
    list: Page<ClientUpdate>,
    deployments: Vec<ClientDeploymentRow>,
    collections: Vec<CollectionLink>,
    plugins: Vec<ClientPluginRow>,
}

/// The client, its deployments, its plugins, and one page of its updates with this state.
#[derive(Serialize)]
pub(in super::super) struct ClientJson {
    #[serde(flatten)]
    client: ClientDetail,
    state: ComplianceState,
    updates_with_state: Page<ClientUpdate>,
    deployments: Vec<ClientDeploymentRow>,
    collections: Vec<CollectionLink>,
    plugin_rows: Vec<ClientPluginRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let ClientJson { client, state: shown, updates_with_state: list, deployments, collections, plugin_rows: plugins } =
        read(&state, &id, parameters).await?;
    let frame = Frame::new(&state, Section::Clients);
    html(&ClientPage { frame, client, state: shown, list, deployments, collections, plugins })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<ClientJson>, Problem> {
    read(&state, &id, parameters).await.map(Json)
}

async fn read(state: &State, id: &str, mut parameters: Parameters) -> Result<ClientJson, Problem> {
    let id: ClientId =
        id.parse().map_err(|error| Problem::bad_request(format!("{id:?} is no id of a client: {error}.")))?;
    let shown = parameters.word("state", STATES)?;
    let page = parameters.page()?;
    parameters.finish()?;
    let Some(client) = state.database().client_detail(id).await? else {
        let message = format!("There is no client {id} on this site.");
        return Err(Problem::not_found(
            message,
            "Search for it in the list of clients: it has another id once it enrolled again.",
        ));
    };
    let shown = shown.or(client.row.updates.first_of(&chart::STATES)).unwrap_or(ComplianceState::Required);
    let updates_with_state = state.database().client_updates(id, shown, page).await?;
    let deployments = state.database().client_deployments(id, now()).await?;
    let collections = state.database().client_collections(id).await?;
    let plugin_rows = state.database().client_plugin_rows(id).await?;
    Ok(ClientJson { client, state: shown, updates_with_state, deployments, collections, plugin_rows })
}

impl ClientPage {
    fn states() -> [ComplianceState; 4] {
        chart::STATES
    }

    fn chart(&self) -> Chart {
        chart::applicable(&self.client.row.updates)
    }

    /// What is under way or went wrong of a deployment, for people who want more than one sentence.
    fn open_updates(deployment: &ClientDeploymentRow) -> impl Iterator<Item = &crate::database::views::UpdateProgress> {
        let is_open = |state| {
            !matches!(state, EnforcementState::Waiting | EnforcementState::Succeeded | EnforcementState::Superseded)
        };
        deployment.updates.iter().filter(move |update| is_open(update.state)).take(SHOWN_UPDATES)
    }

    fn state_address(&self, state: ComplianceState) -> String {
        self.address(state, 1)
    }

    fn page_address(&self, page: i64) -> String {
        self.address(self.state, page)
    }

    fn address(&self, state: ComplianceState, page: i64) -> String {
        let path = format!("/clients/{}", self.client.row.id);
        Address::new(&path).with("state", word_of(STATES, &state)).with_page(page).into_string() + "#updates"
    }
}
