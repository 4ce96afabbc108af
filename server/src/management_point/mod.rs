//! The management point: what clients talk to.
//!
//! Three requests, all bounded: enrol (with a one-time token), fetch the assignment (unchanged costs a 304), send state
//! messages (acknowledged after their commit). Everything but enrolment needs a client certificate.

mod assignment;
mod client;
mod enrollment;
mod state_messages;

use crate::config::ManagementPointConfig;
use crate::database::{Database, StateWriter};
use crate::identity::SiteIdentity;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use farrier_protocol::enrollment::MAX_ENROLLMENT_BYTES;
use farrier_protocol::paths;
use farrier_protocol::state_message::MAX_BATCH_BYTES;
use std::sync::Arc;
use std::time::Duration;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

/// How long one request may take, and how long its body may stand still.
const REQUEST_SECONDS: u64 = 60;
const BODY_IDLE_SECONDS: u64 = 20;

/// What the handlers share.
#[derive(Clone)]
pub struct ManagementPoint {
    /// The site database.
    pub database: Database,
    /// Commits state messages.
    pub states: StateWriter,
    /// Signs client certificates.
    pub identity: Arc<SiteIdentity>,
    /// The clients' periods.
    pub config: Arc<ManagementPointConfig>,
}

/// The routes of the management point.
pub fn router(management_point: ManagementPoint) -> Router {
    Router::new()
        .route(paths::ENROLL, post(enrollment::enroll).layer(DefaultBodyLimit::max(MAX_ENROLLMENT_BYTES)))
        .route(paths::ASSIGNMENT, get(assignment::assignment))
        .route(paths::ASSIGNMENT_2, get(assignment::without_deployments))
        .route(paths::ASSESSMENT, get(assignment::assessment_only))
        .route(paths::STATE_MESSAGES, post(state_messages::commit).layer(DefaultBodyLimit::max(MAX_BATCH_BYTES)))
        .with_state(management_point)
        .layer(RequestBodyTimeoutLayer::new(Duration::from_secs(BODY_IDLE_SECONDS)))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(REQUEST_SECONDS)))
}

/// Why a request is refused: a status and a sentence that names the remedy.
#[derive(Debug)]
enum Refusal {
    /// The client's fault.
    Client(StatusCode, &'static str),
    /// The site's fault; the cause goes to the log, not to the client.
    Site(anyhow::Error),
}

impl Refusal {
    const MALFORMED: Self =
        Self::Client(StatusCode::BAD_REQUEST, "The body is not a message of this protocol version.");
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Site(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Client(status, sentence) => (status, sentence).into_response(),
            Self::Site(error) => {
                tracing::error!(error = format!("{error:#}"), "Request of a client failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The site failed; its log says why. Try again later.")
                    .into_response()
            }
        }
    }
}
