//! `GET /content/{sha256}`: content of an update, or a part of it.

use super::{BINARY, DistributionPoint, IMMUTABLE, failed};
use crate::content::{Asked, ask};
use crate::database::now;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use farrier_protocol::Digest;
use http_range_header::{RangeUnsatisfiableError, parse_range_header};
use std::ops::Range;

/// What is asked of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Everything,
    /// These bytes.
    Bytes(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

pub(super) async fn content(
    State(state): State<DistributionPoint>,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Ok(digest) = digest.parse::<Digest>() else {
        return (StatusCode::BAD_REQUEST, "Content is asked for by its SHA-256: 64 lower-case hexadecimal digits.")
            .into_response();
    };
    match ask(&state.database, &digest, now()).await {
        Ok(Asked::Here(length)) => serve(&state, &digest, length, &headers).await,
        Ok(Asked::Later { after_seconds, reason }) => later(after_seconds, reason.as_deref()),
        Ok(Asked::Never) => {
            (StatusCode::NOT_FOUND, "No deployment has such content (any more): ask for the current policy.")
                .into_response()
        }
        Err(error) => failed(&*error),
    }
}

async fn serve(state: &DistributionPoint, digest: &Digest, length: u64, headers: &HeaderMap) -> Response {
    let etag = format!("\"{digest}\"");
    let (status, range) = match part(headers, &etag, length) {
        Part::Everything => (StatusCode::OK, 0..length),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Nothing => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, range, "The content is shorter.").into_response();
        }
    };
    match state.content.length(digest).await {
        Ok(Some(stored)) if stored == length => {}
        // Somebody took it away, or the disk lost it.
        Ok(_) => return lost(state, digest).await,
        Err(error) => return failed(&error),
    }
    // An empty range is none for the store.
    let body = if range.is_empty() {
        Body::empty()
    } else {
        match state.content.read(digest, range.clone()).await {
            Ok(Some(stream)) => Body::from_stream(stream),
            Ok(None) => return lost(state, digest).await,
            Err(error) => return failed(&error),
        }
    };
    let headers = [
        (CACHE_CONTROL, IMMUTABLE.to_owned()),
        (CONTENT_TYPE, BINARY.to_owned()),
        (CONTENT_LENGTH, (range.end - range.start).to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (ETAG, etag),
    ];
    let mut response = (status, headers, body).into_response();
    let shown = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    if let (StatusCode::PARTIAL_CONTENT, Ok(shown)) = (status, HeaderValue::from_str(&shown)) {
        response.headers_mut().insert(CONTENT_RANGE, shown);
    }
    response
}

/// Several ranges, and what is no range, are answered with everything: nobody has to support them.
fn part(headers: &HeaderMap, etag: &str, length: u64) -> Part {
    let Some(range) = headers.get(RANGE).and_then(|range| range.to_str().ok()) else { return Part::Everything };
    if headers.get(IF_RANGE).is_some_and(|known| known.as_bytes() != etag.as_bytes()) {
        return Part::Everything;
    }
    let Ok(ranges) = parse_range_header(range) else { return Part::Everything };
    if ranges.ranges.len() != 1 {
        return Part::Everything;
    }
    match ranges.validate(length).as_deref() {
        Ok([range, ..]) => Part::Bytes(*range.start()..range.end() + 1),
        // More of its last bytes than it has are all of them.
        Err(RangeUnsatisfiableError::FileSuffixOutOfBounds) => Part::Everything,
        Ok([]) | Err(_) => Part::Nothing,
    }
}

fn later(after_seconds: u32, reason: Option<&str>) -> Response {
    let sentence = match reason {
        None => "The site is fetching this content. Try again later.".to_owned(),
        Some(reason) => format!("The site could not fetch this content so far: {reason}"),
    };
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, after_seconds.to_string())], sentence).into_response()
}

async fn lost(state: &DistributionPoint, digest: &Digest) -> Response {
    tracing::warn!(content.digest = %digest, "Content is not where it was kept, and is fetched again");
    match state.database.mark_content_lost(digest, now()).await {
        Ok(()) => later(super::ASK_AGAIN_SECONDS, None),
        Err(error) => failed(&error),
    }
}
