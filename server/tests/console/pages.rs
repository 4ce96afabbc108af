//! The pages of updates, clients and synchronization, and what all pages have in common.

use crate::site::{Site, links};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};

#[tokio::test]
async fn every_link_leads_to_a_page() {
    const ENOUGH: usize = 1_200;
    let site = Site::with_deployments().await;
    let mut known = BTreeSet::from(["/".to_owned()]);
    let mut queue = VecDeque::from(["/".to_owned()]);
    while let Some(path) = queue.pop_front() {
        let answer = site.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        for link in links(&answer.body) {
            if known.len() < ENOUGH && known.insert(link.clone()) {
                queue.push_back(link);
            }
        }
    }
    for page in [
        "/updates",
        "/clients",
        "/synchronization",
        "/keys",
        "/clients?group=failed",
        "/updates?sort=compliant",
        "/collections/1",
        "/collections/2/edit",
        "/collections/2/windows/new",
        "/collections/2/windows/1",
        "/deployments/new",
        "/deployment-rules/1",
        "/plugins",
        "/plugins/dpkg",
        "/plugins/dpkg/differences",
        "/plugins/file-set?failed=1",
    ] {
        assert!(known.contains(page), "nothing leads to {page}");
    }
    assert!(known.iter().any(|path| path.starts_with("/assets/console.")));
    assert!(known.iter().any(|path| path.ends_with("/export.csv")));
}

#[tokio::test]
async fn pages_and_json_say_the_same() {
    let site = Site::with_fleet().await;
    let overview = site.json("/api/overview").await;
    assert_eq!(overview["clients"]["total"], 40);
    assert_eq!(overview["site"], "Test <site>");
    let states = &overview["compliance"]["states"];
    let all: i64 =
        ["Required", "Unknown", "Installed", "NotRequired"].iter().map(|state| states[state].as_i64().unwrap()).sum();
    let pairs =
        overview["compliance"]["updates"].as_i64().unwrap() * overview["compliance"]["clients"].as_i64().unwrap();
    assert_eq!(all, pairs);
    let required = overview["clients"]["required"].as_i64().unwrap();
    assert!(site.get("/").await.body.contains(&format!("<b>{required}</b></a> of 38 scanned require updates")));

    let list = site.json("/api/updates?state=Required").await;
    let id = list["items"][0]["id"].as_str().unwrap();
    let update = site.json(&format!("/api/updates/{id}")).await;
    assert_eq!(update["title"], list["items"][0]["title"]);
    assert_eq!(update["clients"], list["items"][0]["clients"]);
    assert_eq!(update["clients_with_state"]["total"], update["clients"]["Required"]);
    assert_eq!(update["packages"][0]["sha256"].as_str().unwrap().len(), 64);

    let list = site.json("/api/clients?sort=required").await;
    let id = list["items"][0]["id"].as_str().unwrap();
    let client = site.json(&format!("/api/clients/{id}?state=Installed")).await;
    assert_eq!(client["updates"], list["items"][0]["updates"]);
    assert_eq!(client["updates_with_state"]["total"], client["updates"]["Installed"]);
    let status = site.json("/api/synchronization").await;
    assert_eq!(status["suites"].as_array().unwrap().len(), 4);
    assert!(status["next_at"].as_i64().unwrap() > status["history"][0]["finished_at"].as_i64().unwrap());
}

