//! Signing: with the keys that are on the site, without them, and with others than before.

use super::plant;
use super::plant_plugins::{self, plugin, promote};
use super::publications::{Index, Site, changed_roles, import, update};
use anyhow::{Context as _, ensure};
use farrier::database::{Database, Follow, NativeArtefact, PendingMetadata, now};
use farrier::keys::{Dropped, KeyRole, PrivateKeyFile, Rotation, SiteKeys};
use farrier_protocol::ClientId;
use farrier_runtime::EngineId;
use farrier_trust::SigningKey;

scenarios![
    what_the_publisher_has_to_sign_elsewhere_waits_and_is_not_assigned,
    what_is_signed_elsewhere_is_published,
    what_nobody_wishes_any_more_waits_no_longer,
    a_role_that_expires_without_its_keys_stops_no_other,
    a_root_with_other_keys_appears_together_with_what_they_sign,
    other_keys_of_catalogs_and_policies_sign_them_again,
    publishers_at_the_same_time_make_one_repository,
    what_cannot_be_published_does_not_let_the_rest_expire,
    old_metadata_goes_and_roots_stay,
    plugins_are_compiled_once_for_the_engines_of_clients,
    an_agent_of_another_version_keeps_what_was_compiled_for_it,
    what_cannot_be_compiled_harms_nothing_else,
];

const DAY: i64 = 86_400;

fn keys(site: &Site) -> SiteKeys {
    SiteKeys { database: site.publisher.database.clone(), keys: site.publisher.keys.clone() }
}

/// Takes the keys of a role from the site.
fn take(site: &Site, role: KeyRole) -> anyhow::Result<Vec<SigningKey>> {
    let keys = site.publisher.keys.signers(role)?;
    keys.iter().try_for_each(|key| site.publisher.keys.remove(role, &key.key_id()))?;
    Ok(keys)
}

fn names<'a>(index: &'a Index, folder: &str) -> Vec<&'a str> {
    index.targets.iter().map(|target| &*target.name).filter(|name| name.starts_with(folder)).collect()
}

async fn pending(database: &Database) -> anyhow::Result<Vec<(String, String)>> {
    let pending = database.pending_metadata().await?;
    Ok(pending.into_iter().map(|PendingMetadata { role, reason, .. }| (role, reason)).collect())
}

/// A site with two versions of a plugin, the first of which is published; the plugins' keys are taken from it, and the
/// second version is to count.
async fn site_without_plugins_key(database: &Database) -> anyhow::Result<(Site, Vec<SigningKey>)> {
    plugin(database, "check", &["1.0.0", "1.1.0"]).await?;
    let site = Site::new(database).await?;
    ensure!(names(&site.publish_as_it_is().await?, "plugins/") == ["plugins/check/1.0.0"]);
    let taken = take(&site, KeyRole::Plugins)?;
    promote(database, "check", "1.1.0").await?;
    Ok((site, taken))
}

async fn what_the_publisher_has_to_sign_elsewhere_waits_and_is_not_assigned(database: Database) -> anyhow::Result<()> {
    let (site, _) = site_without_plugins_key(&database).await?;
    let before = site.current().await?;
    let index = site.publish_as_it_is().await?;
    ensure!(names(&index, "plugins/") == ["plugins/check/1.0.0"]);
    ensure!(site.current().await? == before, "nothing that is signed is new");
    let waits = database.pending_metadata().await?;
    ensure!(pending(&database).await? == [("plugins".to_owned(), "publishes plugins/check/1.1.0".to_owned())]);
    let assigned = |publication: &farrier::database::Publication| {
        publication.content.plugins.iter().map(|plugin| plugin.version.to_string()).collect::<Vec<_>>()
    };
    ensure!(assigned(&before) == ["1.0.0"]);

    // Everything else goes on.
    let suite = plant::suite(&database, "bookworm").await?;
    import(&database, suite, Follow::Always, vec![update("bash", "1", &[("bash", "amd64", "1")])]).await?;
    let index = site.publish_as_it_is().await?;
    let after = site.current().await?;
    ensure!(names(&index, "catalogs/") == ["catalogs/bookworm/amd64"]);
    ensure!(changed_roles(&before, &after) == ["catalogs", "snapshot", "timestamp"]);
    ensure!(assigned(&after) == ["1.0.0"] && after.content.catalogs.len() == 1);
    ensure!(database.pending_metadata().await? == waits, "the same goes on waiting");
    Ok(())
}

