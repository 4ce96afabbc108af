//! What pages say of clients that are kept out, and of those whose identity is in doubt.

use crate::site::Site;
use axum::http::StatusCode;
use farrier::database::now;
use farrier_protocol::{ClientId, Digest};

/// Four clients of a fleet.
async fn clients(site: &Site) -> [(ClientId, String); 4] {
    let list = site.json("/api/clients?sort=hostname").await;
    let client = |index: usize| {
        let text = |name: &str| list["items"][index][name].as_str().unwrap().to_owned();
        (text("id").parse().unwrap(), text("hostname"))
    };
    [client(0), client(1), client(2), client(3)]
}

#[tokio::test]
async fn a_revoked_client_is_shown_with_the_reason_and_the_way_back() {
    let site = Site::with_fleet().await;
    let before = site.json("/api/overview").await["clients"]["total"].as_i64().unwrap();
    let [(client, hostname), ..] = clients(&site).await;
    site.database.revoke_client(client, "stolen <b>\"on\"</b> a train", now()).await.unwrap();
    let page = site.get(&format!("/clients/{client}")).await.body;
    assert!(page.contains("stolen &#60;b&#62;") && !page.contains("stolen <b>"), "{page}");
    assert!(page.contains(&format!("farrier client restore {client}")));
    let list = site.get("/clients?group=revoked").await.body;
    assert!(list.contains(&hostname) && list.contains(">revoked</span>"), "{list}");
    let json = site.json(&format!("/api/clients/{client}")).await;
    assert_eq!(json["admission"], "revoked");
    let figures = &site.json("/api/overview").await["clients"];
    assert_eq!((figures["total"].as_i64(), figures["revoked"].as_i64()), (Some(before - 1), Some(1)));
}

#[tokio::test]
async fn a_client_that_waits_for_approval_is_counted_and_shown_with_the_command() {
    let site = Site::with_fleet().await;
    assert!(!site.get("/").await.body.contains("Wait for approval"));
    let [(client, hostname), ..] = clients(&site).await;
    let query = sqlx::query("UPDATE clients SET admission = 1 WHERE hostname = $1").bind(&hostname);
    query.execute(site.database.pool()).await.unwrap();
    assert!(site.get("/").await.body.contains("href=\"/clients?group=waiting\">Wait for approval</a><b>1</b>"));
    assert!(site.get("/clients?group=waiting").await.body.contains(">waits for approval</span>"));
    let page = site.get(&format!("/clients/{client}")).await.body;
    assert!(page.contains(&format!("farrier client approve {client}")), "{page}");
}

#[tokio::test]
async fn several_devices_with_one_identity_are_shown_with_the_remedy() {
    let site = Site::with_fleet().await;
    let [(client, hostname), (first, _), (second, other_name), _] = clients(&site).await;
    for boot in [1, 2, 1] {
        site.database.note_contact_details(client, None, Some([boot; 16]), None, now()).await.unwrap();
    }
    for twin in [first, second] {
        site.database.note_contact_details(twin, None, None, Some(Digest([1; 32])), now()).await.unwrap();
    }
    assert!(site.get("/").await.body.contains("href=\"/clients?group=in_doubt\">Identity in doubt</a><b>3</b>"));
    let list = site.get("/clients?group=in_doubt").await.body;
    assert!(list.contains(&hostname) && list.contains(">several devices</span>"), "{list}");
    assert!(list.contains(&other_name) && list.contains(">same hardware</span>"), "{list}");

    let page = site.get(&format!("/clients/{client}")).await.body;
    for remedy in [format!("farrier token create --client {client}"), format!("farrier client dismiss {client}")] {
        assert!(page.contains(&remedy), "{remedy}: {page}");
    }
    let page = site.get(&format!("/clients/{first}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(&format!("<a href=\"/clients/{second}\">{other_name}</a>")), "{}", page.body);
    let json = site.json(&format!("/api/clients/{client}")).await;
    assert_eq!(json["cloned"]["evidence"], "boot_came_back");
}
