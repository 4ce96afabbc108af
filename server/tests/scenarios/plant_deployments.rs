//! What scenarios of deployments begin with, and how they go on.

use super::plant::{self, NOW};
use anyhow::{Context as _, ensure};
use farrier::collections;
use farrier::database::views::DeploymentDetail;
use farrier::database::{ALL_CLIENTS, CollectionDefinition, CollectionId, Database};
use farrier::deployment::role::Role;
use farrier::deployment::settings::{DeploymentSettings, Members, PhaseSettings};
use farrier::deployment::{Deployments, NewDeployment, Selection};
use farrier::signals::Signals;
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::{Enforcement, StateBatch, StateMessage, StateReply, bounded};
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use std::collections::BTreeSet;

/// The id of the deployment that [`everybody`] makes.
pub const ID: DeploymentId = DeploymentId([9; 16]);

pub fn site(database: &Database) -> Deployments {
    Deployments::new(database.clone(), Signals::default())
}

/// A deployment of these updates to everybody, with the usual settings.
pub fn everybody(updates: &[UpdateId]) -> NewDeployment {
    NewDeployment {
        id: ID,
        name: "Tuesday".to_owned(),
        selection: Selection::Updates(updates.to_vec()),
        collection: ALL_CLIENTS,
        settings: DeploymentSettings::default(),
    }
}

/// Two phases: the first share of the fleet, and everybody else a day after it succeeded.
pub fn phased(updates: &[UpdateId], percent: &str) -> anyhow::Result<NewDeployment> {
    let mut new = everybody(updates);
    let pilot = PhaseSettings::of("Pilot", Members::Percent(percent.parse()?));
    new.settings.phases = vec![
        PhaseSettings { soak_seconds: 86_400, ..pilot },
        PhaseSettings::of("Rest", Members::Percent("100".parse()?)),
    ];
    Ok(new)
}

pub async fn clients(database: &Database, count: u8) -> anyhow::Result<Vec<ClientId>> {
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
        deployment: ID,
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
    database.deployment(ID).await?.context("there is no deployment")
}

pub async fn standing(database: &Database, client: ClientId) -> anyhow::Result<Standing> {
    let assigned = database.assigned_deployments(client).await?;
    Ok(assigned.first().context("nothing is assigned")?.standing)
}

pub async fn phase_of(database: &Database, client: ClientId) -> anyhow::Result<u8> {
    Ok(database.assigned_deployments(client).await?.first().context("nothing is assigned")?.phase)
}

pub async fn why(database: &Database, client: ClientId) -> anyhow::Result<String> {
    let row = database.deployment_client(ID, client, NOW).await?;
    Ok(row.context("the client is not in it")?.row.why)
}

pub fn events(detail: &DeploymentDetail) -> Vec<&str> {
    detail.events.iter().rev().map(|event| event.text.as_str()).collect()
}

/// A collection of these clients, evaluated.
pub async fn collection(database: &Database, clients: &[ClientId]) -> anyhow::Result<CollectionId> {
    let definition = CollectionDefinition {
        name: "Chosen".to_owned(),
        description: String::new(),
        query: None,
        clients: clients.iter().copied().collect(),
        includes: BTreeSet::new(),
        excludes: BTreeSet::new(),
    };
    Ok(collections::create(database, &definition, NOW).await?)
}

pub async fn choose(database: &Database, id: CollectionId, clients: &[ClientId]) -> anyhow::Result<()> {
    let definition = database.collection_definition(id).await?.context("no collection")?;
    let definition = CollectionDefinition { clients: clients.iter().copied().collect(), ..definition };
    collections::change(database, id, &definition, NOW).await?;
    Ok(())
}
