//! What clients say of plugins, and what is shown of it.

use super::plant::{self, NOW, contact, number};
use super::plant_deployments::{clients, collection, say};
use super::plant_plugins::{manifest, plugin, push, scan, site};
use anyhow::{Context as _, ensure};
use farrier::database::views::{DifferenceFilter, PluginClientFilter};
use farrier::database::{ALL_CLIENTS, ClientAbilities, Database, Trial, TrialFigures};
use farrier::plugins::{PluginError, Promotion};
use farrier_protocol::state_message::{
    Abilities, Difference, FallBack, ShadowResult, StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};

scenarios![
    a_shadow_that_differs_is_not_promoted,
    a_new_word_on_a_shadow_voids_the_one_before,
    what_clients_said_of_a_shadow_counts_until_they_take_it_back,
    what_is_no_fault_of_a_version_is_not_counted_against_it,
    what_is_said_of_unknown_plugins_and_updates_is_passed_over,
    a_client_that_starts_anew_has_said_nothing_of_plugins,
    a_fall_back_is_shown_with_its_reason_until_it_is_over,
    abilities_decide_who_can_run_a_version,
    a_version_that_failed_is_not_promoted,
    deleting_a_client_deletes_what_it_said_of_plugins,
];

fn shadow(plugin: &str, version: &str, shadow_version: &str, compared: u32, differing: u32) -> StateMessage {
    StateMessage::Shadow(Box::new(ShadowResult {
        plugin: bounded(plugin),
        version: bounded(version),
        shadow_version: bounded(shadow_version),
        scanned_at: NOW + 9_999,
        compared,
        differing,
        error: bounded(""),
    }))
}

fn difference(plugin: &str, update: UpdateId) -> StateMessage {
    StateMessage::Difference(Box::new(Difference {
        plugin: bounded(plugin),
        update,
        state: ComplianceState::Required,
        shadow_state: ComplianceState::Installed,
        detail: bounded("1.1 is older than 1.2-3"),
        shadow_detail: bounded("1.1 is a\0s good as 1.2-3"),
    }))
}

fn fall_back(plugin: &str, failed: &str, version: &str, reason: &str) -> StateMessage {
    StateMessage::FallBack(Box::new(FallBack {
        plugin: bounded(plugin),
        installer: false,
        failed_version: bounded(failed),
        version: bounded(version),
        since: i64::MIN,
        reason: bounded(reason),
    }))
}

fn abilities(wit: &str, plugin_memory_bytes: u64) -> StateMessage {
    let abilities =
        Abilities { wit: bounded(wit), engine: bounded("native"), plugin_memory_bytes, component_bytes: u64::MAX };
    StateMessage::Abilities(Box::new(abilities))
}

/// Goes on with the stream that [`say`] began, in which this many messages came after the reset.
async fn go_on(
    database: &Database,
    client: ClientId,
    stream: u64,
    said: u64,
    messages: impl IntoIterator<Item = StateMessage>,
) -> anyhow::Result<()> {
    let batch = StateBatch { stream, first_serial: said + 2, messages: messages.into_iter().collect() };
    let reply = database.commit_batch(client, &batch, NOW).await?;
    ensure!(matches!(reply, StateReply::Acknowledged { .. }));
    Ok(())
}

/// Three updates, clients, and a plugin whose version 1.1.0 is everybody's shadow.
async fn shadowed(database: &Database, count: u8) -> anyhow::Result<(Vec<UpdateId>, Vec<ClientId>)> {
    let updates = plant::updates(database, &["bash", "curl", "dash"]).await?;
    let clients = clients(database, count).await?;
    plugin(database, "check", &["1.0.0", "1.1.0"]).await?;
    site(database).try_version(("check", "1.1.0"), Trial::Shadow, ALL_CLIENTS, "alice", NOW).await?;
    Ok((updates, clients))
}

