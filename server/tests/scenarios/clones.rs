//! Several devices with one identity, and what clients say of their devices.

use super::plant::{NOW, client, number};
use anyhow::{Context as _, ensure};
use farrier::database::views::ClientGroup;
use farrier::database::{CloneEvidence, Cloned, Database, TokenFor, TokenTerms, now};
use farrier_protocol::{ClientId, Digest};
use std::time::Duration;
use tokio::time::timeout;

scenarios![
    a_machine_that_restarts_is_one_device,
    a_boot_that_comes_back_is_of_another_device,
    hardware_that_changes_to_and_fro_is_of_several_devices,
    more_clones_than_boots_are_remembered_are_noticed,
    what_a_device_does_not_say_proves_nothing,
    a_dismissed_clone_is_noticed_anew,
    enrolling_again_ends_the_doubt,
    what_is_known_is_not_written_again,
    engines_of_clients_that_are_here_are_in_use,
];

const HOUR: i64 = 3_600;

async fn poll(database: &Database, client: ClientId, boot: u8, at: i64) -> anyhow::Result<()> {
    database.note_contact_details(client, None, Some([boot; 16]), None, at).await?;
    Ok(())
}

async fn cloned(database: &Database, client: ClientId) -> anyhow::Result<Option<Cloned>> {
    Ok(database.client_detail(client).await?.context("no client")?.row.identity.cloned)
}

async fn a_machine_that_restarts_is_one_device(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    for hour in 0..40_u8 {
        poll(&database, client, hour / 2, NOW + i64::from(hour) * HOUR).await?;
    }
    ensure!(cloned(&database, client).await?.is_none());
    ensure!(number(&database, "SELECT COUNT(*) FROM client_boots").await? == 8, "no more are kept");
    Ok(())
}

async fn a_boot_that_comes_back_is_of_another_device(database: Database) -> anyhow::Result<()> {
    let (client, other) = (client(&database, 1).await?, client(&database, 2).await?);
    for (boot, minute) in [(1, 0), (2, 15)] {
        poll(&database, client, boot, NOW + minute * 60).await?;
        poll(&database, other, boot, NOW).await?;
    }
    ensure!(cloned(&database, client).await?.is_none(), "it may have restarted");
    poll(&database, client, 1, NOW + HOUR).await?;
    let noticed = |seen_at| Some(Cloned { evidence: CloneEvidence::BootCameBack, since: NOW + HOUR, seen_at });
    ensure!(cloned(&database, client).await? == noticed(NOW + HOUR));
    poll(&database, client, 1, NOW + 2 * HOUR).await?;
    ensure!(cloned(&database, client).await? == noticed(NOW + HOUR), "nobody else was here");
    poll(&database, client, 2, NOW + 3 * HOUR).await?;
    ensure!(cloned(&database, client).await? == noticed(NOW + 3 * HOUR));
    ensure!(cloned(&database, other).await?.is_none());
    let in_doubt = database.all_client_rows(Some(ClientGroup::InDoubt)).await?;
    ensure!(in_doubt.len() == 1 && in_doubt[0].id == client && in_doubt[0].identity.is_in_doubt());
    ensure!(database.overview(NOW).await?.clients.in_doubt == 1);
    Ok(())
}

async fn hardware_that_changes_to_and_fro_is_of_several_devices(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    for (hardware, expected) in [(1, false), (2, false), (3, false), (3, false), (2, true)] {
        let hardware = Some(Digest([hardware; 32]));
        database.note_contact_details(client, None, None, hardware, NOW).await?;
        let evidence = cloned(&database, client).await?.map(|cloned| cloned.evidence);
        ensure!(evidence == expected.then_some(CloneEvidence::HardwareChangedBack), "{hardware:?}: {evidence:?}");
    }
    Ok(())
}

