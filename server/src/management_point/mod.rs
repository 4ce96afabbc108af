//! The management point: what clients talk to.
//!
//! Four requests, all bounded: enrol (with a one-time token), renew the certificate, poll (answered with a signed
//! statement, and with the assignment where the client does not have it), send state messages (acknowledged after their
//! commit). Everything but enrolment needs a client certificate.

mod assignment;
mod client;
mod enrollment;
mod renewal;
mod state_messages;
mod statements;

use crate::config::ManagementPointConfig;
use crate::database::{Database, KeptOut, StateWriter};
use crate::identity::SiteIdentity;
use crate::signals::Signals;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use farrier_protocol::enrollment::{EXCLUSION_HEADER, MAX_ENROLLMENT_BYTES};
use farrier_protocol::poll::MAX_POLL_BYTES;
use farrier_protocol::state_message::MAX_BATCH_BYTES;
use farrier_protocol::{ClientId, paths};
pub use statements::Statements;
use std::sync::Arc;
use std::time::Duration;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

/// How long one request may take, and how long its body may stand still.
const REQUEST_SECONDS: u64 = 60;
const BODY_IDLE_SECONDS: u64 = 20;
/// What agents ask that follow a repository signed in another way.
const OLD_PATHS: [&str; 4] = ["/v1/enroll", "/v1/assignment", "/v2/assignment", "/v3/assignment"];

/// What the handlers share.
#[derive(Clone)]
pub struct ManagementPoint {
    /// The site database.
    pub database: Database,
    /// Commits state messages.
    pub states: StateWriter,
    /// Signs client certificates.
    pub identity: Arc<SiteIdentity>,
    /// Signs what clients are told.
    pub statements: Statements,
    /// Rung when a client needs what is not published.
    pub signals: Signals,
    /// The clients' periods.
    pub config: Arc<ManagementPointConfig>,
}

/// The routes of the management point.
pub fn router(management_point: ManagementPoint) -> Router {
    let old = OLD_PATHS.into_iter().fold(Router::new(), |router, path| router.route(path, any(assignment::gone)));
    old.route(paths::ENROLL, post(enrollment::enroll).layer(DefaultBodyLimit::max(MAX_ENROLLMENT_BYTES)))
        .route(paths::RENEW, post(renewal::renew).layer(DefaultBodyLimit::max(MAX_ENROLLMENT_BYTES)))
        .route(paths::POLL, post(assignment::poll).layer(DefaultBodyLimit::max(MAX_POLL_BYTES)))
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
    /// The client is kept out.
    KeptOut(ClientId, KeptOut),
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
            Self::KeptOut(client, kept_out) => {
                let exclusion = kept_out.exclusion.as_str();
                tracing::info!(client.id = %client, exclusion, "Client kept out");
                let word = [(EXCLUSION_HEADER, exclusion)];
                (StatusCode::FORBIDDEN, word, client::sentence(client, &kept_out)).into_response()
            }
            Self::Site(error) => {
                tracing::error!(error = format!("{error:#}"), "Request of a client failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The site failed; its log says why. Try again later.")
                    .into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests;
