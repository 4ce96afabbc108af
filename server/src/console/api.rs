//! What the JSON API reads and writes beside what its pages show: the same functions with a body of JSON.

use super::State;
use super::collections::parse_id;
use super::problem::Problem;
use crate::collections::{self, Preview};
use crate::database::{CollectionDefinition, CollectionId, WindowDefinition, now};
use crate::windows;
use axum::Json;
use axum::extract::{FromRequest, Path, Request, State as Shared};
use axum::http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body of JSON, with a mistake in it named; none at all is the usual value, where a type has one.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_form("The body is larger than the console takes.".to_owned()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let value = serde_json::from_slice(text);
        value.map(Self).map_err(|error| Problem::bad_form(format!("The body cannot be read as JSON: {error}.")))
    }
}

/// What was made.
#[derive(Debug, Serialize)]
pub(super) struct Made<T> {
    id: T,
}

pub(super) async fn create_collection(
    Shared(state): Shared<State>,
    Body(definition): Body<CollectionDefinition>,
) -> Result<(StatusCode, Json<Made<CollectionId>>), Problem> {
    let id = collections::create(state.database(), &definition, now()).await?;
    state.console.signals.collections_changed.notify_one();
    Ok((StatusCode::CREATED, Json(Made { id })))
}

pub(super) async fn change_collection(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Body(definition): Body<CollectionDefinition>,
) -> Result<StatusCode, Problem> {
    collections::change(state.database(), parse_id(&id)?, &definition, now()).await?;
    state.console.signals.collections_changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_collection(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    collections::remove(state.database(), parse_id(&id)?, now()).await?;
    state.console.signals.collections_changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn preview_collection(
    Shared(state): Shared<State>,
    Body(definition): Body<CollectionDefinition>,
) -> Result<Json<Preview>, Problem> {
    Ok(Json(collections::preview(state.database(), &definition, now()).await?))
}

pub(super) async fn add_window(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Body(window): Body<WindowDefinition>,
) -> Result<(StatusCode, Json<Made<i64>>), Problem> {
    let id = windows::add(state.database(), parse_id(&id)?, &window, now()).await?;
    state.console.signals.deployments_changed.notify_one();
    Ok((StatusCode::CREATED, Json(Made { id })))
}

pub(super) async fn remove_window(
    Shared(state): Shared<State>,
    Path((collection, window)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let window = collections_window(&state, &collection, &window).await?;
    windows::remove(state.database(), window, now()).await?;
    state.console.signals.deployments_changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

async fn collections_window(state: &State, collection: &str, window: &str) -> Result<i64, Problem> {
    super::collections::windows::stored(state, collection, window).await.map(|window| window.id)
}
