//! Plugins: what administrators do with their versions.

use super::plant::{NOW, number};
use super::plant_deployments::{choose, clients, collection, pass, say};
use super::plant_plugins::{
    approve_all, component, component_exporting, counting, installer, manifest, plugin, promote, push, push_component,
    scan, site, stored,
};
use anyhow::{Context as _, ensure};
use farrier::collections;
use farrier::database::{ALL_CLIENTS, Database, Trial};
use farrier::plugins::{Decision, FARRIER, GrantLines, GrantStanding, PluginError, Promotion, Push, components};
use farrier_workbench::sign::PublisherKey;
use serde_json::json;

scenarios![
    what_is_no_plugin_is_not_taken,
    a_version_never_changes,
    only_known_publishers_may_push,
    what_is_not_decided_is_used_nowhere,
    only_what_is_new_needs_a_decision,
    a_part_may_be_approved_when_that_is_said,
    what_is_refused_stays_so,
    a_part_of_what_is_approved_is_not_refused,
    nobody_approves_all_of_a_version_that_is_not_named,
    only_what_is_asked_for_is_approved,
    a_canary_is_promoted_and_rolled_back,
    promoting_another_version_leaves_the_canary,
    what_was_not_tried_is_promoted_only_on_purpose,
    an_installer_has_no_shadow,
    clients_run_no_more_shadows_than_they_are_told_of,
    every_change_is_a_new_version_of_the_assignments,
    a_collection_that_tries_a_plugin_stays,
    every_version_in_use_is_published_and_no_other,
    a_damaged_version_harms_no_other_and_is_repaired_by_pushing_it_again,
    the_plugins_in_the_box_are_there_once_and_count,
    a_newer_plugin_in_the_box_counts_unless_another_was_chosen,
];

fn refusal<T>(result: Result<T, PluginError>) -> anyhow::Result<String> {
    match result {
        Ok(_) => anyhow::bail!("it was done"),
        Err(PluginError::Database(error)) => Err(error.into()),
        Err(error) => Ok(error.to_string()),
    }
}

async fn what_is_no_plugin_is_not_taken(database: Database) -> anyhow::Result<()> {
    let other_world = {
        let mut manifest = manifest("odd", "1.0.0", &[]);
        manifest["world"] = json!("inventory");
        component_exporting(&manifest, "farrier:policy/inventory@1.0.0")
    };
    let too_new = {
        let mut manifest = manifest("odd", "1.0.0", &[]);
        manifest["wit"] = json!("1.99.0");
        component(&manifest)
    };
    let without_export = component_exporting(&manifest("odd", "1.0.0", &[]), "farrier:policy/nothing@1.0.0");
    for (component, expected) in [
        (b"hello".to_vec(), "no WASM component"),
        (other_world, "the world `inventory`"),
        (too_new, "farrier:policy 1.99.0"),
        (without_export, "does not export `farrier:policy/compliance`"),
    ] {
        let error = push_component(&database, &component).await.err().context("it was taken")?;
        ensure!(format!("{error:#}").contains(expected), "{error:#}");
    }
    ensure!(number(&database, "SELECT COUNT(*) FROM plugins").await? == 0);
    Ok(())
}

async fn a_version_never_changes(database: Database) -> anyhow::Result<()> {
    let first = manifest("check", "1.0.0", &["/etc/os-release"]);
    ensure!(!push(&database, &first).await?.was_there);
    ensure!(push(&database, &first).await?.was_there, "the same again is no error");
    let error = push(&database, &manifest("check", "1.0.0", &["/etc/passwd"])).await.err().context("it was taken")?;
    ensure!(error.to_string().contains("a version never changes"), "{error}");
    let error = push(&database, &installer("check", "2.0.0", &[])).await.err().context("it was taken")?;
    ensure!(error.to_string().contains("give it another name"), "{error}");
    ensure!(number(&database, "SELECT COUNT(*) FROM plugin_versions").await? == 1);
    let version = stored(&database, "check").await?.versions.remove(0);
    let bytes = database.plugin_component(version.row).await?.context("no component")?;
    ensure!(bytes == component(&first) && i64::try_from(bytes.len())? == version.component_bytes);
    Ok(())
}

