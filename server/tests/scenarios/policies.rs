//! Policies: what is published of deployments, as an agent reads it.

use super::plant::{self, NOW};
use super::plant_deployments::{everybody, site};
use super::publications::{Index, Site, import, update};
use anyhow::{Context as _, ensure};
use farrier::database::{Database, Follow};
use farrier::deployment::schedule::When;
use farrier::deployment::settings::Purpose;
use farrier_protocol::deployment::{
    ContentEntry, ContentSource, DeployedUpdates, DeploymentPolicy, MAX_DEPLOYED_BYTES, Moment, PhaseMembers,
};
use farrier_protocol::{DeploymentId, Digest, UpdateId};
use std::collections::BTreeMap;

scenarios![
    a_policy_says_what_was_deployed,
    a_scope_holds_the_updates_of_all_its_suites,
    a_paused_deployment_stays_and_a_cancelled_one_goes,
    phases_that_open_change_no_policy,
    what_is_superseded_or_expired_drops_out,
    what_was_before_is_named_for_rolling_back,
    a_mirror_on_the_sites_own_disk_is_no_upstream,
    the_installer_is_assigned_with_its_grants,
    what_a_policy_names_is_kept,
];

const TARGET: &str = "policies/09090909090909090909090909090909";
const AMD64: &str = "debian/bookworm/amd64";

fn policy(site: &Site, index: &Index) -> anyhow::Result<DeploymentPolicy> {
    let target = index.targets.iter().find(|target| target.name == TARGET).context("there is no policy")?;
    let bytes = site.read(&target.digest)?;
    ensure!(bytes.len() as u64 == target.length && Digest::of(&bytes) == target.digest);
    Ok(farrier_protocol::decode(&bytes)?)
}

/// What is deployed, by scope.
fn scopes(site: &Site, policy: &DeploymentPolicy) -> anyhow::Result<BTreeMap<String, DeployedUpdates>> {
    let mut scopes = BTreeMap::new();
    for scope in &policy.scopes {
        let compressed = site.read(&scope.digest)?;
        ensure!(Digest::of(&compressed) == scope.digest && compressed.len() as u32 == scope.length);
        ensure!((scope.plugin.as_str(), scope.installer.as_str()) == ("dpkg", "dpkg-installer"));
        let deployed: DeployedUpdates =
            farrier_protocol::decode(&zstd::bulk::decompress(&compressed, MAX_DEPLOYED_BYTES)?)?;
        ensure!(deployed.updates.len() as u32 == scope.updates);
        scopes.insert(scope.scope.to_string(), deployed);
    }
    Ok(scopes)
}

fn labels(entries: &[ContentEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.label.as_str()).collect()
}

async fn a_policy_says_what_was_deployed(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let mut new = everybody(&updates);
    new.settings.deadline = Some(When::After { seconds: 3_600 });
    new.settings.attempts = 2;
    site(&database).create(&new, NOW).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    let policy = policy(&site, &index)?;
    ensure!((policy.deployment, &*policy.name, policy.purpose) == (new.id, "Tuesday", Purpose::Required));
    ensure!((policy.available_at, policy.deadline) == (Moment::At(NOW), Some(Moment::At(NOW + 3_600))));
    ensure!(policy.attempts == 2 && policy.phases.len() == 1);
    ensure!(policy.phases[0].members == PhaseMembers::BucketsBelow(10_000));
    ensure!(policy.sources == [ContentSource::DistributionPoint, ContentSource::Upstream]);
    let deployed = &scopes(&site, &policy)?[AMD64];
    ensure!(deployed.mirrors == ["https://mirror.example.org/debian/"]);
    let update = &deployed.updates[0];
    ensure!((update.update, update.max_run_seconds) == (updates[0], 1_800));
    let entry = &update.contents[0];
    ensure!((entry.label.as_str(), entry.length, entry.mirror) == ("bash_1.2-3_amd64.deb", 7, 0));
    ensure!(entry.path == "pool/bash.deb" && entry.digest == Digest::of(b"bash"));
    ensure!(update.previous.is_empty());
    let published = site.current().await?.deployments;
    let published = published.policy(new.id).context("it is not assigned")?;
    ensure!(published.target == TARGET);
    Ok(())
}