#[tokio::test]
async fn what_clients_and_upstreams_say_is_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;";
    let site = Site::with_deployments().await;
    for statement in [
        "UPDATE clients SET hostname = $1, operating_system = $1, machine = $1, agent_version = $1",
        "UPDATE software_updates SET summary = $1, source = $1, version = $1",
        "UPDATE findings SET subject = $1 WHERE subject = 'sudo'",
        "UPDATE findings SET detail = $1",
        "UPDATE client_plugins SET error = $1, version = $1",
        "UPDATE packages SET version = $1 WHERE architecture = 'amd64'",
        "UPDATE suites SET name = $1, mirror = $1 WHERE name = 'bookworm'",
        "UPDATE sync_run_suites SET error = $1",
        "UPDATE collections SET name = $1, description = $1 WHERE id = 2",
        "UPDATE collections SET query = $1 WHERE id = 2",
        "UPDATE maintenance_windows SET name = $1",
        "UPDATE deployments SET name = $1, status_reason = $1, problem = $1",
        "UPDATE deployment_phases SET name = $1 WHERE position = 0",
        "UPDATE deployment_states SET reason = $1",
        "UPDATE deployment_events SET text = $1",
        "UPDATE deployment_rules SET name = $1, outcome = $1",
        "UPDATE deployment_templates SET name = $1",
        "UPDATE update_groups SET name = $1 WHERE id = 1",
        "UPDATE plugin_versions SET publisher = $1, pushed_by = $1",
        "UPDATE plugin_versions SET manifest = REPLACE(manifest, 'Apache-2.0', REPLACE($1, '\"', '\\\"'))",
        "UPDATE plugin_versions SET manifest = REPLACE(manifest, 'which packages are', REPLACE($1, '\"', '\\\"'))",
        "UPDATE plugin_versions SET manifest = REPLACE(manifest, 'https://farrier', REPLACE($1, '\"', '\\\"'))",
        "UPDATE plugin_events SET text = $1",
        "UPDATE client_fallbacks SET reason = $1, failed_version = $1, version = $1",
        "UPDATE shadow_results SET error = $1, version = $1",
        "UPDATE shadow_differences SET detail = $1, shadow_detail = $1",
    ] {
        sqlx::query(statement).bind(HOSTILE).execute(site.database.pool()).await.unwrap();
    }
    let update = site.json("/api/updates").await["items"][0]["id"].as_str().unwrap().to_owned();
    let client = site.json("/api/clients?sort=required").await["items"][0]["id"].as_str().unwrap().to_owned();
    let deployments = site.json("/api/deployments").await;
    let deployment = deployments["items"][3]["id"].as_str().unwrap().to_owned();
    let search = "/updates?search=%3Cscript%3Ealert(1)%3C/script%3E%22%20onfocus=%22x";
    for path in [
        "/",
        "/updates",
        "/clients",
        "/synchronization",
        search,
        &format!("/updates/{update}"),
        &format!("/clients/{client}"),
        "/collections",
        "/collections/2",
        "/collections/2/edit",
        "/collections/2/windows/1",
        "/deployments",
        &format!("/deployments/{deployment}"),
        &format!("/deployments/{deployment}/status"),
        &format!("/deployments/{deployment}/clients"),
        &format!("/deployments/new?update={update}"),
        "/deployment-rules",
        "/deployment-rules/1",
        "/plugins",
        "/plugins/dpkg",
        "/plugins/file-set",
        "/plugins/dpkg/differences",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for mark in ["<script>", "<img", "\" onfocus=", "alert(2)>"] {
            assert!(!answer.body.contains(mark), "{path} holds {mark}");
        }
        assert!(answer.body.contains("alert(1)"), "{path} shows the text");
    }
    let missing = site.get("/no/%3Cscript%3E").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(!missing.body.contains("<script>"));
}