async fn a_shadow_that_differs_is_not_promoted(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 3).await?;
    let both = [difference("check", updates[0]), difference("check", updates[1])];
    say(&database, clients[0], 1, [shadow("check", "1.0.0", "1.1.0", 3, 2)].into_iter().chain(both)).await?;
    let one = [shadow("check", "1.0.0", "1.1.0", 3, 1), difference("check", updates[0])];
    say(&database, clients[1], 1, one).await?;
    say(&database, clients[2], 1, [shadow("check", "1.0.0", "1.1.0", 3, 0)]).await?;

    let Err(PluginError::Refused(words)) = site(&database).promote("check", &Promotion::default(), NOW).await else {
        anyhow::bail!("it was promoted");
    };
    ensure!(words.contains("3 of 9 questions differently, on 2 clients"), "{words}");
    ensure!(words.contains("farrier plugin status check") && words.contains("--accept-differences"), "{words}");

    let detail = database.plugin("check").await?.context("no plugin")?;
    ensure!((detail.row.compared, detail.row.differing) == (9, 3));
    let summary = detail.shadow_summary.context("no summary")?;
    ensure!((summary.clients, summary.differing_on, summary.top.len()) == (3, 2, 2));
    let top = &summary.top[0];
    ensure!(top.title == "bash 1.2-3" && top.clients == 2 && top.hostname == "host-1", "{top:?}");
    ensure!(top.detail == "1.1 is older than 1.2-3" && top.shadow_detail == "1.1 is a\u{FFFD}s good as 1.2-3");

    let page = database.plugin_differences("check", &DifferenceFilter::default()).await?;
    let shown: Vec<_> = page.items.iter().map(|row| (row.title.as_str(), row.hostname.as_str())).collect();
    ensure!(shown == [("bash 1.2-3", "host-1"), ("bash 1.2-3", "host-2"), ("curl 1.2-3", "host-1")], "{shown:?}");
    let row = &page.items[0];
    ensure!((row.version.as_str(), row.shadow_version.as_str(), row.scanned_at) == ("1.0.0", "1.1.0", NOW));
    ensure!((row.state, row.shadow_state) == (ComplianceState::Required, ComplianceState::Installed));
    for (filter, expected) in [
        (DifferenceFilter { update: Some(updates[1]), ..DifferenceFilter::default() }, 1),
        (DifferenceFilter { client: Some(clients[0]), ..DifferenceFilter::default() }, 2),
        (DifferenceFilter { search: "HOST-2".to_owned(), ..DifferenceFilter::default() }, 1),
        (DifferenceFilter { page: 2, ..DifferenceFilter::default() }, 0),
    ] {
        let page = database.plugin_differences("check", &filter).await?;
        ensure!(page.items.len() == expected, "{filter:?}: {}", page.items.len());
    }

    let accepted = Promotion { accept_differences: true, by: "alice".to_owned(), ..Promotion::default() };
    ensure!(site(&database).promote("check", &accepted, NOW).await?.current == "1.1.0");
    let detail = database.plugin("check").await?.context("no plugin")?;
    ensure!(detail.shadow_summary.is_none() && detail.row.differing == 0, "it is no shadow any more");
    ensure!(database.plugin_differences("check", &DifferenceFilter::default()).await?.total == 0);
    let events = detail.events;
    ensure!(events[0].text.ends_with("3 differences were accepted."), "{:?}", events[0]);
    Ok(())
}