async fn a_scope_holds_the_updates_of_all_its_suites(database: Database) -> anyhow::Result<()> {
    let suites = plant::suites(&database, &["bookworm", "bookworm-security"]).await?;
    sqlx::query("UPDATE suites SET architectures = 'amd64 arm64'").execute(database.pool()).await?;
    let bash =
        update("bash", "5.2-1", &[("bash", "amd64", "5.2-1"), ("bash", "arm64", "5.2-1"), ("doc", "all", "5.2-1")]);
    let libc = update("glibc", "1:2.36-9", &[("libc6", "amd64", "1:2.36-9")]);
    import(&database, suites[0], Follow::Always, vec![bash]).await?;
    import(&database, suites[1], Follow::Always, vec![libc]).await?;
    sqlx::query("UPDATE software_updates SET priority = 3 WHERE source = 'glibc'").execute(database.pool()).await?;
    let updates = ["bookworm/bash/5.2-1", "bookworm-security/glibc/1:2.36-9"].map(UpdateId::of_name);
    site(&database).create(&everybody(&updates), NOW).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    let scopes = scopes(&site, &policy(&site, &index)?)?;
    ensure!(scopes.keys().eq([AMD64, "debian/bookworm/arm64"]));
    let amd64 = &scopes[AMD64].updates;
    ensure!(
        amd64.len() == 2 && labels(&amd64[0].contents) == ["libc6_1%3a2.36-9_amd64.deb"],
        "what matters most goes first"
    );
    ensure!(labels(&amd64[1].contents) == ["bash_5.2-1_amd64.deb", "doc_5.2-1_all.deb"]);
    let arm64 = &scopes["debian/bookworm/arm64"].updates;
    ensure!(arm64.len() == 1 && labels(&arm64[0].contents) == ["bash_5.2-1_arm64.deb", "doc_5.2-1_all.deb"]);
    Ok(())
}

async fn a_paused_deployment_stays_and_a_cancelled_one_goes(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let deployments = site(&database);
    let id = deployments.create(&everybody(&updates), NOW).await?;
    let site = Site::new(&database).await?;
    let active = site.publish().await?;
    deployments.pause(id, "", NOW).await?;
    ensure!(site.publish().await? == active);
    deployments.cancel(id, "", NOW).await?;
    let index = site.publish().await?;
    ensure!(index.targets.iter().all(|target| target.name != TARGET));
    ensure!(site.current().await?.deployments.policies.is_empty());
    Ok(())
}

async fn phases_that_open_change_no_policy(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let mut new = everybody(&updates);
    new.settings.available = When::After { seconds: 60 };
    site(&database).create(&new, NOW).await?;
    let site = Site::new(&database).await?;
    let index = site.publish().await?;
    super::plant_deployments::pass(&database, NOW + 60).await?;
    ensure!(super::plant_deployments::detail(&database).await?.row.open_phases == 1);
    ensure!(site.publish().await? == index);
    Ok(())
}

async fn what_is_superseded_or_expired_drops_out(database: Database) -> anyhow::Result<()> {
    let suite = plant::suite(&database, "bookworm").await?;
    let of = |source: &str, version: &str| update(source, version, &[(source, "amd64", version)]);
    import(&database, suite, Follow::Always, vec![of("bash", "1"), of("gone", "1"), of("zlib", "1")]).await?;
    let updates = ["bookworm/bash/1", "bookworm/gone/1", "bookworm/zlib/1"].map(UpdateId::of_name);
    let deployments = site(&database);
    deployments.create(&everybody(&updates), NOW).await?;
    let site = Site::new(&database).await?;
    let before = policy(&site, &site.publish().await?)?;
    ensure!(before.scopes[0].updates == 3);
    import(&database, suite, Follow::Always, vec![of("bash", "1"), of("bash", "2"), of("zlib", "1")]).await?;
    let after = policy(&site, &site.publish().await?)?;
    let names: Vec<_> = scopes(&site, &after)?[AMD64].updates.iter().map(|update| update.name.clone()).collect();
    ensure!(names == ["bookworm/zlib/1"], "{names:?}");
    let review = deployments.review(&everybody(&updates), NOW).await?;
    ensure!(review.updates == 1 && review.dropped == ["bash 1", "gone 1"], "{review:?}");
    Ok(())
}