async fn only_known_publishers_may_push(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let files = PublisherKey::make(folder.path(), "example.org")?;
    let key = PublisherKey::read(&files.secret)?;
    let component = component(&manifest("check", "1.0.0", &[]));
    let signature = key.sign(&component).to_text();
    let plugins = site(&database);
    let push = |signature, allow_unsigned| Push { component: &component, signature, allow_unsigned, by: "alice" };
    let refused = refusal(plugins.push(&push(None, false), NOW).await)?;
    ensure!(refused.contains("--allow-unsigned"), "{refused}");
    // Also with the flag: a signature that is there has to be right.
    let refused = refusal(plugins.push(&push(Some(&signature), true), NOW).await)?;
    ensure!(refused.contains("does not know the publisher") && refused.contains(&files.public), "{refused}");
    let refused = refusal(plugins.add_publisher("farrier", &files.public, NOW).await)?;
    ensure!(refused.contains("choose another name"), "{refused}");
    plugins.add_publisher("Example", &files.public, NOW).await?;
    ensure!(refusal(plugins.add_publisher("Other", &files.public, NOW).await)?.contains("is taken"));
    let other = key.sign(b"something else").to_text();
    let refused = refusal(plugins.push(&push(Some(&other), true), NOW).await)?;
    ensure!(refused.contains("not of this component"), "{refused}");
    ensure!(plugins.push(&push(Some(&signature), false), NOW).await?.publisher == "Example");
    ensure!(plugins.publishers().await?[0].public_key == files.public);
    plugins.remove_publisher("Example").await?;
    ensure!(refusal(plugins.remove_publisher("Example").await)?.contains("there is no publisher"));
    ensure!(stored(&database, "check").await?.versions[0].publisher == "Example", "what was pushed stays");
    Ok(())
}

