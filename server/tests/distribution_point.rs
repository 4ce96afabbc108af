//! What the distribution point serves, and what it does not.

#![allow(clippy::unwrap_used)]

mod repository;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use farrier::database::{Database, Publication, now};
use farrier::publish::Publisher;
use farrier_protocol::{Digest, paths};
use tempfile::TempDir;
use tower::ServiceExt as _;

const MINUTE: HeaderValue = HeaderValue::from_static("max-age=60");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

struct Site {
    folder: TempDir,
    publisher: Publisher,
    router: Router,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
    let publisher = repository::publisher(&database, folder.path()).await.unwrap();
    let router = repository::distribution_point(&publisher, folder.path()).unwrap();
    Site { folder, publisher, router }
}

impl Site {
    async fn get(&self, path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::get(path).header("accept-encoding", "gzip, br, zstd");
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        assert!(!head.headers.contains_key("content-encoding"), "what is signed travels as it is");
        (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap().into())
    }

    async fn metadata(&self, file: &str, known: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.get(&format!("{}/{file}", paths::METADATA), known).await
    }

    async fn current(&self) -> Publication {
        Publication::clone(&*self.publisher.database.current_publication().await.unwrap().unwrap())
    }

    async fn target(&self, digest: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.get(&format!("{}/{digest}", paths::TARGETS), None).await
    }
}

#[tokio::test]
async fn before_the_first_publication_there_is_no_metadata() {
    let site = site().await;
    for file in ["timestamp.json", "1.root.json"] {
        let (status, _, body) = site.metadata(file, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(String::from_utf8(body).unwrap().contains("nothing yet"));
    }
}

#[tokio::test]
async fn an_unchanged_timestamp_is_not_sent_again() {
    let site = site().await;
    site.publisher.publish().await.unwrap();
    let (status, headers, body) = site.metadata("timestamp.json", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&headers["cache-control"], &headers["content-type"]), (&MINUTE, &JSON));
    assert_eq!(Digest::of(&body), site.current().await.timestamp);

    let etag = headers["etag"].to_str().unwrap();
    assert!(etag.starts_with('"'), "{etag} is no strong validator");
    let (status, headers, body) = site.metadata("timestamp.json", Some(etag)).await;
    assert_eq!((status, headers["etag"].to_str().unwrap(), body.len()), (StatusCode::NOT_MODIFIED, etag, 0));
    assert_eq!(headers["cache-control"], "max-age=60");
    assert_eq!(site.metadata("timestamp.json", Some("\"other\"")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn versions_are_any_caches_for_ever_and_what_is_missing_for_a_minute() {
    let site = site().await;
    site.publisher.publish().await.unwrap();
    for role in site.current().await.roles {
        let file = format!("{}.{}.json", role.version, role.name);
        for _ in 0..2 {
            let (status, headers, body) = site.metadata(&file, None).await;
            assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &JSON), "{file}");
            assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
            assert_eq!(
                body,
                site.publisher.database.metadata_version(&role.name, role.version).await.unwrap().unwrap()
            );
        }
    }
    for file in ["2.root.json", "1.timestamp", "root.json", "3.nobody.json", "18446744073709551615.targets.json"] {
        let (status, headers, _) = site.metadata(file, None).await;
        assert_eq!((status, &headers["cache-control"]), (StatusCode::NOT_FOUND, &MINUTE), "{file}");
    }
}

#[tokio::test]
async fn what_is_published_next_is_served_next() {
    let site = site().await;
    site.publisher.publish().await.unwrap();
    let before = site.metadata("timestamp.json", None).await.2;
    site.publisher.publish_at(now() + 2 * 86_400).await.unwrap();
    let after = site.metadata("timestamp.json", None).await.2;
    assert!(before != after && Digest::of(&after) == site.current().await.timestamp);
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
    let (status, headers_of_path, body) = site.target(&format!("plugins/dpkg/{digest}.1.0.0")).await;
    assert_eq!((status, body == content), (StatusCode::OK, true), "by its path in a consistent snapshot");
    assert_eq!(headers_of_path, headers);
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
        &format!("%20{digest}"),
        &format!("{digest}%2f.."),
        &format!("plugins/dpkg/1.0.0.{digest}"),
        &format!("{}/../../../secret", digest),
    ] {
        let (status, _, body) = site.target(path).await;
        assert!(status.is_client_error(), "{path} is answered with {status}");
        assert!(!body.ends_with(b"secret") && body != b"content", "{path}");
    }
}
