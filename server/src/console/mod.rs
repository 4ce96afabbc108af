//! The console: pages for administrators, and the same as JSON below `/api`.
//!
//! It reads the database and never talks to an agent. The one thing it does, a request for a synchronization, it writes to
//! the database like everybody else. There is no sign-in yet: it is served on loopback only and answers only to loopback's
//! names ([`guard`]).

mod assets;
mod chart;
mod clients;
mod counting;
mod filters;
mod frame;
mod guard;
mod overview;
mod parameters;
mod problem;
mod synchronization;
mod updates;

use crate::database::Database;
use crate::signals::Signals;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use counting::Counting;
use jiff::SignedDuration;
use std::sync::Arc;

/// The console posts forms without fields.
const MAX_FORM_BYTES: usize = 4 * 1024;

/// What the console shows.
#[derive(Debug, Clone)]
pub struct Console {
    /// The site database.
    pub database: Database,
    /// The site's name.
    pub site_name: String,
    /// Rung when a synchronization is requested.
    pub signals: Signals,
    /// How often the site synchronizes by itself; none if only on request, or if the console is not to say.
    pub synchronize_every: Option<SignedDuration>,
}

impl Console {
    /// The routes of the console.
    pub fn router(self) -> Router {
        let state = State { counting: Counting::new(self.database.clone()), console: Arc::new(self) };
        Router::new()
            .route("/", get(overview::page))
            .route("/updates", get(updates::list::page))
            .route("/updates/{id}", get(updates::detail::page))
            .route("/clients", get(clients::list::page))
            .route("/clients/{id}", get(clients::detail::page))
            .route("/synchronization", get(synchronization::page))
            .route("/synchronization/status", get(synchronization::status))
            .route("/synchronization/run", post(synchronization::run))
            .route("/api/overview", get(overview::api))
            .route("/api/updates", get(updates::list::api))
            .route("/api/updates/{id}", get(updates::detail::api))
            .route("/api/clients", get(clients::list::api))
            .route("/api/clients/{id}", get(clients::detail::api))
            .route("/api/synchronization", get(synchronization::api))
            .route("/assets/{name}", get(assets::asset))
            .route("/favicon.ico", get(assets::favicon))
            .fallback(problem::no_such_page)
            .method_not_allowed_fallback(problem::no_such_method)
            .with_state(state.clone())
            .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
            .layer(from_fn_with_state(state, problem::render))
            .layer(from_fn(guard::guard))
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct State {
    console: Arc<Console>,
    counting: Counting,
}

impl State {
    fn database(&self) -> &Database {
        &self.console.database
    }
}
