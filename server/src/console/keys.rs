//! `/keys`: the keys, what they have signed and until when, and what waits for signatures.

use super::frame::{Frame, Section, html};
use super::problem::Problem;
use super::{State, filters};
use crate::database::now;
use crate::keys::{MetadataStanding, RoleStanding, Standing, Urgency};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    standing: Standing,
}

pub(super) async fn page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let standing = state.console.site_keys().standing(now()).await?;
    html(&KeysPage { frame: Frame::new(&state, Section::Keys), standing })
}

pub(super) async fn api(Shared(state): Shared<State>) -> Result<Json<Standing>, Problem> {
    Ok(Json(state.console.site_keys().standing(now()).await?))
}

impl KeysPage {
    /// Keys of the role that are on the site although they belong elsewhere.
    fn is_exposed(role: &RoleStanding) -> bool {
        role.role.is_offline() && role.keys.iter().any(|key| key.on_site)
    }

    /// The icon of how long metadata still count.
    fn glyph(metadata: &MetadataStanding) -> &'static str {
        match metadata.urgency {
            None => "installed",
            Some(Urgency::Warning) => "unknown",
            Some(Urgency::Urgent) => "required",
        }
    }
}
