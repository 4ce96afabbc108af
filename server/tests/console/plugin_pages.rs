//! Plugins: what their pages say, and what their forms do.

use crate::site::{Site, links};
use axum::http::StatusCode;
use farrier::database::CollectionDefinition;
use farrier::{collections, database::now};

#[tokio::test]
async fn the_list_says_what_counts_what_is_tried_and_what_to_look_at() {
    let site = Site::with_deployments().await;
    let page = site.get("/plugins").await.body;
    for named in [
        "<a href=\"/plugins/dpkg\">dpkg</a> <span class=\"chip quiet\">applicability</span>",
        "<span class=\"chip quiet\">shadow</span> 0.2.0",
        "<span class=\"chip active\">canary</span> 1.1.0",
        "counts for <a href=\"/collections/4\">Canaries</a>",
        "<span class=\"chip quiet\">installer</span>",
        "none counts",
        "1 grant to decide",
        "2 clients fell back",
        "newest 0.3.0-beta.1",
        "cannot run it",
        "differences</a>",
        "aria-current=\"page\">Plugins</a>",
    ] {
        assert!(page.contains(named), "{named}: {page}");
    }
    let nothing = Site::empty().await.get("/plugins").await.body;
    assert!(nothing.contains("No plugins yet") && nothing.contains("farrier plugin push"), "{nothing}");
}

