//! `GET /v1/assignment`: what this client is to do.

use super::client::Client;
use super::{ManagementPoint, Refusal};
use crate::config::ManagementPointConfig;
use crate::database::Publication;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use farrier_protocol::assignment::{Assessment, Assignment, Schedule};
use farrier_protocol::{ClientId, Digest};

pub(super) async fn assignment(
    State(state): State<ManagementPoint>,
    Client(client): Client,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let publication = state.database.current_publication().await?.ok_or(Refusal::Client(
        StatusCode::SERVICE_UNAVAILABLE,
        "The site has published nothing yet: it is starting. Try again in a minute.",
    ))?;
    let body = farrier_protocol::encode(&for_client(client, publication, &state.config))?;
    let etag = format!("\"{}\"", Digest::of(&body));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    Ok(([(ETAG, etag), (CACHE_CONTROL, "private, no-cache".to_owned())], body).into_response())
}

/// Everything in an assignment is a function of what is published, so that its bytes change only when it says something
/// else.
fn for_client(client: ClientId, publication: Publication, config: &ManagementPointConfig) -> Assignment {
    let seconds = |period: jiff::SignedDuration| u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
    Assignment::from(Assessment {
        client,
        version: publication.version,
        issued_at: publication.published_at,
        schedule: Schedule { poll_seconds: seconds(config.poll_every), scan_seconds: seconds(config.scan_every) },
        plugins: publication.content.plugins,
        catalogs: publication.content.catalogs,
    })
}
