//! Content from an upstream's mirror through the site to a client.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use farrier::config::{ContentConfig, SuiteConfig};
use farrier::content::{ContentStore, Mirroring, ask};
use farrier::database::{ContentState, Database, now};
use farrier::distribution_point;
use farrier::repository::RepositoryFolder;
use farrier_protocol::{Digest, paths};
use tempfile::TempDir;
use tower::ServiceExt as _;

struct Site {
    folder: TempDir,
    database: Database,
    store: ContentStore,
    mirroring: Mirroring,
    router: Router,
}

/// A site that deploys one package, which is in the mirror's folder.
async fn site() -> (Site, Digest, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
    let content: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let digest = Digest::of(&content);
    std::fs::create_dir_all(folder.path().join("mirror/pool")).unwrap();
    std::fs::write(folder.path().join("mirror/pool/a.deb"), &content).unwrap();
    let suite = SuiteConfig {
        name: "bookworm".to_owned(),
        distribution: "debian".to_owned(),
        release: "bookworm".to_owned(),
        mirror: format!("file:{}", folder.path().join("mirror").display()),
        suite: "bookworm".to_owned(),
        components: vec!["main".to_owned()],
        architectures: vec!["amd64".to_owned()],
        keyrings: vec!["/keyring".into()],
        classification: None,
        check_valid_until: true,
    };
    database.configure_suites(std::slice::from_ref(&suite)).await.unwrap();
    for sql in [
        "INSERT INTO software_updates (id, update_id, suite_id, name, source, version, summary, classification, priority, \
         content, first_seen_at, changed_at) SELECT 1, x'01', id, 'bookworm/a/1', 'a', '1', '', 0, 0, x'', 0, 0 FROM suites",
        "INSERT INTO update_groups (id, name, description, created_at) VALUES (1, 'g', '', 0)",
        "INSERT INTO update_group_updates (update_group_id, software_update_id) VALUES (1, 1)",
        "INSERT INTO deployments (deployment_id, name, update_group_id, collection_id, settings, status, status_reason, \
         status_at, created_at) VALUES (x'01', 'd', 1, 1, '{}', 0, '', 0, 0)",
    ] {
        sqlx::query(sql).execute(database.pool()).await.unwrap();
    }
    sqlx::query("INSERT INTO packages VALUES (1, 'a', 'amd64', '1', 'pool/a.deb', 100000, $1)")
        .bind(digest.0.to_vec())
        .execute(database.pool())
        .await
        .unwrap();
    let store = ContentStore::open(&ContentConfig::default(), folder.path()).unwrap();
    let repository = RepositoryFolder::open(folder.path()).unwrap();
    let router = distribution_point::router(database.clone(), repository, store.clone());
    let mirroring = Mirroring::new(database.clone(), store.clone(), &[suite]);
    (Site { folder, database, store, mirroring, router }, digest, content)
}

impl Site {
    async fn get(&self, digest: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::get(format!("{}/{digest}", paths::CONTENT));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap().into())
    }

    async fn mirror(&mut self, digest: &Digest) {
        ask(&self.database, digest, now()).await.unwrap();
        self.mirroring.download_all(now()).await.unwrap();
    }

    /// Why the download failed.
    async fn failure(&self, digest: &Digest) -> String {
        let content = self.database.content(digest).await.unwrap().unwrap();
        assert_eq!(content.state, ContentState::Failed);
        content.error.unwrap()
    }
}

#[tokio::test]
async fn what_a_client_asks_for_is_fetched_and_then_served() {
    let (mut site, digest, content) = site().await;
    let (status, headers, body) = site.get(&digest.to_string(), &[]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["retry-after"], "30");
    assert!(String::from_utf8(body).unwrap().contains("is fetching this content"));
    site.mirroring.download_all(now()).await.unwrap();
    let (status, headers, body) = site.get(&digest.to_string(), &[]).await;
    assert_eq!((status, body == content), (StatusCode::OK, true));
    assert_eq!(
        (&headers["content-length"], &headers["accept-ranges"]),
        (&"100000".parse().unwrap(), &"bytes".parse().unwrap())
    );
    assert!(headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(headers["etag"], format!("\"{digest}\""));
}

#[tokio::test]
async fn a_part_is_served_where_it_is_asked_for() {
    let (mut site, digest, content) = site().await;
    site.mirror(&digest).await;
    let name = digest.to_string();
    for (range, expected, shown) in [
        ("bytes=0-0", 0..1, "bytes 0-0/100000"),
        ("bytes=99990-", 99_990..100_000, "bytes 99990-99999/100000"),
        ("bytes=5-9", 5..10, "bytes 5-9/100000"),
        ("bytes=-7", 99_993..100_000, "bytes 99993-99999/100000"),
    ] {
        let (status, headers, body) = site.get(&name, &[("range", range)]).await;
        assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &content[expected]), "{range}");
        assert_eq!(headers["content-range"], shown);
        assert_eq!(headers["content-length"], body.len().to_string());
    }
    // Everything, where a part is not asked for in a way that we answer.
    for range in ["bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=", "bytes=-100001"] {
        let (status, headers, body) = site.get(&name, &[("range", range)]).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 100_000), "{range}");
        assert!(headers.get("content-range").is_none());
    }
    let (status, ..) = site.get(&name, &[("range", "bytes=9-5")]).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    let (status, headers, _) = site.get(&name, &[("range", "bytes=100000-")]).await;
    assert_eq!(
        (status, &headers["content-range"]),
        (StatusCode::RANGE_NOT_SATISFIABLE, &"bytes */100000".parse().unwrap())
    );
}

