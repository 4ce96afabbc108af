//! Content: what is wanted, what is kept, and what is forgotten.

use super::plant::{NOW, client, number, updates};
use anyhow::{Context as _, ensure};
use farrier::content::{Asked, ContentStore, Mirroring, ask};
use farrier::database::{ContentState, Database};
use farrier::deployment::settings::{ContentSource, DeploymentSettings};
use farrier_protocol::{ClientId, Digest};

scenarios![
    what_clients_need_of_a_deployment_is_wanted,
    a_deployment_without_the_distribution_point_is_not_mirrored,
    what_a_client_asks_for_is_wanted_if_it_is_deployed,
    an_earlier_version_belongs_to_a_deployment_that_rolls_back,
    a_failed_download_is_tried_again_after_ever_longer_waits,
    what_nobody_deploys_is_forgotten_after_a_day,
];

const DAY: i64 = 24 * 3_600;

/// A deployment of these updates to everybody, straight into the tables.
async fn deploy(database: &Database, sources: &[&str], settings: &DeploymentSettings) -> anyhow::Result<i64> {
    let pool = database.pool();
    let group: i64 =
        sqlx::query_scalar("INSERT INTO update_groups (name, description, created_at) VALUES ($1, '', 0) RETURNING id")
            .bind(sources.join(" "))
            .fetch_one(pool)
            .await?;
    for source in sources {
        sqlx::query(
            "INSERT INTO update_group_updates (update_group_id, software_update_id) \
             SELECT $1, id FROM software_updates WHERE source = $2",
        )
        .bind(group)
        .bind((*source).to_owned())
        .execute(pool)
        .await?;
    }
    let deployment: i64 = sqlx::query_scalar(
        "INSERT INTO deployments (deployment_id, name, update_group_id, collection_id, settings, status, status_reason, \
         status_at, created_at) VALUES ($1, 'd', $2, 1, $3, 0, '', 0, 0) RETURNING id",
    )
    .bind(group.to_be_bytes().to_vec())
    .bind(group)
    .bind(serde_json::to_string(settings)?)
    .fetch_one(pool)
    .await?;
    sqlx::query(
        "INSERT INTO deployment_clients (deployment_id, client_id, bucket, phase, changed_at) \
         SELECT $1, id, 0, 0, 0 FROM clients",
    )
    .bind(deployment)
    .execute(pool)
    .await?;
    Ok(deployment)
}

/// A client requires the one package of these updates.
async fn require(database: &Database, number: u8, sources: &[&str]) -> anyhow::Result<()> {
    sqlx::query("UPDATE clients SET machine = 'x86_64' WHERE client_id = $1")
        .bind(ClientId([number; 16]).0.to_vec())
        .execute(database.pool())
        .await?;
    for source in sources {
        for sql in [
            "INSERT INTO compliance_states (client_id, software_update_id, state, changed_at) \
             SELECT c.id, u.id, 2, 0 FROM clients c, software_updates u WHERE c.client_id = $1 AND u.source = $2",
            "INSERT INTO findings (client_id, software_update_id, subject, state, detail) \
             SELECT c.id, u.id, u.source, 2, '' FROM clients c, software_updates u \
             WHERE c.client_id = $1 AND u.source = $2",
        ] {
            let query = sqlx::query(sql).bind(ClientId([number; 16]).0.to_vec()).bind((*source).to_owned());
            query.execute(database.pool()).await?;
        }
    }
    Ok(())
}

fn mirroring(database: &Database, folder: &tempfile::TempDir) -> anyhow::Result<Mirroring> {
    Ok(Mirroring::new(database.clone(), ContentStore::in_folder(folder.path())?, &[]))
}

async fn wanted(database: &Database) -> anyhow::Result<Vec<Digest>> {
    let contents = database.contents_to_download(i64::MAX, 1_000).await?;
    let mut digests: Vec<_> = contents.iter().map(|content| content.digest).collect();
    digests.sort_unstable();
    Ok(digests)
}