#[tokio::test]
async fn a_mistake_in_an_address_is_named() {
    let site = Site::with_fleet().await;
    for (path, named) in [
        ("/updates?state=required", "Required, Unknown, Installed, NotRequired"),
        ("/updates?classification=security", "Security Updates"),
        ("/updates?suite=sid", "bookworm-security"),
        ("/updates?sort=colour", "first_seen"),
        ("/updates?order=up", "asc, desc"),
        ("/updates?page=0", "number from 1"),
        ("/updates?page=-9223372036854775808", "number from 1"),
        ("/updates?page=x", "number from 1"),
        ("/updates?superseded=yes", "1, 0"),
        ("/updates?sate=Required", "sate"),
        ("/updates?search=a&search=b", "given twice"),
        ("/clients?group=bad", "never_scanned"),
        ("/clients?contact=yesterday", "24h, 7d, 30d, older"),
        ("/updates/xyz", "expected 32 hexadecimal digits"),
        ("/clients/0011", "expected 32 hexadecimal digits"),
        ("/updates/00000000000000000000000000000000?page=many", "number from 1"),
        ("/collections/x", "no number of a collection"),
        ("/collections/1?serch=a", "serch"),
        ("/deployments?status=running", "active, paused, cancelled"),
        ("/deployments/xyz", "expected 32 hexadecimal digits"),
        ("/deployments/00000000000000000000000000000000?state=Done", "Unreported"),
        ("/deployments/00000000000000000000000000000000?phase=0", "number from 1 to 16"),
    ] {
        for path in [path.to_owned(), format!("/api{path}")] {
            let answer = site.get(&path).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert!(answer.body.contains(named), "{path} does not name {named:?}: {}", answer.body);
        }
    }
    let long = format!("/updates?search={}", "x".repeat(201));
    assert_eq!(site.get(&long).await.status, StatusCode::BAD_REQUEST);
    // Empty fields of a form are no mistake.
    assert_eq!(site.get("/updates?search=&state=&classification=&suite=").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_is_said_with_a_way_on() {
    let site = Site::with_fleet().await;
    let nobody = "00000000000000000000000000000000";
    for path in [
        "/nowhere",
        &format!("/updates/{nobody}"),
        &format!("/clients/{nobody}"),
        &format!("/deployments/{nobody}"),
        &format!("/deployments/{nobody}/status"),
        &format!("/deployments/{nobody}/events"),
        &format!("/deployments/{nobody}/export.csv"),
        "/collections/999",
        "/collections/999/edit",
        "/collections/1/windows/7",
        "/deployment-rules/7",
        "/assets/old.css",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.body.contains("href=\"/updates\""), "{path} offers a way on");
    }
    let answer = site.get(&format!("/api/clients/{nobody}")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(json["error"].as_str().unwrap().contains(nobody) && json["remedy"].is_string());
    let late = site.get("/updates?page=900").await;
    assert!(late.body.contains("There is no page 900"), "{}", late.body);
    assert_eq!(
        site.post("/updates", &[("sec-fetch-site", "same-origin")]).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn an_empty_site_says_what_to_do_next() {
    let site = Site::empty().await;
    for (path, advice) in [
        ("/", "farrier token create"),
        ("/", "software_update_point.suite"),
        ("/updates", "/synchronization"),
        ("/clients", "farrier token create"),
        ("/synchronization", "software_update_point.suite"),
        ("/deployments", "/updates?state=Required"),
        ("/deployment-rules", "/deployment-rules/new"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.contains(advice), "{path} does not say {advice}");
    }
}

#[tokio::test]
async fn the_button_requests_a_synchronization_and_rings() {
    let site = Site::with_fleet().await;
    let answer = site.post("/synchronization/run", &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers[LOCATION], "/synchronization");
    site.signals.sync_requested.notified().await;
    let status = site.json("/api/synchronization").await;
    assert_eq!(status["current"]["requested_by"], "administrator");
    assert!(site.get("/synchronization").await.body.contains("data-busy"));
    assert!(site.get("/synchronization/status").await.body.contains("data-busy"));
}

#[tokio::test]
async fn only_the_console_itself_may_post() {
    let site = Site::with_fleet().await;
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://localhost:8443")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://localhost:8444")],
        &[("origin", "https://localhost:8443.evil.example")],
        &[("origin", "null")],
    ] {
        let answer = site.post("/synchronization/run", headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for path in ["/deployments/new", "/collections/new", "/collections/1/remove", "/api/deployments"] {
        assert_eq!(site.post(path, &[]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(site.json("/api/synchronization").await["current"], Value::Null);
    let answer = site.post("/synchronization/run", &[(ORIGIN.as_str(), "https://localhost:8443")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "a browser that only sends Origin");
}

#[tokio::test]
async fn only_names_of_loopback_are_answered() {
    let site = Site::empty().await;
    for (host, status) in [
        ("localhost", StatusCode::OK),
        ("LOCALHOST:8443", StatusCode::OK),
        ("127.0.0.1:8443", StatusCode::OK),
        ("127.0.0.2", StatusCode::OK),
        ("[::1]:8443", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("localhost.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("192.0.2.1", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.example:8443", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let request = Request::get("/api/overview").header(HOST, host).body(Body::empty()).unwrap();
        assert_eq!(site.send(request).await.status, status, "{host}");
    }
    let nameless = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(site.send(nameless).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_page_runs_and_loads_only_what_is_ours() {
    let site = Site::with_deployments().await;
    let deployment = format!("/deployments/{}", site.deployment("Kernel").await);
    for path in [
        "/",
        "/updates",
        "/clients",
        "/synchronization",
        "/collections",
        "/collections/2",
        "/collections/new",
        "/collections/2/windows/new",
        "/deployments",
        &deployment,
        "/deployments/new",
        "/deployment-rules",
        "/deployment-rules/new",
        "/nowhere",
    ] {
        let answer = site.get(path).await;
        let policy = answer.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let kept = if path == "/deployments/new" { "private, no-cache" } else { "no-store" };
        assert_eq!(answer.headers[CACHE_CONTROL], kept);
        for inline in [" style=", "<style", "<script>", " onclick=", "javascript:"] {
            assert!(!answer.body.contains(inline), "{path} holds {inline}");
        }
        let sources = answer.body.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(
            sources.clone().count() > 0 && sources.into_iter().all(|source| source.starts_with("/assets/")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_addresses_that_change_with_them() {
    let site = Site::empty().await;
    let page = site.get("/").await.body;
    let assets: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 4, "{assets:?}");
    for asset in assets {
        let answer = site.get(asset).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        assert_eq!(answer.headers[CACHE_CONTROL], "public, max-age=31536000, immutable", "{asset}");
        let kind = answer.headers[CONTENT_TYPE].to_str().unwrap();
        assert!(
            ["text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"].contains(&kind),
            "{kind}"
        );
    }
    assert_eq!(site.get("/favicon.ico").await.status, StatusCode::OK);
}
