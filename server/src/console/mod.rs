//! The console: pages for administrators, and the same as JSON below `/api`.
//!
//! It reads the database and never talks to an agent. Whatever it changes, it changes through the application functions
//! that the command line calls too ([`crate::deployment`], [`crate::collections`], [`crate::windows`],
//! [`crate::plugins`]). Every page and every form works without JavaScript. There is no sign-in yet: it is served on
//! loopback only and answers only to loopback's names ([`guard`]).

mod api;
mod assets;
mod chart;
mod clients;
mod collections;
mod counting;
mod deployments;
mod filters;
mod form;
mod frame;
mod guard;
mod keys;
mod notices;
mod overview;
mod parameters;
mod plugins;
mod problem;
mod rules;
mod spans;
mod stage;
mod synchronization;
mod timeline;
mod updates;
mod wizard;

use crate::database::Database;
use crate::deployment::Deployments;
use crate::keys::{Keys, SiteKeys};
use crate::plugins::Plugins;
use crate::signals::Signals;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use counting::Counting;
use jiff::SignedDuration;
use notices::Notices;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of a form or a body of JSON, at most: a thousand updates, or the static members of a large collection.
const MAX_FORM_BYTES: usize = 512 * 1024;

/// What the console shows.
#[derive(Debug, Clone)]
pub struct Console {
    /// The site database.
    pub database: Database,
    /// The keys that are on the site.
    pub keys: Keys,
    /// The site's name.
    pub site_name: String,
    /// Rung when a synchronization is requested.
    pub signals: Signals,
    /// How often the site synchronizes by itself; none if only on request, or if the console is not to say.
    pub synchronize_every: Option<SignedDuration>,
    /// Ends when the site stops, and with it what is sent for as long as the site runs.
    pub stopping: watch::Receiver<()>,
}

impl Console {
    /// The routes of the console.
    pub fn router(self) -> Router {
        let state = State {
            counting: Counting::new(self.database.clone()),
            notices: Notices::new(self.site_keys()),
            console: Arc::new(self),
        };
        pages()
            .layer(from_fn_with_state(state.clone(), notices::refresh))
            .merge(api())
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

impl Console {
    fn site_keys(&self) -> SiteKeys {
        SiteKeys { database: self.database.clone(), keys: self.keys.clone() }
    }
}

/// What people look at.
fn pages() -> Router<State> {
    Router::new()
        .route("/", get(overview::page))
        .route("/updates", get(updates::list::page))
        .route("/updates/{id}", get(updates::detail::page))
        .route("/clients", get(clients::list::page))
        .route("/clients/{id}", get(clients::detail::page))
        .route("/collections", get(collections::list::page))
        .route("/collections/new", get(collections::edit::create_page).post(collections::edit::create))
        .route("/collections/{id}", get(collections::detail::page))
        .route("/collections/{id}/edit", get(collections::edit::edit_page).post(collections::edit::change))
        .route("/collections/{id}/remove", post(collections::detail::remove))
        .route(
            "/collections/{id}/windows/new",
            get(collections::windows::create_page).post(collections::windows::create),
        )
        .route(
            "/collections/{id}/windows/{window}",
            get(collections::windows::edit_page).post(collections::windows::change),
        )
        .route("/collections/{id}/windows/{window}/remove", post(collections::windows::remove))
        .route("/deployments", get(deployments::list::page))
        .route("/deployments/new", get(wizard::begin).post(wizard::go))
        .route("/deployments/{id}", get(deployments::detail::page))
        .route("/deployments/{id}/status", get(deployments::detail::status))
        .route("/deployments/{id}/clients", get(deployments::detail::clients))
        .route("/deployments/{id}/events", get(deployments::live::events))
        .route("/deployments/{id}/export.csv", get(deployments::export::csv))
        .route("/deployments/{id}/{action}", post(deployments::actions::act))
        .route("/deployment-rules", get(rules::list::page))
        .route("/deployment-rules/new", get(rules::edit::create_page).post(rules::edit::create))
        .route("/deployment-rules/{id}", get(rules::edit::edit_page).post(rules::edit::change))
        .route("/deployment-rules/{id}/{action}", post(rules::list::act))
        .route("/plugins", get(plugins::list::page))
        .route("/plugins/{name}", get(plugins::detail::page))
        .route("/plugins/{name}/differences", get(plugins::differences::page))
        .route("/plugins/{name}/{action}", post(plugins::actions::act))
        .route("/keys", get(keys::page))
        .route("/synchronization", get(synchronization::page))
        .route("/synchronization/status", get(synchronization::status))
        .route("/synchronization/run", post(synchronization::run))
}

/// The same for programs.
fn api() -> Router<State> {
    Router::new()
        .route("/api/overview", get(overview::api))
        .route("/api/updates", get(updates::list::api))
        .route("/api/updates/{id}", get(updates::detail::api))
        .route("/api/clients", get(clients::list::api))
        .route("/api/clients/{id}", get(clients::detail::api))
        .route("/api/collections", get(collections::list::api).post(api::create_collection))
        .route("/api/collections/preview", post(api::preview_collection))
        .route(
            "/api/collections/{id}",
            get(collections::detail::api).put(api::change_collection).delete(api::remove_collection),
        )
        .route("/api/collections/{id}/windows", post(api::add_window))
        .route("/api/collections/{id}/windows/{window}", delete(api::remove_window))
        .route("/api/deployments", get(deployments::list::api).post(deployments::actions::create_api))
        .route("/api/deployments/review", post(deployments::actions::review_api))
        .route("/api/deployments/{id}", get(deployments::detail::api))
        .route("/api/deployments/{id}/clients/{client}", get(deployments::detail::client_api))
        .route("/api/deployments/{id}/{action}", post(deployments::actions::act_api))
        .route("/api/deployment-rules", get(rules::list::api))
        .route(
            "/api/plugins",
            get(plugins::api::list).post(plugins::api::push).layer(DefaultBodyLimit::max(plugins::api::MAX_PUSH_BYTES)),
        )
        .route("/api/plugins/{name}", get(plugins::api::detail))
        .route("/api/plugins/{name}/differences", get(plugins::api::differences))
        .route("/api/plugins/{name}/clients", get(plugins::api::clients))
        .route("/api/plugins/{name}/approval", get(plugins::api::approval))
        .route("/api/plugins/{name}/{action}", post(plugins::api::act))
        .route("/api/plugin-publishers", get(plugins::api::publishers).post(plugins::api::add_publisher))
        .route("/api/plugin-publishers/{name}", delete(plugins::api::remove_publisher))
        .route("/api/keys", get(keys::api))
        .route("/api/synchronization", get(synchronization::api))
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct State {
    console: Arc<Console>,
    counting: Counting,
    notices: Notices,
}

impl State {
    fn database(&self) -> &Database {
        &self.console.database
    }

    fn plugins(&self) -> Plugins {
        Plugins::new(self.console.database.clone(), self.console.signals.clone())
    }

    fn deployments(&self) -> Deployments {
        Deployments::new(self.console.database.clone(), self.console.signals.clone())
    }
}