async fn what_is_signed_elsewhere_is_published(database: Database) -> anyhow::Result<()> {
    let (site, taken) = site_without_plugins_key(&database).await?;
    site.publish_as_it_is().await?;
    let files: Vec<_> = taken.into_iter().map(|key| PrivateKeyFile { role: Some(KeyRole::Plugins), key }).collect();
    let signatures = keys(&site).request().await?.sign(&files)?;
    let applied = keys(&site).apply(&[signatures]).await?;
    ensure!(applied.refused.is_empty() && applied.taken == 1, "{applied:?}");
    let index = site.publish_as_it_is().await?;
    ensure!(names(&index, "plugins/") == ["plugins/check/1.0.0", "plugins/check/1.1.0"]);
    ensure!(site.current().await?.content.plugins.len() == 2);
    ensure!(pending(&database).await?.is_empty());
    let settled = site.current().await?;
    site.publish_as_it_is().await?;
    ensure!(site.current().await? == settled);
    Ok(())
}

async fn what_nobody_wishes_any_more_waits_no_longer(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0", "1.1.0", "1.2.0"]).await?;
    promote(&database, "check", "1.1.0").await?;
    let site = Site::new(&database).await?;
    let index = site.publish_as_it_is().await?;
    let taken = take(&site, KeyRole::Plugins)?;
    let everybody = farrier::database::ALL_CLIENTS;
    let trial = farrier::database::Trial::Shadow;
    let plugins = plant_plugins::site(&database);
    plugins.try_version(("check", "1.2.0"), trial, everybody, "alice", plant::NOW).await?;
    site.publish_as_it_is().await?;
    ensure!(pending(&database).await?.len() == 1);
    plugins.end_trial("check", trial, "alice", plant::NOW).await?;
    ensure!(site.publish_as_it_is().await? == index);
    ensure!(pending(&database).await?.is_empty(), "what is signed is what is wished for");

    plugins.try_version(("check", "1.2.0"), trial, everybody, "alice", plant::NOW).await?;
    site.publish_as_it_is().await?;
    ensure!(pending(&database).await?.len() == 1);
    for key in taken {
        site.publisher.keys.add(KeyRole::Plugins, key)?;
    }
    ensure!(names(&site.publish_as_it_is().await?, "plugins/").len() == 3);
    ensure!(pending(&database).await?.is_empty(), "the site could sign it itself");
    Ok(())
}

async fn a_role_that_expires_without_its_keys_stops_no_other(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    site.publish_as_it_is().await?;
    take(&site, KeyRole::Plugins)?;
    site.publish_at(now() + 200 * DAY).await?;
    ensure!(pending(&database).await?.is_empty(), "half of its time is no reason to bring a key");
    site.publish_at(now() + 310 * DAY).await?;
    let waits = pending(&database).await?;
    ensure!(waits.len() == 1 && waits[0].1.contains("before it expires"), "{waits:?}");
    let late = now() + 370 * DAY;
    site.publisher.publish_at(late).await?;
    let error = site.follow(late).await.err().context("expired metadata was taken")?;
    ensure!(error.to_string().contains("plugins expired"), "{error:#}");
    let mut client = site.client.lock().await;
    for path in ["catalogs/no/such", "policies/such", "native/no/such"] {
        ensure!(client.find(path, late).await?.is_none(), "{path}");
    }
    Ok(())
}

