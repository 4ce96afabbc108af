//! `/collections`: the list of collections.

use super::super::frame::{Frame, Section, html};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::views::CollectionRow;
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;

#[derive(Template)]
#[template(path = "collections.html")]
struct CollectionsPage {
    frame: Frame,
    list: Vec<CollectionRow>,
}

pub(in super::super) async fn page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let list = state.database().collection_rows().await?;
    html(&CollectionsPage { frame: Frame::new(&state, Section::Collections), list })
}

pub(in super::super) async fn api(Shared(state): Shared<State>) -> Result<Json<Vec<CollectionRow>>, Problem> {
    Ok(Json(state.database().collection_rows().await?))
}
