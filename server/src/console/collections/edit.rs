//! `/collections/new` and `/collections/{id}/edit`: the form of a collection, with a preview of who would be in.

use super::super::form::Form;
use super::super::frame::{Frame, Section, html};
use super::super::problem::{Problem, in_words};
use super::super::{State, filters};
use super::{collection, parse_id};
use crate::collections::{self, CollectionError, Preview};
use crate::database::views::CollectionRow;
use crate::database::{ALL_CLIENTS, CollectionDefinition, CollectionId, now};
use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use farrier_protocol::ClientId;
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "collection_edit.html")]
struct EditPage {
    frame: Frame,
    form: Form,
    /// None for a new one.
    id: Option<CollectionId>,
    /// The line of the query that is wrong, with carets.
    pointer: Option<String>,
    preview: Option<Preview>,
    others: Vec<CollectionRow>,
}

pub(in super::super) async fn create_page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    html(&EditPage::new(&state, Form::default(), None).await?)
}

pub(in super::super) async fn edit_page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let id = changeable(&state, &id).await?;
    let definition = state.database().collection_definition(id).await?.unwrap_or_default();
    let form = written(&state, &definition).await?;
    html(&EditPage::new(&state, form, Some(id)).await?)
}

pub(in super::super) async fn create(Shared(state): Shared<State>, form: Form) -> Result<Response, Problem> {
    submit(&state, form, None).await
}

pub(in super::super) async fn change(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let id = changeable(&state, &id).await?;
    submit(&state, form, Some(id)).await
}

async fn changeable(state: &State, id: &str) -> Result<CollectionId, Problem> {
    let id = parse_id(id)?;
    collection(state, id).await?;
    if id == ALL_CLIENTS {
        return Err(Problem::conflict(
            "All clients is always every client of the site: it cannot be changed.".to_owned(),
        ));
    }
    Ok(id)
}

/// Stores the collection, or shows its form again with a preview or with what is wrong.
async fn submit(state: &State, mut form: Form, id: Option<CollectionId>) -> Result<Response, Problem> {
    let definition = read(state, &mut form).await?;
    let only_preview = form.get("go") == "preview";
    let mut page = EditPage::new(state, form, id).await?;
    let done = match (page.form.is_right(), only_preview) {
        (false, _) => Ok(None),
        (true, true) => collections::preview(state.database(), &definition, now()).await.map(|preview| {
            page.preview = Some(preview);
            None
        }),
        (true, false) => store(state, &definition, id).await.map(Some),
    };
    match done {
        Ok(Some(id)) => return Ok(Redirect::to(&format!("/collections/{id}")).into_response()),
        Ok(None) => {}
        Err(error) => page.refuse(error, &definition)?,
    }
    Ok(html(&page)?.into_response())
}

async fn store(
    state: &State,
    definition: &CollectionDefinition,
    id: Option<CollectionId>,
) -> Result<CollectionId, CollectionError> {
    let id = match id {
        Some(id) => collections::change(state.database(), id, definition, now()).await.map(|()| id)?,
        None => collections::create(state.database(), definition, now()).await?,
    };
    tracing::info!(collection.id = id.0, "Collection stored in the console");
    state.console.signals.collections_changed.notify_one();
    Ok(id)
}

/// What the form says, with its own mistakes noted.
async fn read(state: &State, form: &mut Form) -> Result<CollectionDefinition, Problem> {
    let clients = read_clients(state, form).await?;
    let ids = |name: &str| form.all(name).filter_map(|id| id.parse().ok()).collect::<BTreeSet<CollectionId>>();
    Ok(CollectionDefinition {
        name: form.get("name").to_owned(),
        description: form.get("description").to_owned(),
        query: Some(form.get("query").to_owned()).filter(|query| !query.is_empty()),
        clients,
        includes: ids("includes"),
        excludes: ids("excludes"),
    })
}

/// The static members: a host name or an id on each line.
async fn read_clients(state: &State, form: &mut Form) -> Result<BTreeSet<ClientId>, Problem> {
    let lines: Vec<String> = form.get("clients").lines().map(|line| line.trim().to_owned()).collect();
    let mut clients = BTreeSet::new();
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if let Ok(id) = line.parse() {
            clients.insert(id);
            continue;
        }
        match state.database().clients_named(&line).await?[..] {
            [client] => _ = clients.insert(client),
            [] => form.wrong("clients", format!("There is no client {line:?}: write a host name or an id.")),
            [_, ..] => form.wrong("clients", format!("Several clients are named {line:?}: write the id of the one.")),
        }
    }
    Ok(clients)
}

/// A definition as a form.
async fn written(state: &State, definition: &CollectionDefinition) -> Result<Form, Problem> {
    let mut form = Form::default();
    form.set("name", &definition.name);
    form.set("description", &definition.description);
    form.set("query", definition.query.as_deref().unwrap_or_default());
    let mut lines = Vec::with_capacity(definition.clients.len());
    for id in &definition.clients {
        lines.push(state.database().unambiguous_name(*id).await?.unwrap_or_else(|| id.to_string()));
    }
    lines.sort_unstable();
    form.set("clients", lines.join("\n"));
    form.set_all("includes", definition.includes.iter().map(ToString::to_string));
    form.set_all("excludes", definition.excludes.iter().map(ToString::to_string));
    Ok(form)
}

impl EditPage {
    async fn new(state: &State, form: Form, id: Option<CollectionId>) -> Result<Self, Problem> {
        let mut others = state.database().collection_rows().await?;
        others.retain(|other| Some(other.id) != id);
        let frame = Frame::new(state, Section::Collections);
        Ok(Self { frame, form, id, pointer: None, preview: None, others })
    }

    /// Shows why the collection is not taken, at the field where it is.
    fn refuse(&mut self, error: CollectionError, definition: &CollectionDefinition) -> Result<(), Problem> {
        if let CollectionError::Definition(crate::database::DefinitionError::Database(error)) = error {
            return Err(error.into());
        }
        if let (CollectionError::Query(error), Some(query)) = (&error, &definition.query) {
            self.pointer = Some(error.pointing_into(query));
        }
        self.form.wrong(error.field().unwrap_or("form"), in_words(&error));
        Ok(())
    }

    fn action(&self) -> String {
        self.id.map_or("/collections/new".to_owned(), |id| format!("/collections/{id}/edit"))
    }

    fn back(&self) -> String {
        self.id.map_or("/collections".to_owned(), |id| format!("/collections/{id}"))
    }
}
