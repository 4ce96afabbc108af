//! Plugins as JSON: what the command line does, for programs.

use super::super::State;
use super::super::api::Body;
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use crate::database::views::{
    DifferenceFilter, DifferenceRow, Page, PluginClientFilter, PluginClientRow, PluginDetail, PluginRow,
};
use crate::database::{ALL_CLIENTS, CollectionId, Trial, now};
use crate::plugins::{
    Approval, Decision, GrantLines, Plugins, Promoted, Promotion, PublisherRow, Push, Pushed, RolledBack, Tried,
};
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// Bytes of a pushed component as JSON, at most; a larger one is pushed on the command line.
pub(in super::super) const MAX_PUSH_BYTES: usize = 16 * 1024 * 1024;
/// Who does what programs ask for.
const BY: &str = "the console";

/// What is pushed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PushJson {
    /// The component in base64.
    component: String,
    /// The text of its signature.
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    allow_unsigned: bool,
}

/// The body of an action; each takes its own part.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct ActionJson {
    version: Option<String>,
    collection: Option<CollectionId>,
    all: bool,
    revoke: bool,
    partial: bool,
    read: Vec<String>,
    write: Vec<String>,
    run: Vec<String>,
    accept_differences: bool,
    accept_failures: bool,
    untried: bool,
}

/// What an action did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in super::super) enum DoneJson {
    Approval(Approval),
    Tried(Tried),
    Promoted(Promoted),
    RolledBack(RolledBack),
    Ended { name: String, ended: &'static str },
}

/// A publisher to be added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PublisherJson {
    name: String,
    public_key: String,
}

pub(in super::super) async fn list(Shared(state): Shared<State>) -> Result<Json<Vec<PluginRow>>, Problem> {
    Ok(Json(state.database().plugins().await?))
}

pub(in super::super) async fn push(
    Shared(state): Shared<State>,
    Body(body): Body<PushJson>,
) -> Result<(StatusCode, Json<Pushed>), Problem> {
    let component = BASE64_STANDARD
        .decode(body.component.trim())
        .map_err(|error| Problem::bad_form(format!("The component is not in base64: {error}.")))?;
    let PushJson { signature, allow_unsigned, .. } = &body;
    let push = Push { component: &component, signature: signature.as_deref(), allow_unsigned: *allow_unsigned, by: BY };
    let pushed = state.plugins().push(&push, now()).await?;
    let status = if pushed.was_there { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(pushed)))
}

pub(in super::super) async fn detail(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
) -> Result<Json<PluginDetail>, Problem> {
    state.database().plugin(&name).await?.map(Json).ok_or_else(|| unknown(&name))
}

pub(in super::super) async fn differences(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Page<DifferenceRow>>, Problem> {
    let filter = DifferenceFilter {
        search: parameters.search()?,
        update: id(&mut parameters, "update")?,
        client: id(&mut parameters, "client")?,
        page: parameters.page()?,
    };
    parameters.finish()?;
    known(&state, &name).await?;
    Ok(Json(state.database().plugin_differences(&name, &filter).await?))
}

pub(in super::super) async fn clients(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Page<PluginClientRow>>, Problem> {
    let filter = PluginClientFilter {
        search: parameters.search()?,
        version: parameters.text("version")?,
        failed: parameters.flag("failed")?,
        page: parameters.page()?,
    };
    parameters.finish()?;
    known(&state, &name).await?;
    Ok(Json(state.database().plugin_clients(&name, &filter).await?))
}

pub(in super::super) async fn approval(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Approval>, Problem> {
    let version = parameters.text("version")?;
    parameters.finish()?;
    Ok(Json(state.plugins().approval(&name, version.as_deref()).await?))
}

pub(in super::super) async fn act(
    Shared(state): Shared<State>,
    Path((name, action)): Path<(String, String)>,
    Body(body): Body<ActionJson>,
) -> Result<Json<DoneJson>, Problem> {
    let plugins = state.plugins();
    let done = match action.as_str() {
        "approve" => DoneJson::Approval(plugins.decide(&name, &body.decision(), now()).await?),
        "assign" => {
            let collection =
                body.collection.ok_or_else(|| Problem::bad_form("Say for which collection.".to_owned()))?;
            DoneJson::Tried(try_version(&plugins, &name, Trial::Canary, collection, body.version).await?)
        }
        "shadow" => {
            let collection = body.collection.unwrap_or(ALL_CLIENTS);
            DoneJson::Tried(try_version(&plugins, &name, Trial::Shadow, collection, body.version).await?)
        }
        "promote" => DoneJson::Promoted(plugins.promote(&name, &body.promotion(), now()).await?),
        "rollback" => DoneJson::RolledBack(plugins.roll_back(&name, BY, now()).await?),
        "end-canary" | "end-shadow" => {
            let trial = if action == "end-canary" { Trial::Canary } else { Trial::Shadow };
            plugins.end_trial(&name, trial, BY, now()).await?;
            DoneJson::Ended { name, ended: trial.as_str() }
        }
        _ => {
            let known = "approve, assign, shadow, promote, rollback, end-canary, end-shadow";
            return Err(Problem::not_found(
                format!("A plugin has no action {action:?}; there are: {known}."),
                "Use one of them.",
            ));
        }
    };
    Ok(Json(done))
}

pub(in super::super) async fn publishers(Shared(state): Shared<State>) -> Result<Json<Vec<PublisherRow>>, Problem> {
    Ok(Json(state.plugins().publishers().await?))
}

pub(in super::super) async fn add_publisher(
    Shared(state): Shared<State>,
    Body(publisher): Body<PublisherJson>,
) -> Result<StatusCode, Problem> {
    state.plugins().add_publisher(&publisher.name, &publisher.public_key, now()).await?;
    Ok(StatusCode::CREATED)
}

pub(in super::super) async fn remove_publisher(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.plugins().remove_publisher(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl ActionJson {
    fn decision(self) -> Decision {
        Decision {
            version: self.version,
            all: self.all,
            lines: GrantLines { read: self.read, write: self.write, run: self.run },
            revoke: self.revoke,
            partial: self.partial,
            by: BY.to_owned(),
        }
    }

    fn promotion(self) -> Promotion {
        Promotion {
            version: self.version,
            accept_differences: self.accept_differences,
            accept_failures: self.accept_failures,
            untried: self.untried,
            by: BY.to_owned(),
        }
    }
}

async fn try_version(
    plugins: &Plugins,
    name: &str,
    trial: Trial,
    collection: CollectionId,
    version: Option<String>,
) -> Result<Tried, Problem> {
    let version = version.ok_or_else(|| Problem::bad_form("Say which version.".to_owned()))?;
    Ok(plugins.try_version((name, &version), trial, collection, BY, now()).await?)
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    parameters: &mut Parameters,
    name: &'static str,
) -> Result<Option<T>, Problem> {
    let Some(text) = parameters.text(name)? else { return Ok(None) };
    let id =
        text.parse().map_err(|error| Problem::bad_request(format!("{name} is {text:?}, which is no id: {error}.")));
    id.map(Some)
}

async fn known(state: &State, name: &str) -> Result<(), Problem> {
    state.database().registered_plugin(name).await?.map(drop).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("There is no plugin {name:?}."), "Look at the list of plugins.")
}