async fn what_is_not_decided_is_used_nowhere(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    push(&database, &manifest("check", "1.0.0", &["/etc/os-release", "disk-space"])).await?;
    let promotion = Promotion { version: Some("1.0.0".to_owned()), ..Promotion::default() };
    let refused = refusal(plugins.promote("check", &promotion, NOW).await)?;
    ensure!(refused.contains("read /etc/os-release, read disk-space"), "{refused}");
    let canary = plugins.try_version(("check", "1.0.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await;
    ensure!(refusal(canary)?.contains("not approved"));
    let shown = plugins.approval("check", None).await?;
    ensure!(shown.undecided == 2 && shown.grants.iter().all(|grant| grant.is_new));
    ensure!(shown.grants[0].reason == "a test reads it");
    approve_all(&database, "check").await?;
    plugins.promote("check", &promotion, NOW).await?;
    ensure!(counting(&database, "check").await? == ["1.0.0", ""]);
    Ok(())
}

async fn only_what_is_new_needs_a_decision(database: Database) -> anyhow::Result<()> {
    push(&database, &manifest("check", "1.0.0", &["/etc/**", "disk-space"])).await?;
    approve_all(&database, "check").await?;
    promote(&database, "check", "1.0.0").await?;
    let less = push(&database, &manifest("check", "1.1.0", &["/etc/passwd"])).await?;
    ensure!(less.asks[0].standing == GrantStanding::Approved && less.asks[0].is_new);
    promote(&database, "check", "1.1.0").await?;
    let more = push(&database, &manifest("check", "1.2.0", &["/etc/passwd", "/var/log/*"])).await?;
    let standing: Vec<_> = more.asks.iter().map(|grant| (grant.grant.as_str(), grant.standing)).collect();
    ensure!(standing == [("/etc/passwd", GrantStanding::Approved), ("/var/log/*", GrantStanding::Undecided)]);
    let error = promote(&database, "check", "1.2.0").await.err().context("it counts")?;
    ensure!(error.to_string().contains("(read /var/log/*)"), "{error}");
    ensure!(counting(&database, "check").await? == ["1.1.0", "1.0.0"]);
    Ok(())
}

async fn a_part_may_be_approved_when_that_is_said(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    push(&database, &installer("copy", "1.0.0", &["/opt/**", "/etc/**", "/srv/**"])).await?;
    let lines = GrantLines { write: vec!["/opt/**".to_owned(), "/etc/kiosk/*".to_owned()], ..GrantLines::default() };
    let decision = Decision { lines, by: "alice".to_owned(), ..Decision::default() };
    ensure!(plugins.decide("copy", &decision, NOW).await?.undecided == 2, "a part is not everything");
    ensure!(promote(&database, "copy", "1.0.0").await.is_err());
    let decision = Decision { partial: true, ..decision };
    let approval = plugins.decide("copy", &decision, NOW).await?;
    ensure!(approval.undecided == 0 && approval.others == ["write /etc/kiosk/*"], "{approval:?}");
    let standing: Vec<_> = approval.grants.iter().map(|grant| grant.standing).collect();
    ensure!(standing == [GrantStanding::Approved, GrantStanding::Refused, GrantStanding::Refused]);
    promote(&database, "copy", "1.0.0").await?;
    let copy = stored(&database, "copy").await?;
    let assigned = farrier::plugins::rollout::assigned_installer(&copy, &copy.versions[0]).context("too long")?;
    ensure!(assigned.write.iter().map(|line| line.as_str()).eq(["/opt/**", "/etc/kiosk/*"]), "{:?}", assigned.write);
    Ok(())
}

async fn what_is_refused_stays_so(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    plugin(&database, "check", &["1.0.0", "1.1.0"]).await?;
    let lines = GrantLines { read: vec!["/etc/os-release".to_owned()], ..GrantLines::default() };
    let decision = Decision { lines, revoke: true, by: "bob".to_owned(), ..Decision::default() };
    ensure!(plugins.decide("check", &decision, NOW).await?.undecided == 0);
    let check = stored(&database, "check").await?;
    let assigned = farrier::plugins::rollout::assigned_plugin(&check, &check.versions[0]).context("too long")?;
    ensure!(assigned.read.is_empty(), "it runs without");
    let again = push(&database, &manifest("check", "1.2.0", &["/etc/os-release"])).await?;
    ensure!(again.asks[0].standing == GrantStanding::Refused);
    let detail = database.plugin("check").await?.context("no plugin")?;
    ensure!(detail.events.iter().any(|event| event.text == "read /etc/os-release was refused by bob."));
    approve_all(&database, "check").await?;
    ensure!(plugins.approval("check", None).await?.grants[0].standing == GrantStanding::Approved);
    let decision = Decision { all: true, revoke: true, by: "bob".to_owned(), ..Decision::default() };
    ensure!(plugins.decide("check", &decision, NOW).await?.grants[0].standing == GrantStanding::Refused);
    Ok(())
}

async fn a_part_of_what_is_approved_is_not_refused(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    push(&database, &manifest("check", "1.0.0", &["/etc/**"])).await?;
    approve_all(&database, "check").await?;
    let decide = async |grants: &[&str], revoke: bool| {
        let lines = GrantLines { read: grants.iter().map(|&grant| grant.into()).collect(), ..GrantLines::default() };
        plugins.decide("check", &Decision { lines, revoke, ..Decision::default() }, NOW).await
    };
    push(&database, &manifest("check", "1.1.0", &["/etc/**", "/etc/shadow"])).await?;
    let refused = refusal(decide(&["/etc/shadow"], true).await)?;
    ensure!(refused.contains("approved as /etc/**: refuse that, then approve the parts"), "{refused}");
    ensure!(plugins.approval("check", None).await?.grants[1].standing == GrantStanding::Approved, "as it was");
    decide(&["/etc/**", "/etc/shadow"], true).await?;
    let approval = decide(&["/etc/os-release"], false).await?;
    ensure!(approval.undecided == 0 && approval.others == ["read /etc/os-release"], "{approval:?}");
    // What was refused as a whole needs no word on its parts, least of all one of Farrier's own.
    let part = push(&database, &manifest("check", "1.2.0", &["/etc/passwd"])).await?;
    ensure!(part.asks[0].standing == GrantStanding::Refused);
    Ok(())
}

async fn nobody_approves_all_of_a_version_that_is_not_named(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    push(&database, &manifest("check", "1.0.0", &["/etc/os-release"])).await?;
    push(&database, &manifest("check", "1.1.0", &["/**"])).await?;
    let all = Decision { all: true, ..Decision::default() };
    let refused = refusal(plugins.decide("check", &all, NOW).await)?;
    ensure!(refused.contains("(1.0.0, 1.1.0)") && refused.contains("--version"), "{refused}");
    let named = Decision { version: Some("1.0.0".to_owned()), ..all.clone() };
    ensure!(plugins.decide("check", &named, NOW).await?.undecided == 0);
    ensure!(plugins.approval("check", None).await?.undecided == 1, "the other one waits");
    ensure!(plugins.decide("check", &all, NOW).await?.version == "1.1.0", "only one waits");
    Ok(())
}

async fn only_what_is_asked_for_is_approved(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    push(&database, &manifest("check", "1.0.0", &["/etc/**"])).await?;
    for line in ["/opt/x", "/**", "/etc/../root/x", "disk-space", "/etc/[ab]", ""] {
        let lines = GrantLines { read: vec![line.to_owned()], ..GrantLines::default() };
        let refused = refusal(plugins.decide("check", &Decision { lines, ..Decision::default() }, NOW).await)?;
        ensure!(refused.contains("it asks to read: /etc/**"), "{line}: {refused}");
    }
    let lines = GrantLines { run: vec!["/bin/sh".to_owned()], ..GrantLines::default() };
    let refused = refusal(plugins.decide("check", &Decision { lines, ..Decision::default() }, NOW).await)?;
    ensure!(refused.contains("it asks to run: nothing"), "{refused}");
    ensure!(number(&database, "SELECT COUNT(*) FROM plugin_approvals").await? == 0);
    Ok(())
}

async fn a_canary_is_promoted_and_rolled_back(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    let members = clients(&database, 2).await?;
    let chosen = collection(&database, &members[..1]).await?;
    pass(&database, NOW).await?;
    plugin(&database, "check", &["1.0.0", "1.1.0", "1.2.0"]).await?;
    let refused = refusal(plugins.roll_back("check", "alice", NOW).await)?;
    ensure!(refused.contains("has no version before it"), "{refused}");

    let tried = plugins.try_version(("check", "1.1.0"), Trial::Canary, chosen, "alice", NOW).await?;
    ensure!(tried.clients == 1 && tried.cannot_run.is_empty());
    let row = database.plugin("check").await?.context("no plugin")?.row;
    ensure!(row.canary.is_some_and(|canary| canary.version == "1.1.0" && canary.collection_name == "Chosen"));
    let rolled_back = plugins.roll_back("check", "alice", NOW).await?;
    ensure!(rolled_back.ended_canary && rolled_back.to == "1.0.0");
    ensure!(counting(&database, "check").await? == ["1.0.0", ""], "only the canary is gone");

    plugins.try_version(("check", "1.1.0"), Trial::Canary, chosen, "alice", NOW).await?;
    let refused = refusal(plugins.promote("check", &Promotion::default(), NOW).await)?;
    ensure!(refused.contains("no client has scanned with it yet") && refused.contains("--untried"), "{refused}");
    say(&database, members[0], 1, [scan("1.1.0", "")]).await?;
    let promoted = plugins.promote("check", &Promotion::default(), NOW).await?;
    ensure!((promoted.current.as_str(), promoted.canary) == ("1.1.0", None), "what is tried is promoted");
    let check = stored(&database, "check").await?;
    ensure!(counting(&database, "check").await? == ["1.1.0", "1.0.0"] && check.canary.is_none() && check.pinned);
    let again = plugins.try_version(("check", "1.1.0"), Trial::Canary, chosen, "alice", NOW).await;
    ensure!(refusal(again)?.contains("counts everywhere already"));
    let rolled_back = plugins.roll_back("check", "alice", NOW).await?;
    ensure!(!rolled_back.ended_canary && (rolled_back.from.as_str(), rolled_back.to.as_str()) == ("1.1.0", "1.0.0"));
    ensure!(counting(&database, "check").await? == ["1.0.0", ""], "nobody falls back to what was rolled back");
    let events = database.plugin("check").await?.context("no plugin")?.events;
    ensure!(events[0].text == "1.1.0 was rolled back by alice: 1.0.0 counts again.", "{:?}", events[0]);
    Ok(())
}

async fn promoting_another_version_leaves_the_canary(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    plugin(&database, "check", &["1.0.0", "1.1.0", "1.2.0"]).await?;
    plugins.try_version(("check", "1.2.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    let promotion = |version: &str| Promotion {
        version: Some(version.to_owned()),
        untried: true,
        by: "alice".to_owned(),
        ..Promotion::default()
    };
    let promoted = plugins.promote("check", &promotion("1.1.0"), NOW).await?;
    ensure!((promoted.current.as_str(), promoted.canary.as_deref()) == ("1.1.0", Some("1.2.0")), "{promoted:?}");
    let check = stored(&database, "check").await?;
    ensure!(check.trial(Trial::Canary).is_some_and(|(canary, _)| canary.version == "1.2.0"));
    let events = database.plugin("check").await?.context("no plugin")?.events;
    let expected = "1.1.0 was promoted by alice: it counts everywhere, except for the members of All clients, where the \
                    canary 1.2.0 does.";
    ensure!(events[0].text == expected, "{:?}", events[0]);
    let refused = refusal(plugins.promote("check", &promotion("1.1.0"), NOW).await)?;
    ensure!(refused.contains("except where the canary 1.2.0 does: `farrier plugin assign check --end`"), "{refused}");
    plugins.promote("check", &promotion("1.2.0"), NOW).await?;
    ensure!(stored(&database, "check").await?.canary.is_none(), "what counts is not tried any more");
    Ok(())
}

async fn what_was_not_tried_is_promoted_only_on_purpose(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    plugin(&database, "check", &["1.0.0", "1.1.0", "1.2.0"]).await?;
    ensure!(refusal(plugins.promote("check", &Promotion::default(), NOW).await)?.contains("is tried: write which one"));
    let of = |version: &str| Promotion { version: Some(version.to_owned()), ..Promotion::default() };
    let refused = refusal(plugins.promote("check", &of("1.1.0"), NOW).await)?;
    ensure!(refused.contains("farrier plugin shadow check 1.1.0") && refused.contains("--untried"), "{refused}");
    plugins.try_version(("check", "1.1.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await?;
    let refused = refusal(plugins.promote("check", &of("1.1.0"), NOW).await)?;
    ensure!(refused.contains("no client has reported of it as a shadow yet"), "{refused}");
    plugins.try_version(("check", "1.2.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    ensure!(refusal(plugins.promote("check", &Promotion::default(), NOW).await)?.contains("say which one"));
    plugins.promote("check", &Promotion { untried: true, ..of("1.1.0") }, NOW).await?;
    let check = stored(&database, "check").await?;
    ensure!(check.canary.is_some() && check.shadow.is_none(), "what counts is not tried any more");
    ensure!(refusal(plugins.promote("nothing", &Promotion::default(), NOW).await)?.contains("no plugin \"nothing\""));
    ensure!(refusal(plugins.promote("check", &of("9"), NOW).await)?.contains("there are: 1.0.0, 1.1.0, 1.2.0"));
    Ok(())
}

async fn an_installer_has_no_shadow(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    for version in ["1.0.0", "1.1.0"] {
        push(&database, &installer("copy", version, &[])).await?;
    }
    promote(&database, "copy", "1.0.0").await?;
    let shadow = plugins.try_version(("copy", "1.1.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await;
    ensure!(refusal(shadow)?.contains("farrier plugin assign copy 1.1.0"));
    push(&database, &manifest("check", "1.0.0", &[])).await?;
    let shadow = plugins.try_version(("check", "1.0.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await;
    ensure!(refusal(shadow)?.contains("no version of check counts yet"));
    ensure!(refusal(plugins.end_trial("check", Trial::Shadow, "alice", NOW).await)?.contains("check has no shadow"));
    Ok(())
}

async fn clients_run_no_more_shadows_than_they_are_told_of(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    let shadow = async |name: &str| {
        plugins.try_version((name, "1.1.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await.map(drop)
    };
    for name in ["a", "b", "c", "d", "e"] {
        plugin(&database, name, &["1.0.0", "1.1.0"]).await?;
        if name != "e" {
            shadow(name).await?;
        }
    }
    let refused = refusal(shadow("e").await)?;
    ensure!(refused.contains("a, b, c, d have one") && refused.contains("--end"), "{refused}");
    shadow("d").await?;
    plugins.try_version(("e", "1.1.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    plugins.end_trial("b", Trial::Shadow, "alice", NOW).await?;
    shadow("e").await?;
    Ok(())
}

async fn every_change_is_a_new_version_of_the_assignments(database: Database) -> anyhow::Result<()> {
    let plugins = site(&database);
    let members = clients(&database, 2).await?;
    let chosen = collection(&database, &members[..1]).await?;
    pass(&database, NOW).await?;
    let mut last = database.assignment_version().await?;
    let mut grew = async |expected: bool, what: &str| {
        let version = database.assignment_version().await?;
        let grew = version.version > last.version && version.deployed > last.deployed;
        ensure!(grew == expected && version.version >= last.version, "{what}: {last:?}, {version:?}");
        last = version;
        anyhow::Ok(())
    };
    for version in ["1.0.0", "1.1.0"] {
        push(&database, &manifest("check", version, &["/etc/os-release"])).await?;
    }
    grew(false, "nobody gets what is only pushed").await?;
    approve_all(&database, "check").await?;
    grew(true, "approved").await?;
    promote(&database, "check", "1.0.0").await?;
    grew(true, "promoted").await?;
    plugins.try_version(("check", "1.1.0"), Trial::Canary, chosen, "alice", NOW).await?;
    grew(true, "canary").await?;
    plugins.try_version(("check", "1.1.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await?;
    grew(true, "shadow").await?;
    plugins.end_trial("check", Trial::Shadow, "alice", NOW).await?;
    grew(true, "the end of the shadow").await?;
    let before = database.assignment_version().await?;
    choose(&database, chosen, &members).await?;
    pass(&database, NOW).await?;
    ensure!(database.assignment_version().await?.version > before.version, "members of the canary's collection");
    grew(false, "a member is no new policy").await?;
    plugins.roll_back("check", "alice", NOW).await?;
    grew(true, "rolled back").await?;

    let version = database.assignment_version().await?.version;
    let roll_out = database.plugin_roll_out(version).await?;
    ensure!(roll_out.collections().is_empty());
    plugins.try_version(("check", "1.1.0"), Trial::Canary, chosen, "alice", NOW).await?;
    let version = database.assignment_version().await?.version;
    let roll_out = database.plugin_roll_out(version).await?;
    ensure!(roll_out.collections() == [chosen], "what is remembered is given up");
    ensure!(database.memberships_among(members[1], roll_out.collections()).await?.contains(&chosen));
    ensure!(database.memberships_among(members[1], &[]).await?.is_empty());
    Ok(())
}

async fn a_collection_that_tries_a_plugin_stays(database: Database) -> anyhow::Result<()> {
    let chosen = collection(&database, &[]).await?;
    plugin(&database, "check", &["1.0.0", "1.1.0"]).await?;
    site(&database).try_version(("check", "1.1.0"), Trial::Shadow, chosen, "alice", NOW).await?;
    let error = collections::remove(&database, chosen, NOW).await.err().context("it was removed")?;
    ensure!(format!("{:#}", anyhow::Error::new(error)).contains("the trial of the plugin check"));
    site(&database).end_trial("check", Trial::Shadow, "alice", NOW).await?;
    collections::remove(&database, chosen, NOW).await?;
    Ok(())
}

async fn every_version_in_use_is_published_and_no_other(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let publisher = crate::repository::publisher(&database, folder.path()).await?;
    let repository = publisher.repository.clone();
    let versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];
    plugin(&database, "check", &versions).await?;
    promote(&database, "check", "1.1.0").await?;
    site(&database).try_version(("check", "1.2.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    site(&database).try_version(("check", "1.3.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await?;
    for (in_use, lost) in [(&versions[..4], false), (&versions[..4], true)] {
        publisher.publish().await?;
        let publication = database.current_publication().await?.context("nothing is published")?;
        let published = publication.content.plugins.iter().map(|plugin| plugin.version.as_str());
        ensure!(published.eq(in_use.iter().copied()));
        for published in &publication.content.plugins {
            ensure!(published.target == format!("plugins/check/{}", published.version).as_str());
            ensure!(published.read.iter().map(|line| line.as_str()).eq(["/etc/os-release"]));
            let file = repository.path(&published.digest);
            ensure!(std::fs::read(&file)? == component(&manifest("check", &published.version, &["/etc/os-release"])));
            if !lost {
                std::fs::remove_file(file)?;
            }
        }
    }
    // The versions before are kept for whoever is fetching them, for one publication.
    let canary = stored(&database, "check").await?.trial(Trial::Canary).context("no canary")?.0.digest;
    site(&database).roll_back("check", "alice", NOW).await?;
    publisher.publish().await?;
    let publication = database.current_publication().await?.context("nothing is published")?;
    ensure!(publication.content.plugins.iter().all(|plugin| plugin.digest != canary));
    ensure!(repository.path(&canary).exists());
    site(&database).end_trial("check", Trial::Shadow, "alice", NOW).await?;
    publisher.publish().await?;
    ensure!(!repository.path(&canary).exists());
    Ok(())
}

async fn a_damaged_version_harms_no_other_and_is_repaired_by_pushing_it_again(
    database: Database,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let publisher = crate::repository::publisher(&database, folder.path()).await?;
    let published = async || {
        publisher.publish().await?;
        let publication = database.current_publication().await?.context("nothing is published")?;
        let versions = publication.content.plugins.iter().map(|plugin| plugin.version.to_string());
        anyhow::Ok(versions.collect::<Vec<_>>())
    };
    plugin(&database, "check", &["1.0.0", "1.1.0"]).await?;
    promote(&database, "check", "1.1.0").await?;
    sqlx::query("UPDATE plugin_versions SET component = $1 WHERE version = '1.1.0'")
        .bind(b"damaged".to_vec())
        .execute(database.pool())
        .await?;
    ensure!(published().await? == ["1.0.0"]);
    let before = database.assignment_version().await?;
    ensure!(push(&database, &manifest("check", "1.0.0", &["/etc/os-release"])).await?.was_there);
    ensure!(database.assignment_version().await? == before, "nothing was wrong with this one");
    ensure!(push(&database, &manifest("check", "1.1.0", &["/etc/os-release"])).await?.was_there);
    ensure!(database.assignment_version().await?.deployed > before.deployed, "the publisher looks");
    ensure!(published().await? == ["1.0.0", "1.1.0"]);
    // What the repository has is as good as what the database should have.
    sqlx::query("UPDATE plugin_versions SET component = $1").bind(b"damaged".to_vec()).execute(database.pool()).await?;
    ensure!(published().await? == ["1.0.0", "1.1.0"]);
    Ok(())
}

async fn the_plugins_in_the_box_are_there_once_and_count(database: Database) -> anyhow::Result<()> {
    ensure!(farrier::plugins::register(&database, NOW).await?);
    let version = database.assignment_version().await?;
    ensure!(!farrier::plugins::register(&database, NOW).await?, "nothing is new");
    ensure!(database.assignment_version().await? == version);
    let plugins = database.registered_plugins().await?;
    ensure!(plugins.len() == components().len());
    for plugin in &plugins {
        let current = plugin.current_version().context("it does not count")?;
        ensure!(current.publisher == FARRIER && !plugin.pinned && plugin.versions.len() == 1);
        ensure!(farrier::plugins::approvals::undecided(plugin, current).is_empty());
    }
    // What an administrator refused is not approved again by the next start.
    let decision = Decision { all: true, revoke: true, by: "alice".to_owned(), ..Decision::default() };
    site(&database).decide("dpkg", &decision, NOW).await?;
    farrier::plugins::register(&database, NOW).await?;
    let grants = site(&database).approval("dpkg", None).await?.grants;
    ensure!(!grants.is_empty() && grants.iter().all(|grant| grant.standing == GrantStanding::Refused));
    Ok(())
}

async fn a_newer_plugin_in_the_box_counts_unless_another_was_chosen(database: Database) -> anyhow::Result<()> {
    // As if an older Farrier had brought it.
    let age = async |pinned: i64| {
        sqlx::query(
            "UPDATE plugin_versions SET version = '0.0.1', digest = $1 WHERE plugin_id = \
                     (SELECT id FROM plugins WHERE name = 'dpkg')",
        )
        .bind(vec![7_u8; 32])
        .execute(database.pool())
        .await?;
        let query = "UPDATE plugins SET pinned = $1 WHERE name = 'dpkg'";
        sqlx::query(query).bind(pinned).execute(database.pool()).await?;
        anyhow::Ok(())
    };
    farrier::plugins::register(&database, NOW).await?;
    let newest = counting(&database, "dpkg").await?[0].clone();
    age(1).await?;
    ensure!(farrier::plugins::register(&database, NOW).await?);
    ensure!(counting(&database, "dpkg").await? == ["0.0.1", ""], "an administrator chose it");
    sqlx::query(
        "DELETE FROM plugin_versions WHERE version = $1 AND plugin_id = (SELECT id FROM plugins WHERE name = 'dpkg')",
    )
    .bind(newest.clone())
    .execute(database.pool())
    .await?;
    age(0).await?;
    farrier::plugins::register(&database, NOW).await?;
    ensure!(counting(&database, "dpkg").await? == [newest, "0.0.1".to_owned()]);
    Ok(())
}
