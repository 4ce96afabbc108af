//! Automatic deployment rules.

use crate::site::Site;
use axum::http::StatusCode;

const NEW: &str = "/deployment-rules/new";

#[tokio::test]
async fn a_rule_is_written_previewed_stored_and_run() {
    let site = Site::with_deployments().await;
    let fields = site.get(NEW).await.form(NEW).with("name", "All of OpenSSL").with("filter.title", "openssl, sudo");
    let preview = site.submit(NEW, &fields.clone().with("go", "preview").pairs()).await;
    assert!(preview.body.contains("<b>2</b> updates are selected now"), "{}", preview.body);
    let fields = fields.with("collection", "2").with("phase.0.success_percent", "80");
    assert_eq!(site.submit(NEW, &fields.with("go", "store").pairs()).await.location(), "/deployment-rules");
    let page = site.get("/deployment-rules").await.body;
    assert!(page.contains("All of OpenSSL") && page.contains("with openssl or sudo"), "{page}");

    let rules = site.json("/api/deployment-rules").await;
    let rule = rules.as_array().unwrap().iter().find(|rule| rule["name"] == "All of OpenSSL").unwrap();
    let id = rule["id"].to_string();
    assert_eq!(rule["settings"]["phases"][0]["success_percent"], 80);
    site.submit(&format!("/deployment-rules/{id}/run"), &[]).await.location();
    assert!(site.get("/deployment-rules").await.body.contains("Deployed 2 updates."));
    assert_eq!(site.json("/api/deployments?search=OpenSSL").await["total"], 1);
    site.submit(&format!("/deployment-rules/{id}/disable"), &[]).await.location();
    assert!(site.get(&format!("/deployment-rules/{id}")).await.body.contains("All of OpenSSL"));
    site.submit(&format!("/deployment-rules/{id}/remove"), &[]).await.location();
    assert_eq!(site.get(&format!("/deployment-rules/{id}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn mistakes_are_shown_at_their_fields() {
    let site = Site::with_deployments().await;
    let fields = site.get(NEW).await.form(NEW);
    for (field, value) in
        [("name", ""), ("filter.min_age_days", "x"), ("filter.max_age_days", "-3"), ("attempts", "99")]
    {
        let answer =
            site.submit(NEW, &fields.clone().with("name", "x").with(field, value).with("go", "store").pairs()).await;
        assert!(answer.body.contains(&format!("id=\"{field}-error\"")), "{field}: {}", answer.body);
        assert_eq!(answer.form(NEW).get(field), value);
    }
    let contradiction =
        fields.clone().with("name", "x").with("filter.min_age_days", "9").with("filter.max_age_days", "3");
    let answer = site.submit(NEW, &contradiction.with("go", "store").pairs()).await;
    assert!(answer.body.contains("id=\"filter.max_age_days-error\""), "{}", answer.body);
    let taken = site.submit(NEW, &fields.with("name", "Nightly security").with("go", "store").pairs()).await;
    assert!(taken.body.contains("id=\"name-error\""), "{}", taken.body);
    assert_eq!(site.submit("/deployment-rules/1/explode", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn phases_of_a_rule_are_added_in_its_form() {
    let site = Site::with_deployments().await;
    let fields = site.get(NEW).await.form(NEW).with("name", "Kept");
    let answer = site.submit(NEW, &fields.with("go", "preset:careful").pairs()).await;
    let fields = answer.form(NEW);
    assert_eq!((fields.get("name"), fields.get("phases"), fields.get("phase.0.name")), ("Kept", "3", "Pilot"));
    assert!(answer.body.contains("<details class=\"adder\" open>"), "the phases stay in sight");
}
