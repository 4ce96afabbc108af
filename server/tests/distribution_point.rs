//! What the distribution point serves, and what it does not.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use farrier::content::ContentStore;
use farrier::database::Database;
use farrier::distribution_point;
use farrier::publish::Publisher;
use farrier::repository::RepositoryFolder;
use farrier_protocol::{Digest, paths};
use farrier_trust::{Repository, RepositoryKey};
use tempfile::TempDir;
use tower::ServiceExt as _;

struct Site {
    folder: TempDir,
    publisher: Publisher,
    router: Router,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
    let repository = RepositoryFolder::open(folder.path()).unwrap();
    let content = ContentStore::in_folder(&folder.path().join("content")).unwrap();
    let router = distribution_point::router(database.clone(), repository.clone(), content);
    let key = RepositoryKey::from_secret(&[7; 32]).unwrap();
    Site { folder, publisher: Publisher { database, repository, key }, router }
}

impl Site {
    async fn get(&self, path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::get(path);
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap().into())
    }

    async fn target(&self, digest: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.get(&format!("{}/{digest}", paths::TARGETS), None).await
    }
}

#[tokio::test]
async fn before_the_first_publication_there_is_no_index() {
    let (status, _, body) = site().await.get(paths::INDEX, None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8(body).unwrap().contains("nothing yet"));
}

#[tokio::test]
async fn an_unchanged_index_is_not_sent_again() {
    let site = site().await;
    site.publisher.publish().await.unwrap();
    let (status, headers, body) = site.get(paths::INDEX, None).await;
    assert_eq!(status, StatusCode::OK);
    Repository::new(site.publisher.key.root(), 0).accept(&body, farrier::database::now()).unwrap();

    let etag = headers["etag"].to_str().unwrap();
    assert!(etag.starts_with('"'), "{etag} is no strong validator");
    let (status, headers, body) = site.get(paths::INDEX, Some(etag)).await;
    assert_eq!((status, headers["etag"].to_str().unwrap(), body.len()), (StatusCode::NOT_MODIFIED, etag, 0));
    assert_eq!(site.get(paths::INDEX, Some("\"other\"")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_target_is_served_whole_and_for_ever() {
    let site = site().await;
    let content: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let digest = site.publisher.repository.put(&content).unwrap();
    let (status, headers, body) = site.target(&digest.to_string()).await;
    assert_eq!((status, body == content), (StatusCode::OK, true));
    assert_eq!(headers["content-length"], "300000");
    assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
}

#[tokio::test]
async fn a_target_that_is_not_there_is_missed_in_words() {
    let (status, headers, body) = site().await.target(&Digest::of(b"nothing").to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8(body).unwrap().contains("no such target"));
    let cached = headers.get("cache-control").map_or("", |value| value.to_str().unwrap());
    assert!(!cached.contains("immutable"), "a cache must not remember what is missing");
}

#[tokio::test]
async fn nothing_but_digests_reaches_the_disk() {
    let site = site().await;
    let digest = site.publisher.repository.put(b"content").unwrap().to_string();
    std::fs::write(site.folder.path().join("secret"), b"secret").unwrap();
    let upper_case = digest.to_uppercase();
    for path in [
        "..%2f..%2fsecret",
        "%2e%2e%2f%2e%2e%2fsecret",
        "../../secret",
        "..",
        "%00",
        &upper_case,
        &digest[1..],
        &format!("{digest}0"),
        &format!("{digest}/"),
        &format!("./{digest}"),
        &format!("%20{digest}"),
    ] {
        let (status, _, body) = site.target(path).await;
        assert!(status.is_client_error(), "{path} is answered with {status}");
        assert!(!body.ends_with(b"secret") && body != b"content", "{path}");
    }
}