#[tokio::test]
async fn a_page_says_who_pushed_what_it_asks_for_and_how_it_fares() {
    let site = Site::with_deployments().await;
    let page = site.get("/plugins/dpkg").await.body;
    for named in [
        "pushed by alice, signed by Example Ltd",
        "came with Farrier",
        "<span class=\"chip failed\">unsigned</span>",
        "/etc/apt/preferences.d/*",
        "which packages are pinned",
        "<span class=\"chip critical\">new</span>",
        "not decided",
        "48 MiB of memory, and the agent gives a plugin 32 MiB",
        "paragraph 212 has no Version",
        "the plugin took longer than 10 seconds",
        "0.2.0 scans beside for the members of All clients (shadow), by alice.",
    ] {
        assert!(page.contains(named), "{named}: {page}");
    }
    let detail = site.json("/api/plugins/dpkg").await;
    let differing = detail["differing"].as_i64().unwrap();
    assert!(differing > 50 && page.contains(&format!("<b>{differing}</b></a> of")), "{differing}");

    let page = site.get("/plugins/file-set?failed=1").await.body;
    let listed = page.split("id=\"listed\"").nth(1).unwrap();
    assert_eq!(listed.matches("1.1.0 failed again and again").count(), 2, "{listed}");
    assert!(listed.contains("called `Option::unwrap()` on a `None` value"), "{listed}");
    let client = links(listed).into_iter().find(|link| link.starts_with("/clients/")).unwrap();
    let client = site.get(&client).await.body;
    assert!(client.contains("href=\"/plugins/file-set\"") && client.contains("1.0.0 is used in its place"), "{client}");

    let installer = site.get("/plugins/dpkg-installer").await.body;
    assert!(!installer.contains("dpkg-installer/shadow") && installer.contains(">nothing</span>"), "{installer}");
    let missing = site.get("/plugins/nothing").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get("/plugins/nothing/differences").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn differences_are_side_by_side_and_can_be_narrowed() {
    let site = Site::with_plugins().await;
    let page = site.get("/plugins/dpkg/differences").await.body;
    for named in ["is older than", "with the epoch counted", "0.2.0 beside 0.1.0", "Page 1 of", "1–50 of"] {
        assert!(page.contains(named), "{named}: {page}");
    }
    let all = site.json("/api/plugins/dpkg/differences").await;
    let row = &all["items"][0];
    for (filter, field) in [("update", "update"), ("client", "client")] {
        let only = format!("/plugins/dpkg/differences?{filter}={}", row[field].as_str().unwrap());
        assert!(links(&page).contains(&only), "{only}");
        let total = site.json(&format!("/api{only}")).await["total"].as_i64().unwrap();
        let narrowed = site.get(&only).await.body;
        assert!(total < all["total"].as_i64().unwrap(), "{filter}");
        assert_eq!(narrowed.matches("<td class=\"lead\">").count(), usize::try_from(total.min(50)).unwrap());
        assert!(narrowed.contains(&format!("name=\"{filter}\" value=\"{}\"", row[field].as_str().unwrap())));
        assert!(narrowed.contains(&format!(">Any {filter}</a>")), "{narrowed}");
    }
    let nothing = site.get("/plugins/dpkg/differences?search=nosuchpackage").await.body;
    assert!(nothing.contains("Nothing matches"), "{nothing}");
    let none = site.get("/plugins/file-set/differences").await.body;
    assert!(none.contains("No version of file-set is a shadow"), "{none}");
}

#[tokio::test]
async fn what_is_asked_for_is_approved_and_refused_by_ticking_it() {
    let site = Site::with_plugins().await;
    let standings = async || {
        let approval = site.json("/api/plugins/ini-baseline/approval").await;
        let grants = approval["grants"].as_array().unwrap().clone();
        grants.into_iter().map(|grant| grant["standing"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(standings().await, ["approved", "undecided"]);
    let form = site.get("/plugins/ini-baseline").await.form("/plugins/ini-baseline/approve");
    assert_eq!(form.get("version"), "0.1.0");
    let decide = async |grant: &str, decision: &str| {
        let form = form.clone().with("grant", grant).with("decision", decision);
        site.submit("/plugins/ini-baseline/approve", &form.pairs()).await
    };
    assert_eq!(decide("read /proc/sys/**", "refuse").await.location(), "/plugins/ini-baseline#versions");
    assert_eq!(standings().await, ["approved", "refused"]);
    decide("read /proc/sys/**", "approve").await.location();
    assert_eq!(standings().await, ["approved", "approved"]);
    for (grant, decision, status) in [
        ("read /etc/shadow", "approve", StatusCode::UNPROCESSABLE_ENTITY),
        ("write /etc/ssh/sshd_config", "approve", StatusCode::UNPROCESSABLE_ENTITY),
        ("format /dev/sda", "approve", StatusCode::BAD_REQUEST),
        ("read /proc/sys/**", "", StatusCode::BAD_REQUEST),
        ("read /proc/sys/**", "maybe", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(decide(grant, decision).await.status, status, "{grant} {decision}");
    }
    let unticked = form.clone().with("decision", "approve");
    let refused = site.submit("/plugins/ini-baseline/approve", &unticked.pairs()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("None of the grants is ticked"), "{}", refused.body);
    assert_eq!(standings().await, ["approved", "approved"]);
    assert!(site.get("/plugins/ini-baseline").await.body.contains("was refused by the console."));
}

#[tokio::test]
async fn a_version_is_tried_promoted_and_rolled_back_by_its_forms() {
    let site = Site::with_plugins().await;
    let few = CollectionDefinition { name: "Few".to_owned(), ..CollectionDefinition::default() };
    let few = collections::create(&site.database, &few, now()).await.unwrap();
    let plugin = async || site.json("/api/plugins/dpkg").await;

    // The newest waits for a decision: there is no button, and pressing it all the same is of no use.
    let page = site.get("/plugins/dpkg").await;
    assert!(!page.body.contains("Promote 0.3.0-beta.1"), "{}", page.body);
    let refused = site.submit("/plugins/dpkg/assign", &[("version", "0.3.0-beta.1"), ("collection", "1")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("preferences.d"), "{}", refused.body);

    // A shadow that differs is promoted by somebody who accepts that.
    let form = page.form("/plugins/dpkg/promote");
    assert_eq!(form.get("version"), "0.2.0");
    let differing = plugin().await["differing"].as_i64().unwrap();
    assert!(page.body.contains(&format!("Accept {differing} differences")), "{}", page.body);
    let refused = site.submit("/plugins/dpkg/promote", &form.pairs()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains(&differing.to_string()), "{}", refused.body);
    let accepted = form.with("accept_differences", "1");
    assert_eq!(site.submit("/plugins/dpkg/promote", &accepted.pairs()).await.location(), "/plugins/dpkg");
    let promoted = plugin().await;
    assert_eq!((&promoted["current"], &promoted["previous"]), (&"0.2.0".into(), &"0.1.0".into()));
    assert!(promoted["shadow"].is_null(), "{promoted}");

    // And taken back.
    let page = site.get("/plugins/dpkg").await;
    assert!(page.body.contains("0.1.0 counts again, everywhere"), "{}", page.body);
    site.submit("/plugins/dpkg/rollback", &[]).await.location();
    assert_eq!(plugin().await["current"], "0.1.0");
    assert!(!site.get("/plugins/dpkg").await.body.contains("/plugins/dpkg/rollback"));

    // Canary and shadow come and go.
    let page = site.get("/plugins/dpkg").await;
    let missing = page.form("/plugins/dpkg/assign");
    assert_eq!((missing.get("version"), missing.get("collection")), ("0.2.0", ""));
    let refused = site.submit("/plugins/dpkg/assign", &missing.pairs()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    let chosen = missing.with("collection", &few.to_string());
    site.submit("/plugins/dpkg/assign", &chosen.pairs()).await.location();
    assert_eq!(plugin().await["canary"]["collection_name"], "Few");
    let shadow = site.get("/plugins/dpkg").await.form("/plugins/dpkg/shadow");
    site.submit("/plugins/dpkg/shadow", &shadow.pairs()).await.location();
    assert_eq!(plugin().await["shadow"]["collection_name"], "All clients");
    for (end, kind) in [("end-shadow", "shadow"), ("end-canary", "canary")] {
        let page = site.get("/plugins/dpkg").await;
        let path = format!("/plugins/dpkg/{end}");
        site.submit(&path, &page.form(&path).pairs()).await.location();
        assert!(plugin().await[kind].is_null(), "{kind}");
        assert_eq!(site.submit(&path, &[]).await.status, StatusCode::CONFLICT);
    }
    for (path, status) in [
        ("/plugins/dpkg/explode", StatusCode::NOT_FOUND),
        ("/plugins/nothing/promote", StatusCode::NOT_FOUND),
        ("/plugins/dpkg/shadow", StatusCode::BAD_REQUEST),
        ("/plugins/dpkg/differences", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(site.submit(path, &[]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_client_shows_what_it_said_of_its_plugins() {
    let site = Site::with_plugins().await;
    let differing = site.json("/api/plugins/dpkg/differences").await["items"][0]["client"].as_str().unwrap().to_owned();
    let page = site.get(&format!("/clients/{differing}")).await.body;
    let only = format!("/plugins/dpkg/differences?client={differing}");
    assert!(links(&page).contains(&only) && page.contains("Shadow 0.2.0"), "{page}");
    let client = site.json(&format!("/api/clients/{differing}")).await;
    assert_eq!(client["plugin_rows"][0]["name"], "dpkg");
    let differences = site.json(&format!("/api{only}")).await;
    assert_eq!(client["plugin_rows"][0]["shadow"]["differing"], differences["total"]);
    let failed = site.json("/api/plugins/dpkg-installer/clients?failed=1").await;
    let failed = failed["items"][0]["id"].as_str().unwrap();
    let page = site.get(&format!("/clients/{failed}")).await.body;
    assert!(page.contains("and nothing is used in its place"), "{page}");
    // A name that the site does not know leads nowhere.
    let rename = "UPDATE client_plugins SET name = 'elsewhere' WHERE name = 'dpkg'";
    sqlx::query(rename).execute(site.database.pool()).await.unwrap();
    let page = site.get(&format!("/clients/{failed}")).await.body;
    assert!(page.contains("<b>elsewhere</b>") && !page.contains("/plugins/elsewhere"), "{page}");
}

#[tokio::test]
async fn a_mistake_in_an_address_is_named() {
    let site = Site::with_plugins().await;
    for (path, named) in [
        ("/plugins?world=installer", "world"),
        ("/plugins/dpkg?failed=yes", "1, 0"),
        ("/plugins/dpkg?page=0", "number from 1"),
        ("/plugins/dpkg?version=%00", "no version of a plugin"),
        ("/plugins/dpkg?sort=hostname", "sort"),
        ("/plugins/dpkg/differences?update=openssl", "no id of an update"),
        ("/plugins/dpkg/differences?client=web-01", "no id of a client"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(named), "{path}: {}", answer.body);
    }
}
