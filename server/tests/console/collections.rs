//! Collections and their windows.

use crate::site::Site;
use axum::http::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn a_collection_is_written_previewed_and_stored() {
    let site = Site::with_deployments().await;
    let page = site.get("/collections/new").await;
    let fields = page.form("/collections/new").with("name", "Databases").with("query", "hostname like \"db-*\"");
    let preview = site.submit("/collections/new", &fields.clone().with("go", "preview").pairs()).await;
    assert!(preview.body.contains("<b>5</b> of 40 clients would be in"), "{}", preview.body);
    assert!(preview.body.contains("db-01.example.org"));
    assert_eq!(preview.form("/collections/new").get("query"), "hostname like \"db-*\"");
    let stored = site.submit("/collections/new", &fields.with("clients", "web-01.example.org").pairs()).await;
    let page = site.get(stored.location()).await;
    assert!(page.body.contains("Databases"), "{}", page.body);

    let edit = format!("{}/edit", stored.location());
    let fields = site.get(&edit).await.form(&edit);
    assert_eq!((fields.get("clients"), fields.get("name")), ("web-01.example.org", "Databases"));
    site.submit(&edit, &fields.with("excludes", "2").pairs()).await.location();
    let json = site.json(&format!("/api{}", stored.location())).await;
    assert_eq!(json["excludes"][0]["name"], "Web servers");
    let removed = site.submit(&format!("{}/remove", stored.location()), &[]).await;
    assert_eq!(removed.location(), "/collections");
    assert_eq!(site.get(stored.location()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_mistake_in_a_query_is_pointed_at() {
    let site = Site::with_deployments().await;
    let fields = [("name", "x"), ("query", "tag = web and colour = red"), ("go", "preview")];
    let answer = site.submit("/collections/new", &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("tag = web and colour = red\n              ^^^^^^"), "{}", answer.body);
    assert!(answer.body.contains("id=\"query-error\""));
    let form = answer.form("/collections/new");
    assert_eq!((form.get("name"), form.get("query")), ("x", "tag = web and colour = red"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_at_its_field() {
    let site = Site::with_deployments().await;
    for (fields, field, named) in [
        (&[("name", "")][..], "name", "name"),
        (&[("name", "Kiosks")], "name", "already"),
        (&[("name", "x"), ("clients", "nobody.example.org")], "clients", "There is no client"),
        (&[("name", "x"), ("clients", "00000000000000000000000000000000")], "clients", "not known"),
    ] {
        let answer = site.submit("/collections/new", fields).await;
        assert!(answer.body.contains(&format!("id=\"{field}-error\"")), "{fields:?}: {}", answer.body);
        assert!(answer.body.contains(named), "{fields:?} does not say {named:?}: {}", answer.body);
    }
    // 5 includes everybody but the kiosks, which are 3.
    let fields = site.get("/collections/3/edit").await.form("/collections/3/edit");
    let answer = site.submit("/collections/3/edit", &fields.with("includes", "5").pairs()).await;
    assert!(answer.body.contains("includes-error") && answer.body.contains("depend on itself"), "{}", answer.body);
    for path in ["/collections/1/edit", "/collections/1/remove", "/collections/3/remove"] {
        let answer = site.submit(path, &[("name", "x")]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn windows_are_added_changed_and_removed() {
    let site = Site::with_deployments().await;
    let new = "/collections/4/windows/new";
    let fields =
        site.get(new).await.form(new).with("name", "Sunday").with("starts", "2027-01-03T02:00").with("day", "SU");
    let preview = site.submit(new, &fields.clone().with("go", "preview").pairs()).await;
    assert!(preview.body.contains("Sun 20"), "{}", preview.body);
    assert_eq!(site.submit(new, &fields.pairs()).await.location(), "/collections/4");
    let page = site.get("/collections/4").await.body;
    assert!(page.contains("Sunday") && page.contains("Maintenance window"));
    let id = site.json("/api/collections/4").await["windows"][0]["id"].to_string();
    let edit = format!("/collections/4/windows/{id}");
    let fields = site.get(&edit).await.form(&edit);
    assert_eq!((fields.get("repeat"), fields.get("day"), fields.get("duration")), ("weekly", "SU", "4 h"));
    for (field, value, named) in [
        ("time_zone", "Mars/Olympus", "no time zone"),
        ("duration", "8 days", "At most 7 days"),
        ("starts", "tonight", "Write a date and a time"),
    ] {
        let answer = site.submit(&edit, &fields.clone().with(field, value).pairs()).await;
        assert!(
            answer.body.contains(&format!("id=\"{field}-error\"")) && answer.body.contains(named),
            "{}",
            answer.body
        );
    }
    let broken = fields.clone().with("repeat", "rule").with("recurrence", "FREQ=SECONDLY");
    assert!(site.submit(&edit, &broken.pairs()).await.body.contains("id=\"recurrence-error\""));
    site.submit(&edit, &fields.without("enabled").pairs()).await.location();
    assert!(site.get("/collections/4").await.body.contains("chip paused"));
    assert_eq!(site.get(&format!("/collections/2/windows/{id}")).await.status, StatusCode::NOT_FOUND);
    site.submit(&format!("{edit}/remove"), &[]).await.location();
    assert!(!site.get("/collections/4").await.body.contains("Sunday"));
}

#[tokio::test]
async fn json_does_the_same() {
    let site = Site::with_deployments().await;
    let definition = json!({"name": "Mail", "description": "", "query": "hostname like \"mail-*\"", "clients": [],
        "includes": [], "excludes": []});
    let preview = site.call(Method::POST, "/api/collections/preview", &definition).await;
    assert!(preview.body.contains("\"members\":2"), "{}", preview.body);
    let made = site.call(Method::POST, "/api/collections", &definition).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let path = format!("/api/collections/{}", made["id"]);
    let window = json!({"name": "Nights", "kind": "Maintenance", "starts": "2027-01-03T02:00:00", "recurrence": "FREQ=DAILY",
        "duration_seconds": 3600, "time_zone": null, "enabled": true});
    let added = site.call(Method::POST, &format!("{path}/windows"), &window).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let wrong = json!({"name": "Mail", "description": "", "query": "hostname ~ x", "clients": [], "includes": [],
        "excludes": []});
    let refused = site.call(Method::PUT, &path, &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert!(refused.body.contains("character"), "{}", refused.body);
    assert_eq!(site.call(Method::DELETE, &path, &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.call(Method::DELETE, &path, &json!({})).await.status, StatusCode::NOT_FOUND);
}
