//! `/updates/{id}`: one software update, and which clients have it.

use super::super::chart::{self, Chart};
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Parameters, STATES, word_of};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::views::{Page, UpdateClient, UpdateDetail};
use askama::Template;
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::response::Html;
use farrier_protocol::{ComplianceState, UpdateId};
use serde::Serialize;

#[derive(Template)]
#[template(path = "update.html")]
struct UpdatePage {
    frame: Frame,
    update: UpdateDetail,
    state: ComplianceState,
    list: Page<UpdateClient>,
}

/// The update, and one page of the clients that have this state.
#[derive(Serialize)]
pub(in super::super) struct UpdateJson {
    #[serde(flatten)]
    update: UpdateDetail,
    state: ComplianceState,
    clients_with_state: Page<UpdateClient>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let UpdateJson { update, state: shown, clients_with_state } = read(&state, &id, parameters).await?;
    html(&UpdatePage { frame: Frame::new(&state, Section::Updates), update, state: shown, list: clients_with_state })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<UpdateJson>, Problem> {
    read(&state, &id, parameters).await.map(Json)
}

async fn read(state: &State, id: &str, mut parameters: Parameters) -> Result<UpdateJson, Problem> {
    let id: UpdateId =
        id.parse().map_err(|error| Problem::bad_request(format!("{id:?} is no id of a software update: {error}.")))?;
    let shown = parameters.word("state", STATES)?;
    let page = parameters.page()?;
    parameters.finish()?;
    let Some(update) = state.database().update_detail(id).await? else {
        let message = format!("There is no software update {id} on this site.");
        return Err(Problem::not_found(
            message,
            "Search for it in the list of updates: a newer version has another id.",
        ));
    };
    let shown = shown.or(update.row.clients.first_of(&chart::STATES)).unwrap_or(ComplianceState::Required);
    let clients_with_state = state.database().update_clients(id, shown, page).await?;
    Ok(UpdateJson { update, state: shown, clients_with_state })
}

impl UpdatePage {
    fn states() -> [ComplianceState; 4] {
        chart::STATES
    }

    fn chart(&self) -> Chart {
        chart::states(&self.update.row.clients)
    }

    fn state_address(&self, state: ComplianceState) -> String {
        self.address(state, 1)
    }

    fn page_address(&self, page: i64) -> String {
        self.address(self.state, page)
    }

    fn address(&self, state: ComplianceState, page: i64) -> String {
        let path = format!("/updates/{}", self.update.row.id);
        Address::new(&path).with("state", word_of(STATES, &state)).with_page(page).into_string() + "#clients"
    }
}
