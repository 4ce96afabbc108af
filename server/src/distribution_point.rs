//! The distribution point: serves the repository and the content of updates. Everything it serves is signed or named by
//! its digest, so it asks nobody who they are, and any cache may stand before it.

mod content;
mod metadata;

use crate::content::ContentStore;
use crate::database::Database;
use crate::repository::RepositoryFolder;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farrier_protocol::{Digest, paths};
use metadata::MetadataCache;
use std::time::Duration;
use tokio_util::io::ReaderStream;
use tower_http::timeout::TimeoutLayer;

/// How long an answer may take to begin; how long it may take to be read is the connection's business.
const REQUEST_SECONDS: u64 = 60;
/// What is named by its digest or its version never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const BINARY: &str = "application/octet-stream";
/// When a client may ask again for content that is on its way.
const ASK_AGAIN_SECONDS: u32 = 30;

#[derive(Clone)]
struct DistributionPoint {
    database: Database,
    repository: RepositoryFolder,
    content: ContentStore,
    metadata: MetadataCache,
}

/// The routes of the distribution point.
pub fn router(database: Database, repository: RepositoryFolder, content: ContentStore) -> Router {
    Router::new()
        .route(&format!("{}/{{file}}", paths::METADATA), get(metadata::metadata))
        .route(&format!("{}/{{*path}}", paths::TARGETS), get(target))
        .route(&format!("{}/{{digest}}", paths::CONTENT), get(content::content))
        .with_state(DistributionPoint { database, repository, content, metadata: MetadataCache::default() })
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(REQUEST_SECONDS)))
}

async fn target(State(state): State<DistributionPoint>, Path(path): Path<String>) -> Response {
    let Some(digest) = digest_in(&path) else {
        return (
            StatusCode::BAD_REQUEST,
            "A target is asked for by its SHA-256, 64 lower-case hexadecimal digits, alone or in front of the last part \
             of its path.",
        )
            .into_response();
    };
    let file = match tokio::fs::File::open(state.repository.path(&digest)).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (
                StatusCode::NOT_FOUND,
                "The repository has no such target (any more): ask for the current metadata.",
            )
                .into_response();
        }
        Err(error) => return failed(&error),
    };
    match file.metadata().await {
        Ok(metadata) => {
            let length = metadata.len().to_string();
            let headers = [(CACHE_CONTROL, IMMUTABLE), (CONTENT_TYPE, BINARY), (CONTENT_LENGTH, &length)];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// `{digest}`, or `plugins/dpkg/{digest}.1.0.0`: the path of a target with its digest in front of the last part, as TUF's
/// consistent snapshots have it. Nothing but the digest says what is served.
fn digest_in(path: &str) -> Option<Digest> {
    let last = path.rsplit('/').next()?;
    last.split_once('.').map_or(last, |(digest, _)| digest).parse().ok()
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "The distribution point cannot serve");
    (StatusCode::INTERNAL_SERVER_ERROR, "The site failed; its log says why. Try again later.").into_response()
}
