//! The page of the keys, and what every page says of them.

use crate::site::Site;
use axum::http::StatusCode;
use farrier::database::now;
use farrier::keys::{Dropped, KeyRole, Rotation};

#[tokio::test]
async fn every_page_says_that_keys_are_where_they_do_not_belong() {
    let site = Site::empty().await;
    assert!(site.get("/keys").await.body.contains("No keys yet"));
    let site = Site::empty().await;
    site.keys.ensure(now()).await.unwrap();
    for page in ["/", "/updates", "/keys", "/no-such-page"] {
        let answer = site.get(page).await;
        let banner = "root, targets, plugins and native keys are still on this site";
        assert!(answer.body.contains(banner), "{page}: {}", answer.body);
        assert_eq!(answer.body.contains("<a href=\"/keys\">Trust</a></p>"), page != "/keys", "{page}");
    }
    let page = site.get("/keys").await;
    assert_eq!(page.status, StatusCode::OK);
    for key in site.keys.keys.signers(KeyRole::Root).unwrap() {
        assert!(page.body.contains(&key.key_id()[..16]));
    }
    assert_eq!(page.body.matches("demonstration</span>").count(), 4);
    let shown = site.json("/api/keys").await;
    assert_eq!(shown["roles"].as_array().unwrap().len(), 8);
    assert_eq!(shown["roles"][0]["metadata"][0]["version"], 1);
    assert_eq!(shown["notices"][0]["urgency"], "warning");
}

#[tokio::test]
async fn what_waits_for_signatures_is_shown() {
    let site = Site::empty().await;
    site.keys.ensure(now()).await.unwrap();
    for role in KeyRole::OFFLINE {
        for key in site.keys.keys.signers(role).unwrap() {
            site.keys.keys.remove(role, &key.key_id()).unwrap();
        }
    }
    let rotation = Rotation { role: KeyRole::Timestamp, new: Vec::new(), dropped: Dropped::All, threshold: None };
    site.keys.rotate_to_own(rotation, now()).await.unwrap();
    let page = site.get("/keys").await;
    for words in ["Waiting for signatures", "other keys for timestamp", "0 of 1 signatures of the root keys"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(site.get("/").await.body.contains("Waiting for signatures of keys that are elsewhere: root"));
    assert_eq!(site.json("/api/keys").await["waiting"][0]["role"], "root");
}

#[tokio::test]
async fn an_expiry_that_cannot_wait_is_red() {
    let site = Site::empty().await;
    site.keys.ensure(now() - 360 * 86_400).await.unwrap();
    let page = site.get("/").await;
    assert!(
        page.body.contains("class=\"banner failed\"") && page.body.contains("The root metadata expires in"),
        "{}",
        page.body
    );
    assert!(page.body.contains("farrier keys renew root"));
}
