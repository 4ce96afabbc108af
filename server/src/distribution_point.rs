//! The distribution point: serves the repository and the content of updates. Everything it serves is signed or named by
//! its digest, so it asks nobody who they are, and any cache may stand before it.

mod content;

use crate::content::ContentStore;
use crate::database::Database;
use crate::repository::RepositoryFolder;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farrier_protocol::{Digest, paths};
use std::time::Duration;
use tokio_util::io::ReaderStream;
use tower_http::timeout::TimeoutLayer;

/// How long an answer may take to begin; how long it may take to be read is the connection's business.
const REQUEST_SECONDS: u64 = 60;
/// How long a cache may answer with an index that is no longer the current one.
const INDEX_CACHE: &str = "max-age=60";
const TARGET_CACHE: &str = "public, max-age=31536000, immutable";
const BINARY: &str = "application/octet-stream";
/// When a client may ask again for content that is on its way.
const ASK_AGAIN_SECONDS: u32 = 30;

#[derive(Clone)]
struct DistributionPoint {
    database: Database,
    repository: RepositoryFolder,
    content: ContentStore,
}

/// The routes of the distribution point.
pub fn router(database: Database, repository: RepositoryFolder, content: ContentStore) -> Router {
    Router::new()
        .route(paths::INDEX, get(index))
        .route(&format!("{}/{{digest}}", paths::TARGETS), get(target))
        .route(&format!("{}/{{digest}}", paths::CONTENT), get(content::content))
        .with_state(DistributionPoint { database, repository, content })
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(REQUEST_SECONDS)))
}

async fn index(State(state): State<DistributionPoint>, headers: HeaderMap) -> Response {
    let publication = match state.database.current_publication().await {
        Ok(Some(publication)) => publication,
        Ok(None) => {
            return (StatusCode::SERVICE_UNAVAILABLE, "The site has published nothing yet. Try again in a minute.")
                .into_response();
        }
        Err(error) => return failed(&error),
    };
    let etag = format!("\"{}\"", Digest::of(&publication.signed_index));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let headers = [(ETAG, etag), (CACHE_CONTROL, INDEX_CACHE.to_owned()), (CONTENT_TYPE, BINARY.to_owned())];
    (headers, publication.signed_index.clone()).into_response()
}

async fn target(State(state): State<DistributionPoint>, Path(digest): Path<String>) -> Response {
    let Ok(digest) = digest.parse::<Digest>() else {
        return (StatusCode::BAD_REQUEST, "A target is asked for by its SHA-256: 64 lower-case hexadecimal digits.")
            .into_response();
    };
    let file = match tokio::fs::File::open(state.repository.path(&digest)).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (StatusCode::NOT_FOUND, "The repository has no such target (any more): ask for the current index.")
                .into_response();
        }
        Err(error) => return failed(&error),
    };
    match file.metadata().await {
        Ok(metadata) => {
            let length = metadata.len().to_string();
            let headers = [(CACHE_CONTROL, TARGET_CACHE), (CONTENT_TYPE, BINARY), (CONTENT_LENGTH, &length)];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "The distribution point cannot serve");
    (StatusCode::INTERNAL_SERVER_ERROR, "The site failed; its log says why. Try again later.").into_response()
}