async fn rotate(site: &Site, role: KeyRole) -> anyhow::Result<()> {
    let key = site.publisher.keys.make(role)?;
    let rotation = Rotation { role, new: vec![key.public()], dropped: Dropped::All, threshold: None };
    let outcome = keys(site).rotate(&rotation, now()).await?;
    ensure!(outcome.waiting.is_empty() && !outcome.in_force.is_empty(), "{outcome:?}");
    Ok(())
}

async fn a_root_with_other_keys_appears_together_with_what_they_sign(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    let first = site.publish_as_it_is().await?;
    for (version, role, changed) in [
        (2, KeyRole::Timestamp, &["root", "timestamp"][..]),
        (3, KeyRole::Snapshot, &["root", "snapshot", "timestamp"]),
        (4, KeyRole::Root, &["root", "timestamp"]),
        (5, KeyRole::Targets, &["root", "snapshot", "targets", "timestamp"]),
    ] {
        let before = site.current().await?;
        rotate(&site, role).await?;
        site.follow(now()).await?;
        ensure!(site.client.lock().await.client.root_version() == version - 1, "it is not there before it can be used");
        let index = site.publish_as_it_is().await?;
        ensure!(site.client.lock().await.client.root_version() == version);
        ensure!(changed_roles(&before, &site.current().await?) == changed, "{role}");
        ensure!(index.targets == first.targets);
        let after = site.current().await?;
        ensure!(after.content_version == before.content_version, "clients are assigned the same");
    }
    Ok(())
}

async fn other_keys_of_catalogs_and_policies_sign_them_again(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    import(&database, suite, Follow::Always, vec![update("bash", "1", &[("bash", "amd64", "1")])]).await?;
    let site = Site::new(&database).await?;
    let (first, before) = (site.publish_as_it_is().await?, site.current().await?);
    rotate(&site, KeyRole::Policy).await?;
    ensure!(site.publish_as_it_is().await?.targets == first.targets);
    let changed = changed_roles(&before, &site.current().await?);
    ensure!(changed == ["catalogs", "policies", "snapshot", "targets", "timestamp"], "{changed:?}");
    Ok(())
}

async fn publishers_at_the_same_time_make_one_repository(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let site = Site::new(&database).await?;
    let others = [site.beside().await?, site.beside().await?];
    for number in 0..4 {
        let version = number.to_string();
        import(&database, suite, Follow::Always, vec![update("bash", &version, &[("bash", "amd64", &version)])])
            .await?;
        let (a, b, c) =
            tokio::join!(site.publisher.publish(), others[0].publisher.publish(), others[1].publisher.publish());
        a.and(b).and(c)?;
        let index = site.follow(now()).await?;
        let rules = site.rules(&index, "catalogs/bookworm/amd64")?;
        ensure!(rules.keys().eq([&format!("bookworm/bash/{version}")]), "{rules:?}");
        let settled = site.current().await?;
        site.publisher.publish().await?;
        ensure!(site.current().await? == settled);
    }
    Ok(())
}

async fn what_cannot_be_published_does_not_let_the_rest_expire(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    site.publish_as_it_is().await?;
    sqlx::query("ALTER TABLE suites RENAME TO gone").execute(database.pool()).await?;
    let later = now() + 10 * DAY;
    ensure!(site.publisher.publish_at(later).await.is_err());
    let index = site.follow(later).await?;
    ensure!(names(&index, "plugins/").len() == 1, "what was published is signed anew");
    Ok(())
}

async fn old_metadata_goes_and_roots_stay(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let site = Site::new(&database).await?;
    for number in 0..4 {
        let version = number.to_string();
        import(&database, suite, Follow::Always, vec![update("bash", &version, &[("bash", "amd64", &version)])])
            .await?;
        rotate(&site, KeyRole::Timestamp).await?;
        site.publish_as_it_is().await?;
    }
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT role, COUNT(*) FROM metadata GROUP BY role ORDER BY role")
        .fetch_all(database.pool())
        .await?;
    let expected = [
        ("catalogs", 2),
        ("native", 1),
        ("plugins", 1),
        ("policies", 1),
        ("root", 5),
        ("snapshot", 2),
        ("targets", 1),
        ("timestamp", 2),
    ];
    ensure!(rows == expected.map(|(role, count)| (role.to_owned(), count)), "{rows:?}");
    Ok(())
}

