//! Deployments: making them, whom they concern, and what administrators do with them.

use super::plant::{self, NOW, number};
use super::plant_deployments::{
    choose, clients, collection, detail, events, everybody, pass, phased, said, say, site, standing, why,
};
use anyhow::ensure;
use farrier::database::views::DeploymentFilter;
use farrier::database::{ALL_CLIENTS, CollectionId, Database};
use farrier::deployment::settings::Members;
use farrier::deployment::{DeploymentError, NewDeployment, Selection};
use farrier_protocol::UpdateId;
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState as State;
use std::time::Instant;

scenarios![
    a_deployment_concerns_the_members_of_its_collection,
    pause_and_cancel_are_in_the_next_assignment,
    only_what_failed_is_tried_again,
    a_client_that_leaves_the_collection_leaves_the_deployment,
    what_cannot_be_is_refused_and_changes_nothing,
    a_deployment_that_is_made_twice_is_one,
    a_deployment_to_thousands_takes_few_statements,
];

async fn a_deployment_concerns_the_members_of_its_collection(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    let clients = clients(&database, 2).await?;
    let version = database.assignment_version().await?;
    site(&database).create(&everybody(&updates), NOW).await?;
    ensure!(database.assignment_version().await?.deployed > version.deployed);
    for client in &clients {
        ensure!(standing(&database, *client).await? == Standing::Open { since: NOW });
    }
    let late = plant::client(&database, 3).await?;
    ensure!(database.assigned_deployments(late).await?.is_empty());
    let version = database.assignment_version().await?.version;
    pass(&database, NOW + 60).await?;
    ensure!(standing(&database, late).await? == Standing::Open { since: NOW });
    ensure!(database.assignment_version().await?.version > version, "the late client is told something else");
    let version = database.assignment_version().await?;
    pass(&database, NOW + 120).await?;
    ensure!(database.assignment_version().await? == version, "nothing changed");

    let detail = detail(&database).await?;
    ensure!(detail.row.clients.total() == 3 && detail.row.clients.silent == 3 && detail.row.updates == 2);
    ensure!(detail.update_group_name == "Tuesday" && detail.update_rows.len() == 2);
    ensure!(events(&detail) == ["Created by the administrator.", "The deployment opened: 2 clients."]);
    let list = database.deployments(&DeploymentFilter { search: "tues".to_owned(), ..Default::default() }).await?;
    ensure!(list.items == [detail.row] && list.total == 1);
    Ok(())
}

async fn pause_and_cancel_are_in_the_next_assignment(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let client = clients(&database, 1).await?[0];
    let site = site(&database);
    let id = site.create(&everybody(&updates), NOW).await?;
    let mut version = database.assignment_version().await?.version;
    let mut has_grown = async || {
        let grown = database.assignment_version().await?.version;
        anyhow::Ok(std::mem::replace(&mut version, grown) < grown)
    };
    site.pause(id, "the printer is on fire.", NOW).await?;
    ensure!(standing(&database, client).await? == Standing::Paused && has_grown().await?);
    ensure!(why(&database, client).await? == "The deployment is paused: the printer is on fire.");
    site.pause(id, "again", NOW).await?;
    site.resume(id, NOW).await?;
    ensure!(standing(&database, client).await? == Standing::Open { since: NOW } && has_grown().await?);
    ensure!(matches!(site.delete(id, NOW).await, Err(DeploymentError::Refused(_))), "it is not cancelled");
    site.cancel(id, "", NOW).await?;
    ensure!(standing(&database, client).await? == Standing::Cancelled && has_grown().await?);
    ensure!(matches!(site.resume(id, NOW).await, Err(DeploymentError::Refused(_))));
    ensure!(matches!(site.retry(id, None, NOW).await, Err(DeploymentError::Refused(_))));
    site.delete(id, NOW).await?;
    ensure!(database.assigned_deployments(client).await?.is_empty());
    ensure!(matches!(site.pause(id, "", NOW).await, Err(DeploymentError::Unknown(_))));
    Ok(())
}

async fn only_what_failed_is_tried_again(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 3).await?;
    let site = site(&database);
    let id = site.create(&everybody(&updates), NOW).await?;
    say(&database, clients[0], 1, [said(updates[0], State::Failed, "")]).await?;
    say(&database, clients[1], 1, [said(updates[0], State::RolledBack, "")]).await?;
    say(&database, clients[2], 1, [said(updates[0], State::Succeeded, "")]).await?;
    ensure!(site.retry(id, Some(&clients[1..]), NOW).await? == 1);
    ensure!(site.retry(id, None, NOW).await? == 2);
    let mut retries = Vec::new();
    for client in clients {
        retries.push(database.assigned_deployments(client).await?[0].retries);
    }
    ensure!(retries == [1, 2, 0], "{retries:?}");
    Ok(())
}

