//! `/deployment-rules/new` and `/deployment-rules/{id}`: the form of a rule.

use super::super::form::Form;
use super::super::frame::{Frame, Section, html};
use super::super::parameters::Choice;
use super::super::problem::{Problem, sentence};
use super::super::wizard::{self, settings};
use super::super::{State, filters};
use super::filter;
use super::list::rule;
use crate::config::Classification;
use crate::database::views::CollectionRow;
use crate::database::{ALL_CLIENTS, RuleCandidate, now};
use crate::deployment::rules::RuleFilter;
use crate::deployment::settings::DeploymentSettings;
use crate::deployment::{DeploymentError, NewRule};
use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, IntoResponse as _, Redirect, Response};

/// Selected updates that a preview shows.
const SHOWN_UPDATES: usize = 50;

#[derive(Template)]
#[template(path = "rule_edit.html")]
struct RulePage {
    frame: Frame,
    form: Form,
    /// None for a new one.
    id: Option<i64>,
    suites: Vec<String>,
    collections: Vec<CollectionRow>,
    preview: Option<Vec<RuleCandidate>>,
}

pub(in super::super) async fn create_page(Shared(state): Shared<State>) -> Result<Html<String>, Problem> {
    let mut form = Form::default();
    let usual = RuleFilter { classifications: vec![Classification::SecurityUpdates], ..RuleFilter::default() };
    filter::write(&usual, &mut form);
    settings::write(&DeploymentSettings::default(), &mut form);
    form.set("collection", ALL_CLIENTS);
    form.set_box("enabled", true);
    html(&RulePage::new(&state, form, None).await?)
}

pub(in super::super) async fn edit_page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let rule = rule(&state, &id).await?;
    let mut form = Form::default();
    form.set("name", &rule.definition.name);
    form.set_box("enabled", rule.definition.enabled);
    form.set("collection", rule.definition.collection);
    filter::write(&rule.definition.filter, &mut form);
    settings::write(&rule.definition.settings, &mut form);
    html(&RulePage::new(&state, form, Some(rule.id)).await?)
}

pub(in super::super) async fn create(Shared(state): Shared<State>, form: Form) -> Result<Response, Problem> {
    submit(&state, form, None).await
}

pub(in super::super) async fn change(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    let id = rule(&state, &id).await?.id;
    submit(&state, form, Some(id)).await
}

/// Stores the rule, or shows its form again: with a preview, changed phases, or what is wrong.
async fn submit(state: &State, mut form: Form, id: Option<i64>) -> Result<Response, Problem> {
    let order = form.get("go").to_owned();
    let mut preview = None;
    match order.as_str() {
        "preview" => {
            if let Some(filter) = filter::read(&mut form) {
                let selected = state.deployments().preview_rule(&filter, now()).await;
                preview = noted(&mut form, selected)?;
            }
        }
        "store" | "" => {
            if let Some(new) = read(&mut form) {
                let stored = match id {
                    Some(id) => state.deployments().change_rule(id, &new, now()).await,
                    None => state.deployments().create_rule(&new, now()).await.map(|_| ()),
                };
                if noted(&mut form, stored)?.is_some() {
                    return Ok(Redirect::to("/deployment-rules").into_response());
                }
            }
        }
        button => wizard::change_phases(&mut form, button)?,
    }
    let mut page = RulePage::new(state, form, id).await?;
    page.preview = preview;
    Ok(html(&page)?.into_response())
}

fn read(form: &mut Form) -> Option<NewRule> {
    if !form.is_set("name") {
        form.wrong("name", "Write a name.");
    }
    let collection = form.get("collection").parse();
    let collection = form.check("collection", collection.map_err(|_| "Choose a collection."));
    let (filter, settings) = (filter::read(form), settings::read(form));
    let new = NewRule {
        name: form.get("name").to_owned(),
        enabled: form.is_set("enabled"),
        filter: filter?,
        collection: collection?,
        settings: settings?,
    };
    form.is_right().then_some(new)
}

/// What was done; or nothing, and why is noted in the form.
fn noted<T>(form: &mut Form, done: Result<T, DeploymentError>) -> Result<Option<T>, Problem> {
    match done {
        Ok(done) => return Ok(Some(done)),
        Err(DeploymentError::Database(error)) => return Err(error.into()),
        Err(DeploymentError::Invalid(problems)) => {
            for problem in problems {
                form.wrong(settings::field_of(&problem.field), sentence(&problem.message));
            }
        }
        Err(error) => form.wrong("form", sentence(&error.to_string())),
    }
    Ok(None)
}

impl RulePage {
    async fn new(state: &State, form: Form, id: Option<i64>) -> Result<Self, Problem> {
        let suites = state.database().suite_names().await?;
        let collections = state.database().collection_rows().await?;
        Ok(Self { frame: Frame::new(state, Section::Deployments), form, id, suites, collections, preview: None })
    }

    fn action(&self) -> String {
        self.id.map_or("/deployment-rules/new".to_owned(), |id| format!("/deployment-rules/{id}"))
    }

    fn classifications() -> [Classification; 3] {
        let [least, middle, most] = Classification::ALL;
        [most, middle, least]
    }

    fn severities() -> Vec<Choice> {
        let choice =
            |(word, _): &(&str, _)| Choice { word: (*word).to_owned(), label: (*word).to_owned(), chosen: false };
        filter::SEVERITIES.iter().map(choice).collect()
    }

    /// What a preview shows of the selected updates.
    fn shown(preview: &[RuleCandidate]) -> &[RuleCandidate] {
        preview.get(..SHOWN_UPDATES).unwrap_or(preview)
    }

    // The rest is what the templates of settings ask, here and in the wizard.

    fn collection_choices(&self) -> Vec<Choice> {
        wizard::collection_choices(&self.collections)
    }

    fn clocks(&self) -> [Choice; 2] {
        wizard::clocks()
    }

    fn phase_count(&self) -> usize {
        settings::phase_count(&self.form)
    }

    fn phase(&self, index: &usize, name: &str) -> String {
        format!("phase.{index}.{name}")
    }
}