fn sorted(sources: &[&str]) -> Vec<Digest> {
    let mut digests: Vec<_> = sources.iter().map(|source| Digest::of(source.as_bytes())).collect();
    digests.sort_unstable();
    digests
}

async fn what_clients_need_of_a_deployment_is_wanted(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    updates(&database, &["openssl", "curl", "bash", "zlib"]).await?;
    client(&database, 1).await?;
    client(&database, 2).await?;
    require(&database, 1, &["openssl", "bash"]).await?;
    require(&database, 2, &["openssl", "curl", "zlib"]).await?;
    deploy(&database, &["openssl", "curl", "bash"], &DeploymentSettings::default()).await?;
    sqlx::query("DELETE FROM deployment_clients WHERE client_id = (SELECT MAX(id) FROM clients)")
        .execute(database.pool())
        .await?;
    let mut mirroring = mirroring(&database, &folder)?;
    mirroring.want_what_clients_need(NOW).await?;
    ensure!(wanted(&database).await? == sorted(&["openssl", "bash"]), "what only others need is not wanted");
    // Another one becomes a client of the deployment: it is looked at again some time later.
    sqlx::query(
        "INSERT INTO deployment_clients (deployment_id, client_id, bucket, phase, changed_at) \
                 SELECT d.id, MAX(c.id), 0, 0, 0 FROM deployments d, clients c GROUP BY d.id",
    )
    .execute(database.pool())
    .await?;
    mirroring.want_what_clients_need(NOW + 60).await?;
    ensure!(wanted(&database).await?.len() == 2);
    mirroring.want_what_clients_need(NOW + 3_600).await?;
    ensure!(wanted(&database).await? == sorted(&["openssl", "bash", "curl"]));
    let figures = database.content_figures().await?;
    ensure!((figures.wanted, figures.wanted_bytes, figures.stored) == (3, 21, 0), "{figures:?}");
    Ok(())
}

async fn a_deployment_without_the_distribution_point_is_not_mirrored(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    updates(&database, &["openssl"]).await?;
    client(&database, 1).await?;
    require(&database, 1, &["openssl"]).await?;
    let settings = DeploymentSettings { sources: vec![ContentSource::Upstream], ..DeploymentSettings::default() };
    deploy(&database, &["openssl"], &settings).await?;
    mirroring(&database, &folder)?.want_what_clients_need(NOW).await?;
    ensure!(wanted(&database).await?.is_empty());
    Ok(())
}

async fn what_a_client_asks_for_is_wanted_if_it_is_deployed(database: Database) -> anyhow::Result<()> {
    updates(&database, &["openssl", "curl"]).await?;
    deploy(&database, &["openssl"], &DeploymentSettings::default()).await?;
    let (deployed, not_deployed) = (Digest::of(b"openssl"), Digest::of(b"curl"));
    for stranger in [not_deployed, Digest::of(b"nothing at all")] {
        ensure!(ask(&database, &stranger, NOW).await? == Asked::Never);
    }
    ensure!(matches!(ask(&database, &deployed, NOW).await?, Asked::Later { reason: None, .. }));
    ensure!(wanted(&database).await? == [deployed], "a stranger's wish is no demand");
    database.mark_content_stored(&deployed, NOW).await?;
    ensure!(ask(&database, &deployed, NOW).await? == Asked::Here(7));
    database.mark_content_lost(&deployed, NOW).await?;
    ensure!(matches!(ask(&database, &deployed, NOW).await?, Asked::Later { reason: None, .. }));
    // A cancelled deployment is none.
    database.forget_content(&deployed).await?;
    sqlx::query("UPDATE deployments SET status = 2").execute(database.pool()).await?;
    ensure!(ask(&database, &deployed, NOW).await? == Asked::Never);
    Ok(())
}