async fn a_client_that_leaves_the_collection_leaves_the_deployment(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 2).await?;
    let collection = collection(&database, &clients).await?;
    let new = NewDeployment { collection, ..everybody(&updates) };
    site(&database).create(&new, NOW).await?;
    ensure!(detail(&database).await?.row.open_phases == 0, "nobody knows yet who is in");
    pass(&database, NOW).await?;
    ensure!(detail(&database).await?.row.clients.total() == 2);
    say(&database, clients[1], 1, [said(updates[0], State::Succeeded, "")]).await?;
    choose(&database, collection, &clients[..1]).await?;
    pass(&database, NOW + 60).await?;
    ensure!(database.assigned_deployments(clients[1]).await?.is_empty());
    ensure!(detail(&database).await?.row.clients.total() == 1);
    choose(&database, collection, &clients).await?;
    pass(&database, NOW + 120).await?;
    let counts = detail(&database).await?.row.clients;
    ensure!((counts.of(State::Succeeded), counts.silent) == (1, 1), "what it said before still holds");
    Ok(())
}

async fn what_cannot_be_is_refused_and_changes_nothing(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let site = site(&database);
    type Change = fn(&mut NewDeployment);
    let changes: [(Change, &str); 8] = [
        (|new| new.name = " ".to_owned(), "name"),
        (|new| new.selection = Selection::Updates(Vec::new()), "updates"),
        (|new| new.settings.attempts = 0, "attempts"),
        (|new| new.settings.deadline = None, "deadline"),
        (|new| new.settings.sources.clear(), "sources"),
        (|new| new.settings.phases.clear(), "phases"),
        (|new| new.settings.phases[0].failure_percent = 101, "phases[0].failure_percent"),
        (|new| new.settings.phases[0].members = Members::Collection(ALL_CLIENTS), "phases"),
    ];
    for (change, field) in changes {
        let mut new = everybody(&updates);
        change(&mut new);
        let refused = site.create(&new, NOW).await;
        let Err(DeploymentError::Invalid(problems)) = refused else { anyhow::bail!("{field}: {refused:?}") };
        ensure!(problems.len() == 1 && problems[0].field == field, "{field}: {problems:?}");
    }
    let unknown: [Change; 3] = [
        |new| new.collection = CollectionId(77),
        |new| new.selection = Selection::Group(77),
        |new| new.selection = Selection::Updates(vec![UpdateId([7; 16])]),
    ];
    for change in unknown {
        let mut new = everybody(&updates);
        change(&mut new);
        ensure!(matches!(site.create(&new, NOW).await, Err(DeploymentError::Unknown(_))));
    }
    ensure!(number(&database, "SELECT COUNT(*) FROM deployments").await? == 0);
    ensure!(number(&database, "SELECT COUNT(*) FROM update_groups").await? == 0);
    Ok(())
}

async fn a_deployment_that_is_made_twice_is_one(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let site = site(&database);
    let id = site.create(&everybody(&updates), NOW).await?;
    ensure!(site.create(&everybody(&updates), NOW + 1).await? == id);
    ensure!(number(&database, "SELECT COUNT(*) FROM deployments").await? == 1);
    let other = NewDeployment { id: NewDeployment::random_id(), ..everybody(&updates) };
    site.create(&other, NOW).await?;
    ensure!(number(&database, "SELECT COUNT(*) FROM update_groups WHERE name = 'Tuesday (2)'").await? == 1);
    Ok(())
}

async fn a_deployment_to_thousands_takes_few_statements(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let mut transaction = database.pool().begin().await?;
    for number in 0..5_000_u32 {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        sqlx::query("INSERT INTO clients (client_id, hostname, enrolled_at, last_contact_at) VALUES ($1, $2, $3, $3)")
            .bind(&id[..])
            .bind(format!("host-{number}"))
            .bind(NOW)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    pass(&database, NOW).await?;
    let began = Instant::now();
    site(&database).create(&phased(&updates, "10")?, NOW).await?;
    eprintln!("{:?}: a deployment to 5,000 clients was made in {:?}", database.engine(), began.elapsed());
    let detail = detail(&database).await?;
    ensure!(detail.row.clients.total() == 5_000);
    ensure!((400..600).contains(&detail.phase_rows[0].clients.total()));
    Ok(())
}
