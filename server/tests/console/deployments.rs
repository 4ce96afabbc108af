//! Deployments: what their pages say, and what their buttons do.

use crate::site::Site;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use farrier::database::now;
use farrier::deployment::Deployments;
use futures_util::StreamExt as _;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn the_list_says_how_far_each_deployment_is() {
    let site = Site::with_deployments().await;
    let page = site.get("/deployments").await.body;
    for named in ["Kernel 6.1.140", "chip paused", "chip cancelled", "chip active", "Web servers", "none, offered"] {
        assert!(page.contains(named), "{named}");
    }
    let paused = site.json("/api/deployments?status=paused").await;
    assert_eq!(paused["total"], 1);
    assert!(paused["items"][0]["status_reason"].as_str().unwrap().contains("failed"), "{paused}");
}

#[tokio::test]
async fn a_page_says_why_each_client_is_not_done() {
    let site = Site::with_deployments().await;
    let id = site.deployment("November").await;
    let page = site.get(&format!("/deployments/{id}")).await.body;
    for named in ["Clients by state over time", "1. Pilot", "class=\"fill-succeeded\"", "Phase 1", "Export CSV"] {
        assert!(page.contains(named), "{named}");
    }
    let json = site.json(&format!("/api/deployments/{id}")).await;
    assert!(json["course"].as_array().unwrap().len() > 10);
    let clients = json["clients_found"]["items"].as_array().unwrap();
    assert_eq!(clients.len(), 40);
    for client in clients {
        let why = client["why"].as_str().unwrap();
        assert!(why.ends_with(['.', '?']) && page.contains(&why.replace('\'', "&#39;")), "{why}");
    }
    let failed = site.json(&format!("/api/deployments/{id}?state=Failed")).await;
    let failed = failed["clients_found"]["items"].as_array().unwrap();
    assert!(!failed.is_empty() && failed.iter().all(|client| client["why"].as_str().unwrap().contains("dpkg")));
    let client = failed[0]["id"].as_str().unwrap();
    let page = site.get(&format!("/clients/{client}")).await.body;
    assert!(page.contains("id=\"deployments\"") && page.contains("post-installation script"), "{page}");
    let detail = site.json(&format!("/api/deployments/{id}/clients/{client}")).await;
    assert_eq!(detail["updates"][0]["state"], "Failed");
}

#[tokio::test]
async fn fragments_hold_what_the_page_holds() {
    let site = Site::with_deployments().await;
    let id = site.deployment("November").await;
    let page = site.get(&format!("/deployments/{id}?state=Failed")).await.body;
    let clients = site.get(&format!("/deployments/{id}/clients?state=Failed")).await.body;
    assert!(page.contains(clients.trim()), "{clients}");
    let status = site.get(&format!("/deployments/{id}/status")).await.body;
    assert!(!status.contains("<html") && status.contains("<h1>") && status.contains("class=\"history\""));
}

