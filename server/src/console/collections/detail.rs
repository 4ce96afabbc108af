//! `/collections/{id}`: one collection with its members and windows.

use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Parameters};
use super::super::problem::Problem;
use super::super::{State, filters};
use super::{collection, parse_id};
use crate::collections;
use crate::database::views::{CollectionDetail, CollectionMember, Page};
use crate::database::{ALL_CLIENTS, MaintenanceWindow, now};
use crate::windows::{self, Occurrence};
use askama::Template;
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, Redirect};
use farrier_protocol::assignment::WindowKind;
use serde::Serialize;

/// Occurrences of a window that are shown.
const SHOWN_OCCURRENCES: usize = 3;

#[derive(Template)]
#[template(path = "collection.html")]
struct CollectionPage {
    frame: Frame,
    collection: CollectionDetail,
    windows: Vec<WindowLine>,
    search: String,
    list: Page<CollectionMember>,
}

/// A window with its next occurrences.
#[derive(Serialize)]
struct WindowLine {
    #[serde(flatten)]
    window: MaintenanceWindow,
    next: Vec<Occurrence>,
}

/// The collection, its windows, and one page of its members.
#[derive(Serialize)]
pub(in super::super) struct CollectionJson {
    #[serde(flatten)]
    collection: CollectionDetail,
    windows: Vec<WindowLine>,
    clients: Page<CollectionMember>,
    #[serde(skip)]
    search: String,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let CollectionJson { collection, windows, clients: list, search } = read(&state, &id, parameters).await?;
    html(&CollectionPage { frame: Frame::new(&state, Section::Collections), collection, windows, search, list })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<CollectionJson>, Problem> {
    read(&state, &id, parameters).await.map(Json)
}

/// Removes the collection and shows the others.
pub(in super::super) async fn remove(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Redirect, Problem> {
    let id = parse_id(&id)?;
    collection(&state, id).await?;
    collections::remove(state.database(), id, now()).await?;
    tracing::info!(collection.id = id.0, "Collection removed in the console");
    state.console.signals.collections_changed.notify_one();
    Ok(Redirect::to("/collections"))
}

async fn read(state: &State, id: &str, mut parameters: Parameters) -> Result<CollectionJson, Problem> {
    let (search, page) = (parameters.search()?, parameters.page()?);
    parameters.finish()?;
    let id = parse_id(id)?;
    let collection = collection(state, id).await?;
    let windows = state.database().collection_windows(id).await?.into_iter().map(WindowLine::of).collect();
    let clients = state.database().collection_members(id, &search, page).await?;
    Ok(CollectionJson { collection, windows, clients, search })
}

impl WindowLine {
    fn of(window: MaintenanceWindow) -> Self {
        // A stored window makes sense; one that an older Farrier took for sense shows no occurrences.
        let next = windows::next_occurrences(&window.definition, now(), SHOWN_OCCURRENCES).unwrap_or_default();
        Self { window, next }
    }
}

impl CollectionPage {
    fn is_all_clients(&self) -> bool {
        self.collection.row.id == ALL_CLIENTS
    }

    fn page_address(&self, page: i64) -> String {
        let path = format!("/collections/{}", self.collection.row.id);
        Address::new(&path).with("search", &self.search).with_page(page).into_string() + "#members"
    }
}

fn kind_label(kind: WindowKind) -> &'static str {
    match kind {
        WindowKind::Maintenance => "Maintenance window",
        WindowKind::BusinessHours => "Business hours",
    }
}