/// A client that needs artefacts for this engine.
async fn lite_client(database: &Database, number: u8, engine: &str) -> anyhow::Result<ClientId> {
    let client = plant::client(database, number).await?;
    database.note_contact_details(client, Some(engine), None, None, now()).await?;
    Ok(client)
}

async fn artefacts(database: &Database) -> anyhow::Result<Vec<NativeArtefact>> {
    Ok(database.native_artefacts().await?)
}

async fn plugins_are_compiled_once_for_the_engines_of_clients(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    ensure!(names(&site.publish_as_it_is().await?, "native/").is_empty());
    let client = lite_client(&database, 1, &EngineId::Pulley64.to_string()).await?;
    lite_client(&database, 2, "../wasmtime-1.0.0").await?;
    let index = site.publish_as_it_is().await?;
    let plugin = index.targets.iter().find(|target| target.name == "plugins/check/1.0.0").context("no plugin")?;
    let native = names(&index, "native/");
    ensure!(native == [EngineId::Pulley64.target(&plugin.digest)], "{native:?}");
    let artefact = index.targets.iter().find(|target| target.name == native[0]).context("no artefact")?;
    let target = site.client.lock().await.client.target(native[0]).context("it is not found")?;
    ensure!(target.role == "native");
    let bytes = site.client.lock().await.download(&target, false).await?;
    ensure!(bytes.len() as u64 == artefact.length && !bytes.is_empty());

    let compiled = artefacts(&database).await?;
    ensure!(site.publish_as_it_is().await? == index && artefacts(&database).await? == compiled, "once is enough");
    std::fs::remove_file(site.publisher.repository.path(&artefact.digest))?;
    let again = site.publish_as_it_is().await?;
    ensure!(again.targets == index.targets, "what was lost is compiled again, to the same bytes");

    database.note_contact_details(client, None, None, None, now()).await?;
    let index = site.publish_as_it_is().await?;
    ensure!(names(&index, "native/").is_empty() && artefacts(&database).await?.is_empty());
    Ok(())
}

async fn an_agent_of_another_version_keeps_what_was_compiled_for_it(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    lite_client(&database, 1, &EngineId::Pulley64.to_string()).await?;
    site.publish_as_it_is().await?;
    let older = "wasmtime-1.0.0/pulley64/settings-1";
    let compiled = artefacts(&database).await?.remove(0);
    database.record_native_artefact(&NativeArtefact { engine: older.to_owned(), ..compiled.clone() }).await?;
    lite_client(&database, 2, older).await?;
    let index = site.publish_as_it_is().await?;
    let kept = format!("native/wasmtime-1.0.0-pulley64-settings-1/{}", compiled.component);
    ensure!(names(&index, "native/").contains(&kept.as_str()), "{:?}", names(&index, "native/"));
    Ok(())
}

async fn what_cannot_be_compiled_harms_nothing_else(database: Database) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0"]).await?;
    let site = Site::new(&database).await?;
    lite_client(&database, 1, &EngineId::Pulley32.to_string()).await?;
    let index = site.publish_as_it_is().await?;
    ensure!(names(&index, "native/").len() == 1);
    let failed: Vec<_> = artefacts(&database)
        .await?
        .into_iter()
        .map(|artefact| NativeArtefact { outcome: Err("the compiler refused it".to_owned()), ..artefact })
        .collect();
    database.record_native_artefact(&failed[0]).await?;
    let index = site.publish_as_it_is().await?;
    ensure!(names(&index, "native/").is_empty() && names(&index, "plugins/").len() == 1);
    ensure!(artefacts(&database).await? == failed, "it is not tried again at once");
    ensure!(names(&site.publish_at(now() + DAY).await?, "native/").len() == 1, "but tomorrow");
    Ok(())
}