#[tokio::test]
async fn buttons_do_what_they_say() {
    let site = Site::with_deployments().await;
    let id = site.deployment("November").await;
    let page = format!("/deployments/{id}");
    let status = async || site.json(&format!("/api{page}")).await["status"].as_str().unwrap().to_owned();

    let answer = site.submit(&format!("{page}/pause"), &[("reason", "waiting for <Bob>")]).await;
    assert_eq!(answer.location(), page);
    assert_eq!(status().await, "paused");
    assert!(site.get(&page).await.body.contains("waiting for &#60;Bob&#62;"));
    site.submit(&format!("{page}/resume"), &[]).await.location();
    assert_eq!(status().await, "active");
    site.submit(&format!("{page}/retry"), &[]).await.location();

    site.submit(&format!("{page}/cancel"), &[]).await.location();
    assert_eq!(status().await, "cancelled");
    let refused = site.submit(&format!("{page}/resume"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("cancelled"), "{}", refused.body);
    for nonsense in ["explode", "delete"] {
        let answer = site.submit(&format!("{page}/{nonsense}"), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nonsense}");
    }
    let page = site.get(&page).await.body;
    assert!(!page.contains("Resume</button>") && !page.contains("Cancel the deployment"));
}

#[tokio::test]
async fn a_gate_is_opened_by_its_button() {
    let site = Site::with_deployments().await;
    let id = site.deployment("nginx").await;
    let page = site.get(&format!("/deployments/{id}")).await;
    assert!(page.body.contains("Let it go on to phase 2"), "{}", page.body);
    let fields = page.form(&format!("/deployments/{id}/approve"));
    site.submit(&format!("/deployments/{id}/approve"), &fields.pairs()).await.location();
    assert_eq!(site.json(&format!("/api/deployments/{id}")).await["open_phases"], 2);
    let nothing = site.submit(&format!("/deployments/{id}/approve"), &[]).await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_table_is_csv() {
    let site = Site::with_deployments().await;
    let id = site.deployment("November").await;
    let answer = site.get(&format!("/deployments/{id}/export.csv")).await;
    assert_eq!(answer.headers[CONTENT_TYPE], "text/csv; charset=utf-8");
    assert!(answer.headers[CONTENT_DISPOSITION].to_str().unwrap().contains(".csv"));
    let lines: Vec<_> = answer.body.lines().collect();
    assert!(lines[0].starts_with("client_id,hostname,phase"));
    assert!(lines.len() > 40, "{}", lines.len());
}

#[tokio::test]
async fn json_does_the_same() {
    let site = Site::with_deployments().await;
    let updates = site.json("/api/updates?state=Required&search=sudo").await;
    let new = json!({"name": "By program", "updates": [updates["items"][0]["id"]], "collection": 2});
    let review = site.call(Method::POST, "/api/deployments/review", &new).await;
    assert_eq!(review.status, StatusCode::OK, "{}", review.body);
    assert!(review.body.contains("\"clients\":8"), "{}", review.body);
    let made = site.call(Method::POST, "/api/deployments", &new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let id = made["id"].as_str().unwrap();
    let paused = site.call(Method::POST, &format!("/api/deployments/{id}/pause"), &json!({"reason": "no"})).await;
    assert_eq!(paused.status, StatusCode::OK, "{}", paused.body);
    assert_eq!(site.json(&format!("/api/deployments/{id}")).await["status"], "paused");

    for (wrong, status, named) in [
        (
            json!({"name": "x", "updates": ["y"], "collection": 2}),
            StatusCode::BAD_REQUEST,
            "no id of a software update",
        ),
        (json!({"name": "x", "updates": [], "collection": 2}), StatusCode::UNPROCESSABLE_ENTITY, "at least one update"),
        (json!({"name": "x", "group": 99, "collection": 2}), StatusCode::NOT_FOUND, "update group 99"),
        (json!({"name": "x", "colour": "red", "collection": 2}), StatusCode::BAD_REQUEST, "colour"),
        (json!([1]), StatusCode::BAD_REQUEST, "JSON"),
    ] {
        let answer = site.call(Method::POST, "/api/deployments", &wrong).await;
        assert_eq!(answer.status, status, "{wrong}: {}", answer.body);
        assert!(answer.body.contains(named), "{wrong}: {}", answer.body);
    }
}

#[tokio::test]
async fn whoever_looks_hears_of_changes_until_the_site_stops() {
    let mut site = Site::with_deployments().await;
    let id = site.deployment("November").await;
    let (status, headers, body) = site.stream(&format!("/deployments/{id}/events")).await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
    let mut body = body.into_data_stream();
    // The database is not asked any more: time may fly.
    tokio::time::pause();
    assert!(tokio::time::timeout(Duration::from_millis(500), body.next()).await.is_err(), "nothing happened yet");
    Deployments::new(site.database.clone(), site.signals.clone()).signals.deployments_look_different();
    let heard = body.next().await.unwrap().unwrap();
    assert!(heard.starts_with(b"event: changed"), "{heard:?}");
    site.stop();
    assert!(body.next().await.is_none(), "the stream ends with the site");
    let _ = now();
}