async fn an_earlier_version_belongs_to_a_deployment_that_rolls_back(database: Database) -> anyhow::Result<()> {
    updates(&database, &["openssl"]).await?;
    let earlier = Digest::of(b"an earlier openssl");
    sqlx::query(
        "INSERT INTO software_updates (update_id, suite_id, name, source, version, summary, classification, priority, \
         content, first_seen_at, changed_at) SELECT $1, suite_id, 'bookworm/openssl/1.1', 'openssl-earlier', '1.1', \
         '', 0, 0, content, 0, 0 FROM software_updates",
    )
    .bind(vec![7; 16])
    .execute(database.pool())
    .await?;
    sqlx::query(
        "INSERT INTO packages (software_update_id, name, architecture, version, file, size, sha256) \
         SELECT id, 'openssl', 'amd64', '1.1', 'pool/openssl_1.1.deb', 5, $1 FROM software_updates \
         WHERE source = 'openssl-earlier'",
    )
    .bind(earlier.0.to_vec())
    .execute(database.pool())
    .await?;
    deploy(&database, &["openssl"], &DeploymentSettings::default()).await?;
    ensure!(ask(&database, &earlier, NOW).await? == Asked::Never);
    let settings = serde_json::to_string(&DeploymentSettings { roll_back: true, ..DeploymentSettings::default() })?;
    sqlx::query("UPDATE deployments SET settings = $1").bind(settings).execute(database.pool()).await?;
    ensure!(matches!(ask(&database, &earlier, NOW).await?, Asked::Later { .. }));
    Ok(())
}

async fn a_failed_download_is_tried_again_after_ever_longer_waits(database: Database) -> anyhow::Result<()> {
    updates(&database, &["openssl"]).await?;
    deploy(&database, &["openssl"], &DeploymentSettings::default()).await?;
    let digest = Digest::of(b"openssl");
    ask(&database, &digest, NOW).await?;
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..12 {
        ensure!(database.contents_to_download(now, 10).await?.len() == 1);
        database.mark_content_failed(&digest, "the mirror\0 is down", now).await?;
        ensure!(database.contents_to_download(now, 10).await?.is_empty());
        let Asked::Later { after_seconds, reason } = ask(&database, &digest, now).await? else {
            anyhow::bail!("it is not here")
        };
        ensure!(reason.as_deref() == Some("the mirror\u{FFFD} is down") && after_seconds <= 3_600);
        let retry_at =
            database.content(&digest).await?.context("it is known")?.retry_at.context("it is tried again")?;
        waits.push(retry_at - now);
        now = retry_at;
    }
    ensure!(waits[..4] == [60, 120, 240, 480] && waits[11] == 6 * 3_600, "{waits:?}");
    database.mark_content_stored(&digest, now).await?;
    let content = database.content(&digest).await?.context("it is known")?;
    ensure!(content.state == ContentState::Stored && content.error.is_none() && content.retry_at.is_none());
    Ok(())
}

async fn what_nobody_deploys_is_forgotten_after_a_day(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    updates(&database, &["openssl", "curl"]).await?;
    deploy(&database, &["openssl"], &DeploymentSettings::default()).await?;
    deploy(&database, &["curl"], &DeploymentSettings::default()).await?;
    let (openssl, curl) = (Digest::of(b"openssl"), Digest::of(b"curl"));
    let store = ContentStore::in_folder(folder.path())?;
    for digest in [openssl, curl] {
        ask(&database, &digest, NOW).await?;
        let mut file = tempfile::tempfile()?;
        std::io::Write::write_all(&mut file, b"content")?;
        std::io::Seek::rewind(&mut file)?;
        store.put(&digest, file).await?;
        database.mark_content_stored(&digest, NOW).await?;
    }
    let mirroring = mirroring(&database, &folder)?;
    sqlx::query("UPDATE deployments SET status = 2 WHERE id = (SELECT MIN(id) FROM deployments)")
        .execute(database.pool())
        .await?;
    ensure!(mirroring.remove_what_nobody_deploys(NOW + DAY - 1).await? == 0, "it may be deployed again");
    ensure!(mirroring.remove_what_nobody_deploys(NOW + DAY + 1).await? == 1);
    ensure!(store.length(&openssl).await?.is_none() && store.length(&curl).await? == Some(7));
    ensure!(number(&database, "SELECT COUNT(*) FROM contents").await? == 1);
    Ok(())
}
