//! `GET /repository/metadata/{file}`: the signed metadata, byte for byte.
//!
//! A version of a role's metadata never changes, so that it is read from the database once and is any cache's for ever.
//! Only `timestamp.json`, and whether there is a next root, change: a cache may answer with them for a minute.

use super::{DistributionPoint, IMMUTABLE, failed};
use crate::database::{Database, Publication};
use crate::repository::roles::{ROOT, TIMESTAMP};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a cache may go on answering with what may have changed.
const MINUTE: &str = "max-age=60";
const JSON: &str = "application/json";
/// Files that are kept in memory, at most. A site has a dozen, and its old roots.
const MAX_CACHED_FILES: usize = 128;

/// The files that were asked for last.
#[derive(Debug, Clone, Default)]
pub(super) struct MetadataCache(Arc<Mutex<BTreeMap<(String, u64), Bytes>>>);

impl MetadataCache {
    /// The file of this version of a role, from memory or from the database; none if there is no such version.
    async fn read(&self, database: &Database, role: &str, version: u64) -> Result<Option<Bytes>, sqlx::Error> {
        let key = (role.to_owned(), version);
        if let Some(bytes) = self.files().get(&key) {
            return Ok(Some(bytes.clone()));
        }
        let Some(bytes) = database.metadata_version(role, version).await?.map(Bytes::from) else { return Ok(None) };
        let mut files = self.files();
        if files.len() >= MAX_CACHED_FILES {
            files.clear();
        }
        files.insert(key, bytes.clone());
        Ok(Some(bytes))
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u64), Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file name asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// `timestamp.json`
    Timestamp,
    /// `3.root.json`
    Version(&'a str, u64),
}

impl<'a> Asked<'a> {
    fn of(file: &'a str) -> Option<Self> {
        let name = file.strip_suffix(".json")?;
        if name == TIMESTAMP {
            return Some(Self::Timestamp);
        }
        let (version, role) = name.split_once('.')?;
        let is_number = version.bytes().all(|byte| byte.is_ascii_digit()) && !version.starts_with('0');
        version.parse().ok().filter(|_| is_number).map(|version| Self::Version(role, version))
    }
}

pub(super) async fn metadata(
    State(state): State<DistributionPoint>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(asked) = Asked::of(&file) else { return missing() };
    let publication = match state.database.current_publication().await {
        Ok(Some(publication)) => publication,
        Ok(None) => {
            return (StatusCode::SERVICE_UNAVAILABLE, "The site has published nothing yet. Try again in a minute.")
                .into_response();
        }
        Err(error) => return failed(&error),
    };
    match asked {
        Asked::Timestamp => timestamp(&state, &publication, &headers).await,
        // A root is not served before there is metadata that its keys have signed.
        Asked::Version(ROOT, version) if publication.role_version(ROOT).is_none_or(|newest| version > newest) => {
            missing()
        }
        Asked::Version(role, version) => match state.metadata.read(&state.database, role, version).await {
            Ok(Some(bytes)) => ([(CACHE_CONTROL, IMMUTABLE), (CONTENT_TYPE, JSON)], bytes).into_response(),
            Ok(None) => missing(),
            Err(error) => failed(&error),
        },
    }
}

async fn timestamp(state: &DistributionPoint, publication: &Publication, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", publication.timestamp);
    let headers_of_it = [(ETAG, etag.clone()), (CACHE_CONTROL, MINUTE.to_owned()), (CONTENT_TYPE, JSON.to_owned())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers_of_it).into_response();
    }
    match state.metadata.read(&state.database, TIMESTAMP, publication.version).await {
        Ok(Some(bytes)) => (headers_of_it, bytes).into_response(),
        Ok(None) => missing(),
        Err(error) => failed(&error),
    }
}

fn missing() -> Response {
    let sentence = "The repository has no such metadata (any more, or yet): begin with timestamp.json.";
    (StatusCode::NOT_FOUND, [(CACHE_CONTROL, MINUTE)], sentence).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_and_nothing_else_is_looked_for() {
        assert_eq!(Asked::of("timestamp.json"), Some(Asked::Timestamp));
        assert_eq!(Asked::of("3.root.json"), Some(Asked::Version("root", 3)));
        assert_eq!(Asked::of("1700000000.a.b.json"), Some(Asked::Version("a.b", 1_700_000_000)));
        let most = u64::MAX;
        assert_eq!(Asked::of(&format!("{most}.root.json")), Some(Asked::Version("root", most)));
        for file in
            ["", ".json", "root.json", "03.root.json", "+3.root.json", "3.root", "99999999999999999999.root.json"]
        {
            assert_eq!(Asked::of(file), None, "{file}");
        }
    }
}
