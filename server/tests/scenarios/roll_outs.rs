//! Phases: who is in, when they open, and what stops them, in simulated time.

use super::plant::{self, NOW, number};
use super::plant_deployments::{
    choose, clients, collection, detail, events, everybody, pass, phase_of, phased, said, say, site, standing, why,
};
use anyhow::ensure;
use farrier::database::Database;
use farrier::deployment::role::Role;
use farrier::deployment::schedule::When;
use farrier::deployment::settings::Members;
use farrier::deployment::{DeploymentStatus, NewDeployment};
use farrier::signals::Signals;
use farrier_protocol::DeploymentId;
use farrier_protocol::assignment::Standing;
use farrier_protocol::deployment::bucket;
use farrier_protocol::enforcement::EnforcementState as State;

scenarios![
    a_phase_has_the_clients_that_everybody_can_compute,
    phases_open_one_after_the_other,
    a_failing_phase_stops_the_deployment_and_says_why,
    a_resumed_deployment_does_not_stop_for_the_same_failures,
    a_collection_of_a_phase_moves_its_clients,
    a_phase_whose_clients_are_just_coming_is_not_passed_over,
    clients_that_nothing_is_for_hold_up_no_phase,
    more_deployments_than_a_client_takes_are_said_to_be_too_many,
    several_processes_take_every_step_once,
];

const DAY: i64 = 24 * 60 * 60;

async fn a_phase_has_the_clients_that_everybody_can_compute(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 40).await?;
    let new = phased(&updates, "30")?;
    let review = site(&database).review(&new, NOW).await?;
    site(&database).create(&new, NOW).await?;
    let pilots = clients.iter().filter(|client| bucket(new.id, **client) < 3_000).count();
    ensure!((1..40).contains(&pilots), "{pilots}");
    for client in clients {
        let expected = u8::from(bucket(new.id, client) >= 3_000);
        ensure!(phase_of(&database, client).await? == expected);
    }
    let detail = detail(&database).await?;
    let counted: Vec<_> = detail.phase_rows.iter().map(|phase| phase.clients.total()).collect();
    ensure!(counted == [pilots as i64, 40 - pilots as i64]);
    ensure!(review.phases.iter().map(|phase| phase.clients).eq(counted), "the review told so beforehand");
    ensure!(review.clients == 40 && review.updates == 1 && review.problems.is_empty());
    Ok(())
}

async fn phases_open_one_after_the_other(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 20).await?;
    let mut new = phased(&updates, "30")?;
    new.settings.available = When::After { seconds: 3_600 };
    site(&database).create(&new, NOW).await?;
    let (pilots, rest): (Vec<_>, Vec<_>) = clients.iter().partition(|client| bucket(new.id, **client) < 3_000);
    ensure!(standing(&database, pilots[0]).await? == Standing::Planned { expected_at: Some(NOW + 3_600) });
    let opened = NOW + 3_600;
    pass(&database, opened).await?;
    ensure!(standing(&database, pilots[0]).await? == Standing::Open { since: opened });
    // The common deadline of a week, the delay of up to an hour, and the day after it.
    let expected_at = Some(NOW + 7 * DAY + 3_600 + DAY);
    ensure!(
        standing(&database, rest[0]).await? == Standing::Planned { expected_at },
        "{:?}",
        standing(&database, rest[0]).await?
    );
    ensure!(why(&database, rest[0]).await?.starts_with("In phase 2 of 2 (Rest), which is expected to open"));

    for client in pilots {
        say(&database, client, 1, [said(updates[0], State::Succeeded, "")]).await?;
    }
    pass(&database, opened + DAY).await?;
    ensure!(standing(&database, rest[0]).await? == Standing::Planned { expected_at: Some(opened + 2 * DAY) });
    pass(&database, opened + 2 * DAY - 1).await?;
    ensure!(standing(&database, rest[0]).await? == Standing::Planned { expected_at: Some(opened + 2 * DAY) });
    pass(&database, opened + 2 * DAY).await?;
    ensure!(standing(&database, rest[0]).await? == Standing::Open { since: opened + 2 * DAY });
    Ok(())
}

async fn a_failing_phase_stops_the_deployment_and_says_why(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 5).await?;
    site(&database).create(&phased(&updates, "99.99")?, NOW).await?;
    say(&database, clients[2], 1, [said(updates[0], State::Failed, "dpkg said: the script returned 1")]).await?;
    pass(&database, NOW + 60).await?;
    let detail = detail(&database).await?;
    let reason = "1 of 5 clients of phase 1 (Pilot) failed: 20 %, and at most 10 % may";
    ensure!((detail.row.status, &*detail.row.status_reason) == (DeploymentStatus::Paused, reason));
    ensure!(events(&detail).last() == Some(&&*format!("Paused by itself: {reason}.")));
    for client in &clients {
        ensure!(standing(&database, *client).await? == Standing::Paused);
    }
    ensure!(why(&database, clients[2]).await? == "bash 1.2-3 failed: dpkg said: the script returned 1.");
    ensure!(why(&database, clients[0]).await? == format!("The deployment is paused: {reason}."));
    Ok(())
}

