//! Plugins as JSON.

use crate::site::Site;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A component that exports what an applicability plugin does, and nothing else, in base64: an empty instance, its
/// export and the manifest, each in its section.
fn component(version: &str) -> String {
    let manifest = json!({
        "name": "check", "version": version, "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
        "world": "applicability", "scopes": ["test/*"], "read": [{ "grant": "/etc/os-release", "reason": "a test" }],
    });
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let export = [&[1, 0], text("farrier:policy/compliance@1.0.0").as_slice(), &[5, 0, 0]].concat();
    let custom = [text("farrier-manifest"), manifest.to_string().into_bytes()].concat();
    let length = custom.len();
    let length = [u8::try_from(length % 128).unwrap() | 128, u8::try_from(length / 128).unwrap()];
    let sections: [&[u8]; 6] = [
        b"\0asm\x0d\0\x01\0\x05\x03\x01\x01\0\x0b",
        &[u8::try_from(export.len()).unwrap()],
        &export,
        &[0],
        &length,
        &custom,
    ];
    BASE64_STANDARD.encode(sections.concat())
}

async fn post(site: &Site, path: &str, body: &Value) -> (StatusCode, Value) {
    let answer = site.call(Method::POST, path, body).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

#[tokio::test]
async fn a_plugin_is_pushed_approved_tried_promoted_and_rolled_back() {
    let site = Site::empty().await;
    let unsigned = json!({ "component": component("1.0.0") });
    let (status, refused) = post(&site, "/api/plugins", &unsigned).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(refused["error"].as_str().unwrap().contains("not signed"), "{refused}");
    for version in ["1.0.0", "1.1.0"] {
        let body = json!({ "component": component(version), "allow_unsigned": true });
        let (status, pushed) = post(&site, "/api/plugins", &body).await;
        assert_eq!((status, &pushed["version"]), (StatusCode::CREATED, &json!(version)), "{pushed}");
        assert_eq!(pushed["asks"][0]["access"], "read");
        assert_eq!(post(&site, "/api/plugins", &body).await.0, StatusCode::OK);
    }
    let approval = site.json("/api/plugins/check/approval?version=1.0.0").await;
    assert_eq!((&approval["undecided"], &approval["grants"][0]["standing"]), (&json!(1), &json!("undecided")));
    let (status, refused) = post(&site, "/api/plugins/check/promote", &json!({ "version": "1.0.0" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert_eq!(post(&site, "/api/plugins/check/approve", &json!({ "all": true })).await.0, StatusCode::CONFLICT);
    let all = json!({ "all": true, "version": "1.1.0" });
    assert_eq!(post(&site, "/api/plugins/check/approve", &all).await.0, StatusCode::OK);
    assert_eq!(post(&site, "/api/plugins/check/promote", &json!({ "version": "1.0.0" })).await.0, StatusCode::OK);
    let (status, tried) = post(&site, "/api/plugins/check/shadow", &json!({ "version": "1.1.0" })).await;
    assert_eq!((status, &tried["trial"]), (StatusCode::OK, &json!("shadow")), "{tried}");
    assert_eq!(post(&site, "/api/plugins/check/end-shadow", &json!({})).await.1["ended"], "shadow");
    let canary = json!({ "version": "1.1.0", "collection": 1 });
    assert_eq!(post(&site, "/api/plugins/check/assign", &canary).await.0, StatusCode::OK);
    assert_eq!(site.json("/api/plugins").await[0]["canary"]["version"], "1.1.0");
    let (status, refused) = post(&site, "/api/plugins/check/promote", &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(site.get("/plugins/check").await.body.contains("Promote it although no client has tried it"));
    let promoted = post(&site, "/api/plugins/check/promote", &json!({ "untried": true })).await.1;
    assert_eq!((&promoted["current"], &promoted["canary"]), (&json!("1.1.0"), &Value::Null));
    assert_eq!(post(&site, "/api/plugins/check/rollback", &json!({})).await.1["to"], "1.0.0");
    let detail = site.json("/api/plugins/check").await;
    assert_eq!((&detail["current"], &detail["previous"]), (&json!("1.0.0"), &Value::Null));
    assert_eq!(detail["version_rows"][1]["roles"], json!(["current"]));
    assert!(detail["events"][0]["text"].as_str().unwrap().contains("rolled back by the console"), "{detail}");
    assert_eq!(site.json("/api/plugins/check/differences").await["total"], 0);
    assert_eq!(site.json("/api/plugins/check/clients?failed=1").await["total"], 0);
}

#[tokio::test]
async fn what_is_wrong_about_a_plugin_is_said_in_words() {
    let site = Site::empty().await;
    for (method, path, body, status) in [
        (Method::GET, "/api/plugins/nothing", json!({}), StatusCode::NOT_FOUND),
        (Method::GET, "/api/plugins/nothing/differences", json!({}), StatusCode::NOT_FOUND),
        (Method::GET, "/api/plugins/nothing/clients?version=", json!({}), StatusCode::NOT_FOUND),
        (Method::GET, "/api/plugins/nothing/differences?update=x", json!({}), StatusCode::BAD_REQUEST),
        (Method::POST, "/api/plugins/nothing/promote", json!({}), StatusCode::NOT_FOUND),
        (Method::POST, "/api/plugins/nothing/assign", json!({ "version": "1" }), StatusCode::BAD_REQUEST),
        (Method::POST, "/api/plugins/nothing/dance", json!({}), StatusCode::NOT_FOUND),
        (Method::POST, "/api/plugins", json!({ "component": "?" }), StatusCode::BAD_REQUEST),
        (
            Method::POST,
            "/api/plugins",
            json!({ "component": "AGFzbQ==", "allow_unsigned": true }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/api/plugin-publishers",
            json!({ "name": "x", "public_key": "7" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::DELETE, "/api/plugin-publishers/x", json!({}), StatusCode::NOT_FOUND),
    ] {
        let answer = site.call(method.clone(), path, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(problem["error"].is_string() && problem["remedy"].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn publishers_come_and_go() {
    let site = Site::empty().await;
    let key = "0a".repeat(32);
    let publisher = json!({ "name": "Example", "public_key": key });
    let answer = site.call(Method::POST, "/api/plugin-publishers", &publisher).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let answer = site.call(Method::POST, "/api/plugin-publishers", &publisher).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
    let listed = site.json("/api/plugin-publishers").await;
    assert_eq!((&listed[0]["name"], &listed[0]["public_key"]), (&json!("Example"), &json!(key)));
    let answer = site.call(Method::DELETE, "/api/plugin-publishers/Example", &json!({})).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(site.json("/api/plugin-publishers").await, json!([]));
}
