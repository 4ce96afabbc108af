//! The deployment wizard, used by a browser without JavaScript.

use crate::site::{Answer, Fields, Site};
use axum::http::StatusCode;
use serde_json::Value;

const WIZARD: &str = "/deployments/new";

/// The ids of some updates that clients require.
async fn updates(site: &Site, search: &str) -> Vec<String> {
    let list = site.json(&format!("/api/updates?state=Required&search={search}")).await;
    list["items"].as_array().unwrap().iter().map(|update| update["id"].as_str().unwrap().to_owned()).collect()
}

async fn press(site: &Site, fields: Fields, button: &str) -> Answer {
    site.submit(WIZARD, &fields.with("go", button).pairs()).await
}

fn current_step(answer: &Answer) -> String {
    let trail = answer.body.split("aria-current=\"step\">").nth(1).unwrap();
    trail.split('<').next().unwrap().to_owned()
}

/// The first step with these updates picked in their list.
async fn begun(site: &Site, updates: &[String]) -> Answer {
    let fields: Vec<_> = updates.iter().map(|update| ("update", update.as_str())).chain([("go", "picked")]).collect();
    site.submit(WIZARD, &fields).await
}

#[tokio::test]
async fn a_deployment_is_made_step_by_step() {
    let site = Site::with_deployments().await;
    let picked = updates(&site, "openss").await;
    assert_eq!(picked.len(), 2);

    let answer = begun(&site, &picked).await;
    assert_eq!(current_step(&answer), "Updates");
    let fields = answer.form(WIZARD);
    assert!(fields.get("name").starts_with("Security Updates 20"), "{}", fields.get("name"));
    let answer = press(&site, fields.with("name", "SSL & friends"), "next").await;
    assert_eq!(current_step(&answer), "Content");
    let answer = press(&site, answer.form(WIZARD).with("sources", "upstream").with("roll_back", "1"), "next").await;
    assert_eq!(current_step(&answer), "Collection");
    let answer = press(&site, answer.form(WIZARD).with("collection", "2"), "next").await;
    assert_eq!(current_step(&answer), "Schedule");
    let fields = answer.form(WIZARD).with("deadline.kind", "at").with("deadline.at", "2031-05-04T22:30");
    let answer = press(&site, fields.with("restart", "force").with("countdown", "1 h 30 min"), "next").await;
    assert_eq!(current_step(&answer), "Phases");
    let answer = press(&site, answer.form(WIZARD), "preset:careful").await;
    let fields = answer.form(WIZARD).with("phase.0.manual", "1").with("phase.0.soak_seconds", "36 h");
    let answer = press(&site, fields, "next").await;
    assert_eq!(current_step(&answer), "Review");
    assert!(answer.body.contains("2031-05-04 22:30") && answer.body.contains("Web servers"), "{}", answer.body);
    assert!(site.json("/api/deployments?search=SSL").await["total"] == 0, "nothing is done before the last step");

    let answer = press(&site, answer.form(WIZARD).with("keep_template", "As for SSL"), "create").await;
    let page = site.get(answer.location()).await;
    assert_eq!(page.status, StatusCode::OK);
    let made = site.json(&format!("/api{}", answer.location())).await;
    assert_eq!(made["name"], "SSL & friends");
    assert_eq!(made["updates"], 2);
    assert_eq!(made["collection_name"], "Web servers");
    assert_eq!(made["settings"]["sources"], serde_json::json!(["Upstream"]));
    assert_eq!(made["settings"]["roll_back"], true);
    assert_eq!(made["settings"]["restart"]["Force"]["countdown_seconds"], 5_400);
    let phases = made["settings"]["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 3);
    assert_eq!((&phases[0]["manual"], &phases[0]["soak_seconds"]), (&Value::Bool(true), &Value::from(129_600)));
    assert!(site.get(WIZARD).await.body.contains("As for SSL"), "the template is there for the next one");
}

#[tokio::test]
async fn whatever_step_one_goes_to_everything_is_kept() {
    let site = Site::with_deployments().await;
    let picked = updates(&site, "openss").await;
    let answer = begun(&site, &picked).await;
    let answer = press(&site, answer.form(WIZARD).with("name", "Kept"), "next").await;
    let fields = answer.form(WIZARD).with("attempts", "nonsense").with("allow_removals", "1").without("download_ahead");
    let answer = press(&site, fields, "updates").await;
    assert_eq!(current_step(&answer), "Updates", "back is always possible");
    let fields = answer.form(WIZARD);
    for (field, value) in [("name", "Kept"), ("attempts", "nonsense"), ("allow_removals", "1"), ("download_ahead", "")]
    {
        assert_eq!(fields.get(field), value, "{field}");
    }
    let mut sorted = picked.clone();
    sorted.sort();
    assert_eq!(fields.0["update"], sorted);
    let answer = press(&site, fields, "review").await;
    assert_eq!(current_step(&answer), "Content", "forward only past what is right");
    assert!(answer.body.contains("Write a number from 1 to 10."));
    let again = press(&site, answer.form(WIZARD).with("attempts", "2"), "next").await;
    assert_eq!(current_step(&again), "Collection");
    assert!(!again.body.contains("aria-invalid"), "what is right shows no mistake");
}

#[tokio::test]
async fn a_mistake_is_shown_at_its_field_with_what_was_typed() {
    let site = Site::with_deployments().await;
    let picked = updates(&site, "sudo").await;
    let answer = begun(&site, &picked).await;
    let answer = press(&site, answer.form(WIZARD).with("collection", "1"), "schedule").await;
    let hostile = "\"><script>alert(1)</script>";
    let fields =
        answer.form(WIZARD).with("grace_seconds", hostile).with("deadline.kind", "at").with("deadline.at", "soon");
    let answer = press(&site, fields, "next").await;
    assert_eq!(current_step(&answer), "Schedule");
    assert!(!answer.body.contains("<script>alert"));
    for field in ["grace_seconds", "deadline"] {
        assert!(answer.body.contains(&format!("id=\"{field}-error\"")), "{field}");
        assert!(answer.body.contains(&format!("href=\"#{field}\"")), "{field} is in the list of mistakes");
    }
    let fields = answer.form(WIZARD);
    assert_eq!((fields.get("grace_seconds"), fields.get("deadline.at")), (hostile, "soon"));

    let nothing = press(&site, begun(&site, &[]).await.form(WIZARD).with("name", ""), "next").await;
    assert_eq!(current_step(&nothing), "Updates");
    assert!(nothing.body.contains("Select at least one update.") && nothing.body.contains("Write a name"));
}

#[tokio::test]
async fn a_form_sent_twice_deploys_once() {
    let site = Site::with_deployments().await;
    let before = site.json("/api/deployments").await["total"].as_i64().unwrap();
    let answer = begun(&site, &updates(&site, "sudo").await).await;
    let answer = press(&site, answer.form(WIZARD).with("collection", "1"), "review").await;
    assert_eq!(current_step(&answer), "Review", "{}", answer.body);
    let first = press(&site, answer.form(WIZARD), "create").await;
    let second = press(&site, answer.form(WIZARD), "create").await;
    assert_eq!(first.location(), second.location());
    assert_eq!(site.json("/api/deployments").await["total"], before + 1);
}

#[tokio::test]
async fn updates_are_found_and_added_in_the_wizard() {
    let site = Site::with_deployments().await;
    let answer = press(&site, begun(&site, &[]).await.form(WIZARD).with("find", "sudo"), "enter").await;
    assert_eq!(current_step(&answer), "Updates", "the enter key searches");
    assert!(answer.body.contains("Add sudo"), "{}", answer.body);
    let sudo = updates(&site, "sudo").await.remove(0);
    let answer = press(&site, answer.form(WIZARD).with("update", &sudo), "find").await;
    assert_eq!(answer.form(WIZARD).get("update"), sudo);
    let answer = press(&site, answer.form(WIZARD).with("name", "sudo"), "enter").await;
    assert_eq!(current_step(&answer), "Content", "with nothing new to search it goes on");
    let answer = press(&site, answer.form(WIZARD), "updates").await;
    let answer = press(&site, answer.form(WIZARD).without("update"), "next").await;
    assert!(answer.body.contains("Select at least one update."), "what is unchecked is dropped");
}

#[tokio::test]
async fn everything_that_a_filter_shows_can_be_deployed_at_once() {
    let site = Site::with_deployments().await;
    let page = site.get("/updates?state=Required").await;
    let required = site.json("/api/updates?state=Required").await["total"].as_u64().unwrap();
    assert!(page.body.contains(&format!("Deploy all {required}")));
    assert!(!site.get("/updates").await.body.contains("Deploy all"), "everything there is, is no choice");
    let answer = site.submit("/deployments/new?state=Required", &[("go", "all")]).await;
    assert_eq!(answer.form(WIZARD).0["update"].len() as u64, required);
}

#[tokio::test]
async fn a_template_fills_the_form_and_a_removed_collection_is_noticed() {
    let site = Site::with_deployments().await;
    let answer = begun(&site, &updates(&site, "sudo").await).await;
    let refused = press(&site, answer.form(WIZARD), "apply-template").await;
    assert!(refused.body.contains("Choose a template."));
    let answer = press(&site, answer.form(WIZARD).with("template", "1"), "apply-template").await;
    assert_eq!(answer.form(WIZARD).get("phase.0.name"), "Pilot");
    let answer = press(&site, answer.form(WIZARD).with("collection", "999"), "review").await;
    assert_eq!(current_step(&answer), "Collection");
    assert!(answer.body.contains("This collection was removed"));
}

#[tokio::test]
async fn nonsense_is_refused_and_nothing_is_made() {
    let site = Site::with_deployments().await;
    let before = site.json("/api/deployments").await["total"].clone();
    for fields in [
        &[("step", "review"), ("go", "create")][..],
        &[("step", "review"), ("go", "create"), ("update", "x"), ("collection", "-1"), ("phases", "99999999999")],
        &[("step", "phases"), ("go", "add-phase"), ("phases", "16")],
        &[("step", "nowhere"), ("go", "create")],
    ] {
        let answer = site.submit(WIZARD, fields).await;
        assert_eq!(answer.status, StatusCode::OK, "{fields:?}: {}", answer.body);
    }
    let answer = site.submit(WIZARD, &[("step", "phases"), ("go", "explode")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let large = "x".repeat(600 * 1024);
    let answer = site.submit(WIZARD, &[("step", "updates"), ("name", &large)]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.json("/api/deployments").await["total"], before);
}
