//! What clients say of deployments, and what is shown of it.

use super::plant::{self, NOW, number};
use super::plant_deployments::{ID, clients, detail, everybody, pass, said, say, site, why};
use anyhow::{Context as _, ensure};
use farrier::database::Database;
use farrier::database::views::{ClientProgress, DeploymentClientFilter, EnforcementCounts};
use farrier_protocol::UpdateId;
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::{Facts, StateMessage, bounded};

scenarios![
    the_least_done_update_is_how_far_a_client_is,
    a_client_that_starts_anew_is_silent_again,
    what_is_said_of_a_stranger_is_passed_over,
    the_course_of_a_deployment_is_kept,
    every_client_has_a_row_in_the_table,
    facts_describe_the_client,
];

async fn the_least_done_update_is_how_far_a_client_is(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl", "zlib"]).await?;
    let client = clients(&database, 1).await?[0];
    site(&database).create(&everybody(&updates), NOW).await?;
    for (stream, (states, expected)) in (1..).zip([
        (vec![State::Succeeded, State::Succeeded], State::Succeeded),
        (vec![State::Succeeded, State::Superseded], State::Succeeded),
        (vec![State::Superseded, State::Superseded], State::Superseded),
        (vec![State::Succeeded, State::Cancelled], State::Cancelled),
        (vec![State::Succeeded, State::Waiting], State::Waiting),
        (vec![State::Waiting, State::WaitingForWindow, State::Downloading], State::Downloading),
        (vec![State::Installing, State::PendingRestart, State::Verifying], State::Installing),
        (vec![State::Installing, State::RolledBack, State::Failed], State::Failed),
    ]) {
        let messages = updates.iter().zip(&states).map(|(update, state)| said(*update, *state, ""));
        say(&database, client, stream, messages).await?;
        let row = database.deployment_client(ID, client, NOW).await?.context("no client")?;
        ensure!(row.row.state == ClientProgress::In(expected), "{states:?}: {}", row.row.state);
        ensure!(row.updates.len() == states.len() && row.updates[0].state == expected);
    }
    Ok(())
}

async fn a_client_that_starts_anew_is_silent_again(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let client = clients(&database, 1).await?[0];
    site(&database).create(&everybody(&updates), NOW).await?;
    say(&database, client, 1, [said(updates[0], State::Succeeded, "")]).await?;
    say(&database, client, 2, []).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM deployment_states").await? == 0);
    ensure!(detail(&database).await?.row.clients.silent == 1);
    ensure!(why(&database, client).await?.starts_with("Has not reported"));
    Ok(())
}

async fn what_is_said_of_a_stranger_is_passed_over(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let client = clients(&database, 1).await?[0];
    say(&database, client, 1, [said(updates[0], State::Succeeded, ""), said(UpdateId([1; 16]), State::Failed, "")])
        .await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM deployment_states").await? == 0);
    let mut odd = said(updates[0], State::Downloading, "a\0b");
    if let StateMessage::Enforcement(odd) = &mut odd {
        (odd.since, odd.until, odd.bytes_left) = (i64::MIN, Some(i64::MAX), u64::MAX);
    }
    site(&database).create(&everybody(&updates), NOW).await?;
    say(&database, client, 2, [odd]).await?;
    ensure!(number(&database, "SELECT since FROM deployment_states").await? == 0);
    ensure!(number(&database, "SELECT bytes_left FROM deployment_states").await? == i64::MAX);
    ensure!(why(&database, client).await?.starts_with("bash 1.2-3 waits for"));
    Ok(())
}

async fn the_course_of_a_deployment_is_kept(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 3).await?;
    let id = site(&database).create(&everybody(&updates), NOW).await?;
    for (seconds, client, state) in
        [(10, 0, State::Downloading), (11, 1, State::Downloading), (20, 0, State::Succeeded), (40, 1, State::Succeeded)]
    {
        say(&database, clients[client], seconds as u64, [said(updates[0], state, "")]).await?;
        pass(&database, NOW + seconds).await?;
    }
    let points = database.deployment_history(id, None, 100).await?;
    let counted = |counts: &EnforcementCounts| (counts.silent, counts.of(State::Downloading), counts.succeeded());
    let course: Vec<_> = points.iter().map(|point| (point.at - NOW, counted(&point.clients))).collect();
    ensure!(course == [(0, (3, 0, 0)), (10, (2, 1, 0)), (20, (1, 1, 1)), (40, (1, 0, 2))], "{course:?}");
    ensure!(database.deployment_history(id, Some(1), 100).await?.is_empty());
    ensure!(database.deployment_history(id, Some(0), 2).await?.len() == 2);
    Ok(())
}

async fn every_client_has_a_row_in_the_table(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    let clients = clients(&database, 2).await?;
    let id = site(&database).create(&everybody(&updates), NOW).await?;
    let messages = [said(updates[0], State::Succeeded, ""), said(updates[1], State::Failed, "=1+1, \"no\"")];
    say(&database, clients[0], 1, messages).await?;
    let (rows, last) = database.deployment_csv(id, 0).await?;
    let lines: Vec<_> = rows.iter().map(|row| row.line()).collect();
    ensure!(lines.len() == 3, "{lines:?}");
    ensure!(lines[0].contains(",host-1,Everybody,Failed,bash 1.2-3,Succeeded,"), "{}", lines[0]);
    ensure!(lines[1].contains(",\"'=1+1, \"\"no\"\"\","), "{}", lines[1]);
    ensure!(lines[2].contains(",host-2,Everybody,Unreported,,,,,,,,"), "{}", lines[2]);
    let (rows, end) = database.deployment_csv(id, last.context("no client")?).await?;
    ensure!(rows.is_empty() && end.is_none());

    let failed = DeploymentClientFilter { state: Some(ClientProgress::In(State::Failed)), ..Default::default() };
    let page = database.deployment_clients(id, &failed, NOW).await?;
    ensure!(page.total == 1 && page.items[0].hostname == "host-1");
    let silent = DeploymentClientFilter { state: Some(ClientProgress::Silent), phase: Some(0), ..Default::default() };
    ensure!(database.deployment_clients(id, &silent, NOW).await?.items[0].hostname == "host-2");
    let of_client = database.client_deployments(clients[0], NOW).await?;
    ensure!(of_client[0].name == "Tuesday" && of_client[0].updates.len() == 2);
    Ok(())
}

async fn facts_describe_the_client(database: Database) -> anyhow::Result<()> {
    let client = clients(&database, 1).await?[0];
    let facts = |tags: &[&str]| {
        StateMessage::Facts(Box::new(Facts {
            os: bounded("debian"),
            release: bounded("book\0worm"),
            time_zone: bounded("Europe/Berlin"),
            tags: tags.iter().map(|tag| bounded(tag)).collect(),
        }))
    };
    say(&database, client, 1, [facts(&["web", "web", "kiosk"])]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM client_tags").await? == 2);
    ensure!(number(&database, "SELECT unevaluated FROM clients").await? == 1, "collections look at it anew");
    let release: String = sqlx::query_scalar("SELECT release FROM clients").fetch_one(database.pool()).await?;
    ensure!(release == "book\u{FFFD}worm");
    say(&database, client, 2, [facts(&[])]).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM client_tags").await? == 0);
    Ok(())
}