async fn a_new_word_on_a_shadow_voids_the_one_before(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 2).await?;
    for client in &clients {
        let said = [shadow("check", "1.0.0", "1.1.0", 3, 1), difference("check", updates[0])];
        say(&database, *client, 1, said).await?;
    }
    // The differences may come in a batch of their own.
    go_on(&database, clients[0], 1, 2, [shadow("check", "1.0.0", "1.1.0", 3, 2)]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_differences").await? == 1, "the other client's stays");
    go_on(&database, clients[0], 1, 3, [difference("check", updates[1]), difference("check", updates[2])]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_differences").await? == 3);
    go_on(&database, clients[0], 1, 5, [difference("check", updates[1])]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_differences").await? == 3, "said twice is said once");
    let figures = database.trial_figures("check", "1.1.0").await?;
    ensure!((figures.compared_by, figures.compared, figures.differing) == (2, 6, 3), "{figures:?}");
    go_on(&database, clients[0], 1, 6, [shadow("check", "1.0.0", "1.1.0", 3, 0)]).await?;
    let figures = database.trial_figures("check", "1.1.0").await?;
    ensure!((figures.differing, figures.differing_on) == (1, 1), "{figures:?}");
    Ok(())
}

async fn what_clients_said_of_a_shadow_counts_until_they_take_it_back(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 1).await?;
    let said = [shadow("check", "1.0.0", "1.1.0", 3, 1), difference("check", updates[0])];
    say(&database, clients[0], 1, said.clone()).await?;
    go_on(&database, clients[0], 1, 2, [shadow("check", "", "", 0, 0)]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_results").await? == 0);
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_differences").await? == 0);
    go_on(&database, clients[0], 1, 3, said).await?;

    // A client that has nothing new to say of a version says nothing, whatever became of the trial meanwhile.
    let site = site(&database);
    let few = collection(&database, &clients).await?;
    let refused = async |what: &str| {
        let refused = site.promote("check", &Promotion::default(), NOW).await.err().context("it was promoted")?;
        ensure!(refused.to_string().contains("1 of 3 questions differently, on 1 client"), "{what}: {refused}");
        ensure!(database.plugin_differences("check", &DifferenceFilter::default()).await?.total == 1, "{what}");
        anyhow::Ok(())
    };
    let shadow_of = async |version: &str, collection| {
        site.try_version(("check", version), Trial::Shadow, collection, "alice", NOW).await.map(drop)
    };
    refused("as it is").await?;
    shadow_of("1.1.0", few).await?;
    refused("for others").await?;
    site.end_trial("check", Trial::Shadow, "alice", NOW).await?;
    ensure!(database.plugin_differences("check", &DifferenceFilter::default()).await?.total == 0, "there is no shadow");
    shadow_of("1.1.0", ALL_CLIENTS).await?;
    refused("ended, and begun again").await?;
    push(&database, &manifest("check", "1.2.0", &["/etc/os-release"])).await?;
    shadow_of("1.2.0", ALL_CLIENTS).await?;
    ensure!(database.trial_figures("check", "1.2.0").await? == TrialFigures::default(), "it is about another version");
    ensure!(database.plugin_differences("check", &DifferenceFilter::default()).await?.total == 0);
    shadow_of("1.1.0", ALL_CLIENTS).await?;
    refused("after another one").await?;
    Ok(())
}

async fn what_is_no_fault_of_a_version_is_not_counted_against_it(database: Database) -> anyhow::Result<()> {
    let (_, clients) = shadowed(&database, 4).await?;
    site(&database).try_version(("check", "1.1.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    say(&database, clients[0], 1, [scan("1.1.0", "the site has no catalog for test/a")]).await?;
    say(&database, clients[1], 1, [scan("1.1.0", "catalogs/authored/check/test/a: 00ff is not there")]).await?;
    say(&database, clients[2], 1, [scan("1.0.0", "trap")]).await?;
    let figures = database.trial_figures("check", "1.1.0").await?;
    ensure!((figures.running, figures.failures) == (0, 0), "{figures:?}");
    // Who failed and fell back is one client.
    say(&database, clients[3], 1, [scan("1.1.0", "trap"), fall_back("check", "1.1.0", "1.0.0", "trap")]).await?;
    let all = database.plugin_trial_figures("check").await?;
    ensure!((all["1.1.0"].running, all["1.1.0"].failures, all["1.0.0"].failures) == (1, 1, 1), "{all:?}");
    Ok(())
}

async fn what_is_said_of_unknown_plugins_and_updates_is_passed_over(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 1).await?;
    let said = [
        shadow("stranger", "1.0.0", "1.1.0", 3, 1),
        difference("stranger", updates[0]),
        fall_back("stranger", "1.0.0", "", "trap"),
        // Nobody said how the shadow fared on the whole.
        difference("check", updates[0]),
    ];
    say(&database, clients[0], 1, said).await?;
    for count in [
        "SELECT COUNT(*) FROM shadow_results",
        "SELECT COUNT(*) FROM shadow_differences",
        "SELECT COUNT(*) FROM client_fallbacks",
    ] {
        ensure!(number(&database, count).await? == 0, "{count}");
    }
    let said = [shadow("check", "1.0.0", "1.1.0", 1, 1), difference("check", UpdateId([9; 16]))];
    say(&database, clients[0], 2, said).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_results").await? == 1);
    ensure!(number(&database, "SELECT COUNT(*) FROM shadow_differences").await? == 0);
    Ok(())
}

async fn a_client_that_starts_anew_has_said_nothing_of_plugins(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 2).await?;
    for client in &clients {
        let said = [
            abilities("1.0.0", 1),
            shadow("check", "1.0.0", "1.1.0", 3, 1),
            difference("check", updates[0]),
            fall_back("check", "1.0.0", "", "trap"),
        ];
        say(&database, *client, 1, said).await?;
    }
    say(&database, clients[0], 2, []).await?;
    for count in [
        "SELECT COUNT(*) FROM shadow_results",
        "SELECT COUNT(*) FROM shadow_differences",
        "SELECT COUNT(*) FROM client_fallbacks",
    ] {
        ensure!(number(&database, count).await? == 1, "{count}: the other client's stays");
    }
    let known = contact(&database, clients[0], NOW).await?;
    ensure!(known.wit == "1.0.0", "what it can run is as it was");
    Ok(())
}

async fn a_fall_back_is_shown_with_its_reason_until_it_is_over(database: Database) -> anyhow::Result<()> {
    let (_, clients) = shadowed(&database, 3).await?;
    let reason = "the plugin panicked: index out of bounds";
    for client in &clients[..2] {
        let said = [scan("1.0.0", ""), fall_back("check", "1.1.0", "1.0.0", reason)];
        say(&database, *client, 1, said).await?;
    }
    say(&database, clients[2], 1, [scan("1.1.0", "the plugin took too long")]).await?;
    let detail = database.plugin("check").await?.context("no plugin")?;
    let fallback = &detail.fallbacks[0];
    ensure!(detail.fallbacks.len() == 1 && fallback.clients == 2 && fallback.since == 0, "{fallback:?}");
    ensure!((fallback.reason.as_str(), fallback.version.as_str()) == (reason, "1.0.0"));
    ensure!(detail.row.fallen_back == 2 && detail.row.failing == 1);
    ensure!(detail.failures[0].error == "the plugin took too long" && detail.failures[0].hostname == "host-3");
    let running: Vec<_> = detail.row.running.iter().map(|row| (row.version.as_str(), row.clients)).collect();
    ensure!(running == [("1.0.0", 2), ("1.1.0", 1)]);
    let listed = database.plugins().await?;
    ensure!(listed.len() == 1 && listed[0] == detail.row);

    let page = database.plugin_clients("check", &PluginClientFilter::default()).await?;
    ensure!(page.total == 3 && page.items[0].failed_version == "1.1.0" && page.items[0].reason == reason);
    let of = PluginClientFilter { version: Some("1.1.0".to_owned()), ..PluginClientFilter::default() };
    ensure!(database.plugin_clients("check", &of).await?.items[0].hostname == "host-3");
    let failed = PluginClientFilter { failed: true, search: "host-1".to_owned(), ..PluginClientFilter::default() };
    ensure!(database.plugin_clients("check", &failed).await?.total == 1);

    go_on(&database, clients[0], 1, 2, [fall_back("check", "", "", "")]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM client_fallbacks").await? == 1);
    Ok(())
}

async fn abilities_decide_who_can_run_a_version(database: Database) -> anyhow::Result<()> {
    let (_, clients) = shadowed(&database, 3).await?;
    say(&database, clients[0], 1, [abilities("1.0.0", 48 << 20)]).await?;
    say(&database, clients[1], 1, [abilities("0.9.0", 48 << 20)]).await?;
    let known = contact(&database, clients[0], NOW).await?;
    let expected =
        ClientAbilities { wit: "1.0.0".to_owned(), plugin_memory_bytes: 48 << 20, component_bytes: i64::MAX };
    ensure!(known == expected, "{known:?}");
    let detail = database.plugin("check").await?.context("no plugin")?;
    ensure!(detail.silent == 1 && detail.row.cannot_run == 1);
    ensure!(detail.unable.len() == 2, "the version that counts and the shadow");
    ensure!(detail.unable[0].reason.contains("the agent has 0.9.0"), "{:?}", detail.unable);
    let tried = site(&database).try_version(("check", "1.1.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    ensure!(tried.clients == 3 && tried.cannot_run.len() == 1 && tried.cannot_run[0].1 == 1, "{tried:?}");
    Ok(())
}

async fn a_version_that_failed_is_not_promoted(database: Database) -> anyhow::Result<()> {
    let (_, clients) = shadowed(&database, 3).await?;
    site(&database).try_version(("check", "1.1.0"), Trial::Canary, ALL_CLIENTS, "alice", NOW).await?;
    say(&database, clients[0], 1, [scan("1.0.0", ""), fall_back("check", "1.1.0", "1.0.0", "trap")]).await?;
    say(&database, clients[1], 1, [scan("1.1.0", "no memory")]).await?;
    let refused = site(&database).promote("check", &Promotion::default(), NOW).await;
    let Err(PluginError::Refused(words)) = refused else { anyhow::bail!("it was promoted") };
    ensure!(words.contains("failed on 2 clients") && words.contains("--accept-failures"), "{words}");
    let accepted = Promotion { accept_failures: true, ..Promotion::default() };
    ensure!(site(&database).promote("check", &accepted, NOW).await?.current == "1.1.0");
    Ok(())
}

async fn deleting_a_client_deletes_what_it_said_of_plugins(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = shadowed(&database, 1).await?;
    let said = [
        shadow("check", "1.0.0", "1.1.0", 3, 1),
        difference("check", updates[0]),
        fall_back("check", "1.0.0", "", "trap"),
    ];
    say(&database, clients[0], 1, said).await?;
    sqlx::query("DELETE FROM clients").execute(database.pool()).await?;
    for count in [
        "SELECT COUNT(*) FROM shadow_results",
        "SELECT COUNT(*) FROM shadow_differences",
        "SELECT COUNT(*) FROM client_fallbacks",
    ] {
        ensure!(number(&database, count).await? == 0, "{count}");
    }
    Ok(())
}