async fn what_was_before_is_named_for_rolling_back(database: Database) -> anyhow::Result<()> {
    let suites = plant::suites(&database, &["bookworm", "bookworm-security"]).await?;
    let of = |version: &str| update("bash", version, &[("bash", "amd64", version)]);
    import(&database, suites[0], Follow::Always, vec![of("1"), of("4")]).await?;
    import(&database, suites[1], Follow::Always, vec![of("2"), of("3")]).await?;
    import(&database, suites[1], Follow::Always, vec![of("3"), of("5")]).await?;
    let mut new = everybody(&[UpdateId::of_name("bookworm-security/bash/5")]);
    new.settings.roll_back = true;
    site(&database).create(&new, NOW).await?;
    let site = Site::new(&database).await?;
    let policy = policy(&site, &site.publish().await?)?;
    let update = &scopes(&site, &policy)?[AMD64].updates[0];
    ensure!(labels(&update.contents) == ["bash_5_amd64.deb"]);
    // 2 has vanished from its upstream, and the distribution point does not have it.
    ensure!(
        labels(&update.previous) == ["bash_4_amd64.deb", "bash_3_amd64.deb", "bash_1_amd64.deb"],
        "{:?}",
        update.previous
    );
    Ok(())
}

async fn a_mirror_on_the_sites_own_disk_is_no_upstream(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    sqlx::query("UPDATE suites SET mirror = 'file:///srv/mirror'").execute(database.pool()).await?;
    let mut new = everybody(&updates);
    new.settings.sources = vec![ContentSource::Upstream];
    site(&database).create(&new, NOW).await?;
    let site = Site::new(&database).await?;
    let policy = policy(&site, &site.publish().await?)?;
    ensure!(policy.sources == [ContentSource::DistributionPoint]);
    let deployed = &scopes(&site, &policy)?[AMD64];
    ensure!(deployed.mirrors == [""] && deployed.updates[0].contents[0].mirror == 0);
    Ok(())
}

async fn the_installer_is_assigned_with_its_grants(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let site = Site::new(&database).await?;
    site.publish().await?;
    ensure!(site.current().await?.deployments.installers.is_empty(), "nothing is deployed that needs one");
    super::plant_deployments::site(&database).create(&everybody(&updates), NOW).await?;
    let index = site.publish().await?;
    let installers = site.current().await?.deployments.installers;
    ensure!(installers.len() == 1 && installers[0].name == "dpkg-installer");
    ensure!(installers[0].run.iter().any(|grant| grant.contains("/usr/bin/dpkg ")), "{:?}", installers[0].run);
    let target = index.targets.iter().find(|target| *target.name == *installers[0].target).context("no target")?;
    ensure!(target.digest == installers[0].digest && Digest::of(&site.read(&target.digest)?) == target.digest);
    Ok(())
}

async fn what_a_policy_names_is_kept(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    let deployments = site(&database);
    deployments.create(&everybody(&updates[..1]), NOW).await?;
    let site = Site::new(&database).await?;
    let first = policy(&site, &site.publish().await?)?;
    let other = farrier::deployment::NewDeployment { id: DeploymentId([8; 16]), ..everybody(&updates[1..]) };
    deployments.create(&other, NOW).await?;
    let index = site.publish().await?;
    ensure!(policy(&site, &index)? == first && scopes(&site, &first).is_ok(), "still there after the other one came");
    deployments.cancel(DeploymentId([9; 16]), "", NOW).await?;
    site.publish().await?;
    ensure!(scopes(&site, &first).is_ok(), "the publication before named it");
    for group in database.update_groups().await? {
        deployments.add_to_group(group.id, &updates, NOW).await?;
    }
    site.publish().await?;
    ensure!(scopes(&site, &first).is_err(), "nobody names it any more");
    Ok(())
}
