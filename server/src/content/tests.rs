//! A bucket instead of a folder, spoken to over the network.

use super::{Bytes, ContentStore};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use farrier_protocol::Digest;
use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::sync::{Arc, Mutex};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

const MODIFIED: &str = "Mon, 23 Nov 2026 12:00:00 GMT";

/// As much of S3 as content needs: objects that are put, read in part and deleted.
async fn bucket() -> (String, Objects) {
    let objects = Objects::default();
    let router =
        Router::new().route("/updates/{*name}", put(store).get(read).delete(remove)).with_state(objects.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, objects)
}

async fn store(State(objects): State<Objects>, Path(name): Path<String>, body: Bytes) -> Response {
    objects.lock().unwrap().insert(name, body.to_vec());
    [(header::ETAG, "\"stored\"")].into_response()
}

async fn read(State(objects): State<Objects>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(object) = objects.lock().unwrap().get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let common = [(header::ETAG, "\"stored\""), (header::LAST_MODIFIED, MODIFIED)];
    let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else {
        return (common, object).into_response();
    };
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
    let shown = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", object.len()))];
    (StatusCode::PARTIAL_CONTENT, common, shown, object[first..=last].to_vec()).into_response()
}

async fn remove(State(objects): State<Objects>, Path(name): Path<String>) -> StatusCode {
    objects.lock().unwrap().remove(&name);
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn a_bucket_keeps_content_like_a_folder() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (endpoint, objects) = bucket().await;
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name("updates")
        .with_region("eu-central-1")
        .with_access_key_id("id")
        .with_secret_access_key("secret");
    let store = ContentStore::in_bucket(builder, "site/content").unwrap();
    let content: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let digest = Digest::of(&content);
    assert_eq!(store.length(&digest).await.unwrap(), None);
    assert!(store.read(&digest, 0..1).await.unwrap().is_none());

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    file.rewind().unwrap();
    store.put(&digest, file).await.unwrap();
    let name = digest.to_string();
    let names: Vec<String> = objects.lock().unwrap().keys().cloned().collect();
    assert_eq!(names, [format!("site/content/{}/{name}", &name[..2])]);
    assert_eq!(store.length(&digest).await.unwrap(), Some(100_000));
    let part = store.read(&digest, 5..70_000).await.unwrap().unwrap();
    let part: Vec<Bytes> = part.try_collect().await.unwrap();
    assert_eq!(part.concat(), content[5..70_000]);

    store.remove(&digest).await.unwrap();
    store.remove(&digest).await.unwrap();
    assert!(objects.lock().unwrap().is_empty());
}
