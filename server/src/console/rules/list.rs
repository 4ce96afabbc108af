//! `/deployment-rules`: the automatic deployment rules and what came of them.

use super::super::frame::{Frame, Section, html};
use super::super::problem::Problem;
use super::super::{State, filters};
use super::filter::in_words;
use crate::database::{DeploymentRule, now};
use crate::deployment::NewRule;
use crate::deployment::rules::RuleFilter;
use crate::deployment::settings::DeploymentSettings;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, Redirect};
use serde::Serialize;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    list: Vec<DeploymentRule>,
}

/// A rule as JSON.
#[derive(Serialize)]
pub(in super::super) struct RuleJson {
    id: i64,
    name: String,
    enabled: bool,
    filter: RuleFilter,
    collection: i64,
    collection_name: String,
    settings: DeploymentSettings,
    ran_at: Option<i64>,
    outcome: Option<String>,
    deployments: i64,
}

impl From<DeploymentRule> for RuleJson {
    fn from(rule: DeploymentRule) -> Self {
        let NewRule { name, enabled, filter, collection, settings } = rule.definition;
        Self {
            id: rule.id,
            name,
            enabled,
            filter,
            collection: collection.0,
            collection_name: rule.collection_name,
            settings,
            ran_at: rule.ran_at,
            outcome: rule.outcome,
            deployments: rule.deployments,
        }
    }
}

pub(in super::super) async fn page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let list = state.database().rules().await?;
    html(&RulesPage { frame: Frame::new(&state, Section::Deployments), list })
}

pub(in super::super) async fn api(Shared(state): Shared<State>) -> Result<Json<Vec<RuleJson>>, Problem> {
    Ok(Json(state.database().rules().await?.into_iter().map(RuleJson::from).collect()))
}

/// A button was pressed: does it, and shows the list.
pub(in super::super) async fn act(
    Shared(state): Shared<State>,
    Path((id, action)): Path<(String, String)>,
) -> Result<Redirect, Problem> {
    let rule = rule(&state, &id).await?;
    let deployments = state.deployments();
    match action.as_str() {
        "run" => {
            let outcome = deployments.run_rule(rule.id, now()).await?;
            tracing::info!(rule.name = rule.definition.name, outcome, "Rule ran from the console");
        }
        "enable" | "disable" => {
            let changed = NewRule { enabled: action == "enable", ..rule.definition };
            deployments.change_rule(rule.id, &changed, now()).await?;
        }
        "remove" => deployments.delete_rule(rule.id).await?,
        _ => {
            let message = format!("A rule has no action {action:?}; there are: run, enable, disable, remove.");
            return Err(Problem::not_found(message, "Use the page's buttons."));
        }
    }
    Ok(Redirect::to("/deployment-rules"))
}

pub(super) async fn rule(state: &State, id: &str) -> Result<DeploymentRule, Problem> {
    let number = id
        .parse()
        .map_err(|_| Problem::bad_request(format!("{id:?} is no number of an automatic deployment rule.")))?;
    state.database().rule(number).await?.ok_or_else(|| {
        let message = format!("There is no automatic deployment rule {number} on this site.");
        Problem::not_found(message, "Look at the list of rules: somebody may have removed it.")
    })
}