async fn a_resumed_deployment_does_not_stop_for_the_same_failures(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 5).await?;
    let site = site(&database);
    let id = site.create(&phased(&updates, "99.99")?, NOW).await?;
    say(&database, clients[0], 1, [said(updates[0], State::Failed, "")]).await?;
    pass(&database, NOW + 60).await?;
    site.resume(id, NOW + 120).await?;
    pass(&database, NOW + 180).await?;
    ensure!(detail(&database).await?.row.status == DeploymentStatus::Active);
    say(&database, clients[1], 1, [said(updates[0], State::RolledBack, "")]).await?;
    pass(&database, NOW + 240).await?;
    ensure!(detail(&database).await?.row.status == DeploymentStatus::Paused);
    Ok(())
}

async fn a_collection_of_a_phase_moves_its_clients(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 3).await?;
    let pilots = collection(&database, &clients[..1]).await?;
    pass(&database, NOW).await?;
    let mut new = phased(&updates, "50")?;
    new.settings.phases[0].members = Members::Collection(pilots);
    site(&database).create(&new, NOW).await?;
    ensure!(phase_of(&database, clients[0]).await? == 0 && phase_of(&database, clients[1]).await? == 1);
    choose(&database, pilots, &clients[1..]).await?;
    pass(&database, NOW + 60).await?;
    ensure!(phase_of(&database, clients[0]).await? == 1 && phase_of(&database, clients[1]).await? == 0);
    Ok(())
}

async fn a_phase_whose_clients_are_just_coming_is_not_passed_over(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 3).await?;
    let pilots = collection(&database, &[]).await?;
    pass(&database, NOW).await?;
    let mut new = phased(&updates, "50")?;
    new.settings.phases[0].members = Members::Collection(pilots);
    new.settings.available = When::After { seconds: 60 };
    site(&database).create(&new, NOW).await?;
    let mut early = Role::new(database.clone(), Signals::default());
    early.pass(NOW).await?;
    choose(&database, pilots, &clients[..1]).await?;
    // Another process has come as far as this.
    farrier::collections::evaluate(&database, NOW + 60).await?;
    early.pass(NOW + 60).await?;
    ensure!(standing(&database, clients[0]).await? == Standing::Open { since: NOW + 60 });
    ensure!(matches!(standing(&database, clients[1]).await?, Standing::Planned { .. }));
    Ok(())
}

async fn clients_that_nothing_is_for_hold_up_no_phase(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 3).await?;
    for (client, release) in clients.iter().zip(["bookworm", "bookworm", "trixie"]) {
        sqlx::query("UPDATE clients SET os = 'debian', release = $1 WHERE client_id = $2")
            .bind(release)
            .bind(client.as_bytes())
            .execute(database.pool())
            .await?;
    }
    site(&database).create(&phased(&updates, "99.99")?, NOW).await?;
    ensure!(why(&database, clients[2]).await?.starts_with("The deployment has no update for its operating system"));
    say(&database, clients[0], 1, [said(updates[0], State::Succeeded, "")]).await?;
    pass(&database, NOW + 60).await?;
    ensure!(detail(&database).await?.phase_rows[0].succeeded_at.is_none(), "one is still to come");
    say(&database, clients[1], 1, [said(updates[0], State::Succeeded, "")]).await?;
    pass(&database, NOW + 120).await?;
    ensure!(detail(&database).await?.phase_rows[0].succeeded_at == Some(NOW + 120));
    Ok(())
}

async fn more_deployments_than_a_client_takes_are_said_to_be_too_many(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let clients = clients(&database, 1).await?;
    site(&database).create(&everybody(&updates), NOW).await?;
    for number in 0..64 {
        ensure!(detail(&database).await?.row.problem.is_none(), "{number} newer ones leave a place");
        let new = NewDeployment { id: DeploymentId([100 + number; 16]), ..everybody(&updates) };
        site(&database).create(&new, NOW).await?;
    }
    let problem = detail(&database).await?.row.problem.unwrap_or_default();
    ensure!(problem.starts_with("some have more than 64 deployments"), "{problem}");
    ensure!(why(&database, clients[0]).await?.starts_with("The client is not told of it: it has more than 64"));
    site(&database).cancel(DeploymentId([100; 16]), "", NOW).await?;
    ensure!(detail(&database).await?.row.problem.is_none());
    Ok(())
}

async fn several_processes_take_every_step_once(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    clients(&database, 4).await?;
    let mut new = phased(&updates, "50")?;
    new.settings.available = When::After { seconds: 60 };
    site(&database).create(&new, NOW).await?;
    let passes = (0..6).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { pass(&database, NOW + 60).await })
    });
    for pass in passes.collect::<Vec<_>>() {
        pass.await??;
    }
    let opened = "SELECT COUNT(*) FROM deployment_events WHERE text LIKE 'Phase 1 of 2 (Pilot) opened%'";
    ensure!(number(&database, opened).await? == 1);
    Ok(())
}
