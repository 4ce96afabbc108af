//! Clients.

use super::plant::{NOW, certificate, client, contact, enrollment, number};
use anyhow::ensure;
use farrier::database::Database;
use farrier_protocol::enrollment::Exclusion;
use farrier_protocol::{ClientId, Digest};

scenarios![
    a_contact_of_a_client_is_noted_by_the_minute,
    a_contact_of_a_stranger_is_told_apart,
    a_hostname_with_a_nul_is_no_obstacle,
];

const LAST_CONTACT: &str = "SELECT last_contact_at FROM clients";

async fn a_contact_of_a_client_is_noted_by_the_minute(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    for (now, noted) in [(NOW + 59, NOW), (NOW + 60, NOW + 60), (NOW + 61, NOW + 60), (NOW - 3600, NOW - 3600)] {
        contact(&database, client, now).await?;
        ensure!(number(&database, LAST_CONTACT).await? == noted, "after a contact at {now}");
    }
    Ok(())
}

async fn a_contact_of_a_stranger_is_told_apart(database: Database) -> anyhow::Result<()> {
    client(&database, 1).await?;
    let stranger = ClientId([2; 16]);
    let kept_out = database.admit_client(stranger, &certificate(stranger).digest, NOW + 600).await?;
    ensure!(kept_out.is_err_and(|kept_out| kept_out.exclusion == Exclusion::Unknown));
    ensure!(number(&database, LAST_CONTACT).await? == NOW);
    Ok(())
}

async fn a_hostname_with_a_nul_is_no_obstacle(database: Database) -> anyhow::Result<()> {
    let secret = Digest::of(b"secret");
    database.create_token(&secret, NOW, NOW + 60).await?;
    ensure!(database.enroll_client(&secret, &enrollment(ClientId([1; 16]), "a\0b"), NOW).await?.is_some());
    let hostname: String = sqlx::query_scalar("SELECT hostname FROM clients").fetch_one(database.pool()).await?;
    ensure!(hostname == "a\u{FFFD}b");
    Ok(())
}