async fn more_clones_than_boots_are_remembered_are_noticed(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    // A room of machines that were imaged together and poll every 15 minutes, always in the same order.
    for machine in 0..30_u8 {
        poll(&database, client, machine, NOW + i64::from(machine) * 30).await?;
    }
    ensure!(cloned(&database, client).await?.context("not noticed")?.evidence == CloneEvidence::TooManyBoots);
    Ok(())
}

async fn what_a_device_does_not_say_proves_nothing(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    let hardware = Some(Digest([1; 32]));
    for (boot, hardware) in [(Some([1; 16]), hardware), (None, None), (Some([1; 16]), None), (None, hardware)] {
        database.note_contact_details(client, None, boot, hardware, NOW).await?;
    }
    ensure!(cloned(&database, client).await?.is_none());
    ensure!(database.only_client_with(&Digest([1; 32])).await? == Some(client));
    database.note_contact_details(ClientId([9; 16]), None, Some([1; 16]), hardware, NOW).await?;
    Ok(())
}

async fn a_dismissed_clone_is_noticed_anew(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    ensure!(!database.dismiss_clone(client).await?);
    for boot in [1, 2, 1] {
        poll(&database, client, boot, NOW).await?;
    }
    ensure!(database.dismiss_clone(client).await? && cloned(&database, client).await?.is_none());
    poll(&database, client, 2, NOW).await?;
    ensure!(cloned(&database, client).await?.is_none(), "the one that stays may have been here before");
    for boot in [1, 2] {
        poll(&database, client, boot, NOW).await?;
    }
    ensure!(cloned(&database, client).await?.is_some());
    Ok(())
}

async fn enrolling_again_ends_the_doubt(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    for boot in [1, 2, 1] {
        poll(&database, client, boot, NOW).await?;
    }
    let secret = Digest([7; 32]);
    let terms = TokenTerms { whom: TokenFor::Client(client), root: None };
    database.create_token_for(&terms, &secret, NOW, NOW + 60).await?;
    let again = super::plant::enrollment(client, "host-1");
    let again = farrier::database::Enrollment { takes_over: true, ..again };
    ensure!(database.enroll_client(&secret, &again, NOW).await?.is_some());
    ensure!(cloned(&database, client).await?.is_none());
    poll(&database, client, 2, NOW).await?;
    ensure!(cloned(&database, client).await?.is_none());
    Ok(())
}

async fn what_is_known_is_not_written_again(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    let (boot, hardware) = (Some([1; 16]), Some(Digest([1; 32])));
    database.note_contact_details(client, Some("lite"), boot, hardware, NOW).await?;
    // Whoever wrote now would have to wait for this transaction.
    let mut writing = database.pool().begin().await?;
    sqlx::query("UPDATE clients SET hostname = 'locked'").execute(&mut *writing).await?;
    let noted = database.note_contact_details(client, Some("lite"), boot, hardware, NOW + HOUR);
    timeout(Duration::from_secs(10), noted).await.context("it waits for a writer")??;
    writing.rollback().await?;
    Ok(())
}

async fn engines_of_clients_that_are_here_are_in_use(database: Database) -> anyhow::Result<()> {
    for (number, engine) in [(1, "pulley64"), (2, "native"), (3, "pulley64"), (4, "a\0b"), (5, "gone"), (6, "revoked")]
    {
        let client = client(&database, number).await?;
        super::plant::contact(&database, client, now()).await?;
        database.note_contact_details(client, Some(engine), None, None, NOW).await?;
    }
    let full = client(&database, 7).await?;
    database.note_contact_details(full, None, None, None, NOW).await?;
    super::plant::contact(&database, ClientId([5; 16]), now() - 31 * 24 * HOUR).await?;
    ensure!(database.revoke_client(ClientId([6; 16]), "stolen", NOW).await?);
    let engines = database.engines_in_use().await?;
    ensure!(engines == ["pulley64", "a\u{FFFD}b", "native"], "{engines:?}");
    database.note_contact_details(ClientId([2; 16]), None, None, None, NOW).await?;
    ensure!(database.engines_in_use().await?.len() == 2, "it has the full agent now");
    Ok(())
}
