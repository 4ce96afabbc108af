//! Deployments: from their making through their phases, by what clients say and by simulated time.

use super::plant::{self, NOW, number};
use anyhow::{Context as _, ensure};
use farrier::database::views::{
    ClientProgress, DeploymentClientFilter, DeploymentDetail, DeploymentFilter, EnforcementCounts,
};
use farrier::database::{ALL_CLIENTS, CollectionDefinition, Database};
use farrier::deployment::role::Role;
use farrier::deployment::schedule::When;
use farrier::deployment::settings::{DeploymentSettings, Members, PhaseSettings};
use farrier::deployment::{DeploymentError, DeploymentStatus, Deployments, NewDeployment, Selection};
use farrier::signals::Signals;
use farrier_protocol::assignment::Standing;
use farrier_protocol::deployment::bucket;
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::{Enforcement, StateBatch, StateMessage, StateReply, bounded};
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use std::collections::BTreeSet;

scenarios![
    a_deployment_concerns_the_members_of_its_collection,
    a_phase_has_the_clients_that_everybody_can_compute,
    phases_open_one_after_the_other,
    a_failing_phase_stops_the_deployment_and_says_why,
    a_resumed_deployment_does_not_stop_for_the_same_failures,
    the_least_done_update_is_how_far_a_client_is,
    a_client_that_starts_anew_is_silent_again,
    what_is_said_of_a_stranger_is_passed_over,
    pause_and_cancel_are_in_the_next_assignment,
    only_what_failed_is_tried_again,
    a_client_that_leaves_the_collection_leaves_the_deployment,
    a_collection_of_a_phase_moves_its_clients,
    several_processes_take_every_step_once,
    the_course_of_a_deployment_is_kept,
    every_client_has_a_row_in_the_table,
    what_cannot_be_is_refused_and_changes_nothing,
    a_deployment_that_is_made_twice_is_one,
    a_deployment_to_thousands_takes_few_statements,
];

const DAY: i64 = 24 * 60 * 60;

pub fn site(database: &Database) -> Deployments {
    Deployments::new(database.clone(), Signals::default())
}

/// A deployment of these updates to everybody, with the usual settings.
pub fn everybody(updates: &[UpdateId]) -> NewDeployment {
    NewDeployment {
        id: DeploymentId([9; 16]),
        name: "Tuesday".to_owned(),
        selection: Selection::Updates(updates.to_vec()),
        collection: ALL_CLIENTS,
        settings: DeploymentSettings::default(),
    }
}

/// Two phases: the first share of the fleet, and everybody else a day after it succeeded.
fn phased(updates: &[UpdateId], percent: &str) -> anyhow::Result<NewDeployment> {
    let mut new = everybody(updates);
    let pilot = PhaseSettings::of("Pilot", Members::Percent(percent.parse()?));
    new.settings.phases = vec![
        PhaseSettings { soak_seconds: 86_400, ..pilot },
        PhaseSettings::of("Rest", Members::Percent("100".parse()?)),
    ];
    Ok(new)
}

async fn clients(database: &Database, count: u8) -> anyhow::Result<Vec<ClientId>> {
    let mut clients = Vec::new();
    for number in 1..=count {
        clients.push(plant::client(database, number).await?);
    }
    pass(database, NOW).await?;
    Ok(clients)
}

/// What the role does at this time.
pub async fn pass(database: &Database, now: i64) -> anyhow::Result<()> {
    Ok(Role::new(database.clone(), Signals::default()).pass(now).await?)
}

/// What a client says of an update.
pub fn said(update: UpdateId, state: State, reason: &str) -> StateMessage {
    StateMessage::Enforcement(Box::new(Enforcement {
        deployment: DeploymentId([9; 16]),
        update,
        state,
        since: NOW,
        installations: 1,
        bytes_left: 0,
        until: None,
        reason: bounded(reason),
    }))
}

/// Has a client say something in a stream of its own that begins now.
pub async fn say(
    database: &Database,
    client: ClientId,
    stream: u64,
    messages: impl IntoIterator<Item = StateMessage>,
) -> anyhow::Result<()> {
    let messages = std::iter::once(StateMessage::Reset).chain(messages).collect();
    let batch = StateBatch { stream, first_serial: 1, messages };
    let reply = database.commit_batch(client, &batch, NOW).await?;
    ensure!(matches!(reply, StateReply::Acknowledged { .. }));
    Ok(())
}

pub async fn detail(database: &Database) -> anyhow::Result<DeploymentDetail> {
    database.deployment(DeploymentId([9; 16])).await?.context("there is no deployment")
}

async fn standing(database: &Database, client: ClientId) -> anyhow::Result<Standing> {
    let assigned = database.assigned_deployments(client).await?;
    Ok(assigned.first().context("nothing is assigned")?.standing)
}

async fn phase_of(database: &Database, client: ClientId) -> anyhow::Result<u8> {
    Ok(database.assigned_deployments(client).await?.first().context("nothing is assigned")?.phase)
}

async fn why(database: &Database, client: ClientId) -> anyhow::Result<String> {
    let row = database.deployment_client(DeploymentId([9; 16]), client, NOW).await?;
    Ok(row.context("the client is not in it")?.row.why)
}

fn events(detail: &DeploymentDetail) -> Vec<&str> {
    detail.events.iter().rev().map(|event| event.text.as_str()).collect()
}

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
        let row = database.deployment_client(DeploymentId([9; 16]), client, NOW).await?.context("no client")?;
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

/// A collection of these clients, evaluated.
async fn collection(database: &Database, clients: &[ClientId]) -> anyhow::Result<farrier::database::CollectionId> {
    let definition = CollectionDefinition {
        name: "Chosen".to_owned(),
        description: String::new(),
        query: None,
        clients: clients.iter().copied().collect(),
        includes: BTreeSet::new(),
        excludes: BTreeSet::new(),
    };
    Ok(farrier::collections::create(database, &definition, NOW).await?)
}

async fn choose(database: &Database, id: farrier::database::CollectionId, clients: &[ClientId]) -> anyhow::Result<()> {
    let definition = database.collection_definition(id).await?.context("no collection")?;
    let definition = CollectionDefinition { clients: clients.iter().copied().collect(), ..definition };
    farrier::collections::change(database, id, &definition, NOW).await?;
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
        |new| new.collection = farrier::database::CollectionId(77),
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
    let began = std::time::Instant::now();
    site(&database).create(&phased(&updates, "10")?, NOW).await?;
    eprintln!("{:?}: a deployment to 5,000 clients was made in {:?}", database.engine(), began.elapsed());
    let detail = detail(&database).await?;
    ensure!(detail.row.clients.total() == 5_000);
    ensure!((400..600).contains(&detail.phase_rows[0].clients.total()));
    Ok(())
}
