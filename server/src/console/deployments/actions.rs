//! What an administrator does to a deployment: the buttons of its page, and the same as JSON.

use super::super::State;
use super::super::form::Form;
use super::super::problem::Problem;
use super::detail::parse_id;
use crate::database::CollectionId;
use crate::database::now;
use crate::deployment::settings::DeploymentSettings;
use crate::deployment::{Deployments, NewDeployment, Selection};
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::Redirect;
use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use serde::{Deserialize, Serialize};

/// The body of an action as JSON; each action takes its own part.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct ActionJson {
    /// Why, for pausing and cancelling.
    reason: String,
    /// The place of the phase from 0, for approving.
    phase: Option<i64>,
    /// Whom, for trying again; everybody who failed if absent.
    clients: Option<Vec<String>>,
}

/// What an action did.
#[derive(Debug, Serialize)]
pub(in super::super) struct DoneJson {
    /// Clients that try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retried: Option<i64>,
}

/// A deployment to be made, as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct NewDeploymentJson {
    /// Its id, if the caller chose one: sent twice, it is made once.
    #[serde(default)]
    id: Option<String>,
    name: String,
    /// An update group, or
    #[serde(default)]
    group: Option<i64>,
    /// the updates.
    #[serde(default)]
    updates: Vec<String>,
    collection: CollectionId,
    #[serde(default)]
    settings: DeploymentSettings,
}

/// The deployment that was made.
#[derive(Debug, Serialize)]
pub(in super::super) struct CreatedJson {
    id: String,
}

/// An action by its word in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Pause,
    Resume,
    Cancel,
    Approve,
    Retry,
}

const ACTIONS: [(&str, Action); 5] = [
    ("pause", Action::Pause),
    ("resume", Action::Resume),
    ("cancel", Action::Cancel),
    ("approve", Action::Approve),
    ("retry", Action::Retry),
];

/// A button was pressed: does it, and shows the deployment.
pub(in super::super) async fn act(
    Shared(state): Shared<State>,
    Path((id, action)): Path<(String, String)>,
    form: Form,
) -> Result<Redirect, Problem> {
    let arguments = ActionJson {
        reason: form.get("reason").to_owned(),
        phase: form.get("phase").parse().ok(),
        clients: form.is_set("client").then(|| form.all("client").map(str::to_owned).collect()),
    };
    let id = parse_id(&id)?;
    perform(&state.deployments(), id, parse_action(&action)?, arguments).await?;
    Ok(Redirect::to(&format!("/deployments/{id}")))
}

pub(in super::super) async fn act_api(
    Shared(state): Shared<State>,
    Path((id, action)): Path<(String, String)>,
    body: super::super::api::Body<ActionJson>,
) -> Result<Json<DoneJson>, Problem> {
    let action = parse_action(&action)?;
    let retried = perform(&state.deployments(), parse_id(&id)?, action, body.0).await?;
    Ok(Json(DoneJson { retried }))
}

pub(in super::super) async fn create_api(
    Shared(state): Shared<State>,
    body: super::super::api::Body<NewDeploymentJson>,
) -> Result<(StatusCode, Json<CreatedJson>), Problem> {
    let new = body.0.parsed()?;
    let id = state.deployments().create(&new, now()).await?;
    Ok((StatusCode::CREATED, Json(CreatedJson { id: id.to_string() })))
}

pub(in super::super) async fn review_api(
    Shared(state): Shared<State>,
    body: super::super::api::Body<NewDeploymentJson>,
) -> Result<Json<crate::deployment::Review>, Problem> {
    Ok(Json(state.deployments().review(&body.0.parsed()?, now()).await?))
}

fn parse_action(word: &str) -> Result<Action, Problem> {
    let found = ACTIONS.iter().find(|(known, _)| *known == word).map(|(_, action)| *action);
    found.ok_or_else(|| {
        let known = ACTIONS.map(|(word, _)| word).join(", ");
        Problem::not_found(
            format!("A deployment has no action {word:?}; there are: {known}."),
            "Use the page's buttons.",
        )
    })
}

/// Does it; for trying again, returns how many clients do.
async fn perform(
    deployments: &Deployments,
    id: DeploymentId,
    action: Action,
    arguments: ActionJson,
) -> Result<Option<i64>, Problem> {
    let now = now();
    match action {
        Action::Pause => deployments.pause(id, &arguments.reason, now).await?,
        Action::Resume => deployments.resume(id, now).await?,
        Action::Cancel => deployments.cancel(id, &arguments.reason, now).await?,
        Action::Approve => {
            let phase = arguments.phase.ok_or_else(|| Problem::bad_form("Say which phase.".to_owned()))?;
            deployments.approve(id, phase, now).await?;
        }
        Action::Retry => {
            let clients = arguments.clients.map(|clients| parse_clients(&clients)).transpose()?;
            return Ok(Some(deployments.retry(id, clients.as_deref(), now).await?));
        }
    }
    Ok(None)
}

fn parse_clients(clients: &[String]) -> Result<Vec<ClientId>, Problem> {
    let id = |client: &String| {
        client.parse().map_err(|error| Problem::bad_form(format!("{client:?} is no id of a client: {error}.")))
    };
    clients.iter().map(id).collect()
}

impl NewDeploymentJson {
    fn parsed(self) -> Result<NewDeployment, Problem> {
        let updates = self.updates.iter().map(|update| {
            update
                .parse::<UpdateId>()
                .map_err(|error| Problem::bad_form(format!("{update:?} is no id of a software update: {error}.")))
        });
        let updates = updates.collect::<Result<Vec<_>, _>>()?;
        Ok(NewDeployment {
            id: self.id.as_deref().map_or_else(|| Ok(NewDeployment::random_id()), parse_id)?,
            name: self.name,
            selection: match self.group {
                Some(group) if updates.is_empty() => Selection::Group(group),
                Some(_) => return Err(Problem::bad_form("Write a group or updates, not both.".to_owned())),
                None => Selection::Updates(updates),
            },
            collection: self.collection,
            settings: self.settings,
        })
    }
}