#[tokio::test]
async fn a_part_of_something_else_is_not_served() {
    let (mut site, digest, _) = site().await;
    site.mirror(&digest).await;
    let name = digest.to_string();
    let etag = format!("\"{digest}\"");
    for (known, expected) in
        [(etag.as_str(), StatusCode::PARTIAL_CONTENT), ("\"other\"", StatusCode::OK), ("W/\"weak\"", StatusCode::OK)]
    {
        let (status, ..) = site.get(&name, &[("range", "bytes=5-9"), ("if-range", known)]).await;
        assert_eq!(status, expected, "{known}");
    }
}

#[tokio::test]
async fn nothing_but_deployed_content_is_served_or_fetched() {
    let (site, _, _) = site().await;
    let (status, _, body) = site.get(&Digest::of(b"anything").to_string(), &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8(body).unwrap().contains("No deployment has such content"));
    for name in ["..%2f..%2fsite.db", "x", &Digest::of(b"").to_string().to_uppercase()] {
        assert!(site.get(name, &[]).await.0.is_client_error(), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_what_was_signed_is_never_kept() {
    let (mut site, digest, mut content) = site().await;
    let file = site.folder.path().join("mirror/pool/a.deb");
    content[77_777] ^= 1;
    std::fs::write(&file, &content).unwrap();
    site.mirror(&digest).await;
    assert!(site.failure(&digest).await.contains("SHA-256 differs"));
    assert_eq!(site.store.length(&digest).await.unwrap(), None);
    let (status, headers, body) = site.get(&digest.to_string(), &[]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after"));
    assert!(String::from_utf8(body).unwrap().contains("could not fetch this content so far"));

    // It is tried again, and the mirror is whole again.
    content[77_777] ^= 1;
    std::fs::write(&file, &content).unwrap();
    site.mirroring.download_all(now() + 3_600).await.unwrap();
    assert_eq!(site.get(&digest.to_string(), &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_mirror_that_breaks_off_or_lost_the_file_is_named() {
    let (mut site, digest, content) = site().await;
    let file = site.folder.path().join("mirror/pool/a.deb");
    std::fs::write(&file, &content[..50_000]).unwrap();
    site.mirror(&digest).await;
    assert!(site.failure(&digest).await.contains("ends after 50000 of 100000 bytes"));
    std::fs::remove_file(&file).unwrap();
    site.mirroring.download_all(now() + 3_600).await.unwrap();
    assert!(site.failure(&digest).await.contains("pool/a.deb does not exist"));
}

#[tokio::test]
async fn content_that_was_lost_is_fetched_again() {
    let (mut site, digest, content) = site().await;
    site.mirror(&digest).await;
    let name = digest.to_string();
    let kept = site.folder.path().join("content").join(&name[..2]).join(&name);
    std::fs::write(&kept, &content[..10]).unwrap();
    assert_eq!(site.get(&name, &[]).await.0, StatusCode::SERVICE_UNAVAILABLE, "half of it is none of it");
    site.mirroring.download_all(now()).await.unwrap();
    assert_eq!(site.get(&name, &[]).await.2, content);
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(site.get(&name, &[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    site.mirroring.download_all(now()).await.unwrap();
    assert_eq!(site.get(&name, &[]).await.2, content);
}

#[tokio::test]
async fn what_a_stopped_site_left_half_written_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("ab");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("abcd#1"), b"half").unwrap();
    std::fs::write(half.join("abcd#2"), b"another process writes on").unwrap();
    std::fs::write(half.join("abcd"), b"whole").unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(24 * 60 * 60);
    std::fs::File::options().write(true).open(half.join("abcd#1")).unwrap().set_modified(yesterday).unwrap();
    ContentStore::in_folder(folder.path()).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&half).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["abcd", "abcd#2"]);
}
