//! `/deployments/new`: the deployment wizard.
//!
//! Each step is one form that carries what the others hold in hidden fields: the site remembers nothing of a wizard, so
//! that any number of them, in any number of tabs, go back and forth as they like. Nothing is done before the last step.

mod page;
mod phases;
pub(super) mod settings;
mod steps;

use super::State;
use super::form::Form;
use super::frame::html;
use super::parameters::Parameters;
use super::problem::{Problem, sentence};
use super::updates;
use crate::database::now;
use crate::deployment::settings::{DeploymentSettings, FieldError, MAX_NAME_BYTES};
use crate::deployment::{DeploymentError, NewDeployment, Review, Selection};
use axum::extract::State as Shared;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Redirect, Response};
use farrier_protocol::UpdateId;
use farrier_protocol::deployment::MAX_DEPLOYED_UPDATES;
use page::WizardPage;
pub(super) use page::{clocks, collection_choices, restart_in_words, sources_in_words};
pub(super) use phases::change as change_phases;
use steps::Step;

/// A browser that goes back shows the step as it was, without sending its form again.
const KEPT_FOR_GOING_BACK: &str = "private, no-cache";

/// The first step, perhaps with an update already picked.
pub(super) async fn begin(Shared(state): Shared<State>, mut parameters: Parameters) -> Result<Response, Problem> {
    let update = parameters.text("update")?;
    parameters.finish()?;
    let mut form = Form::default();
    form.set_all("update", update);
    show(&state, fresh(&state, form).await?, Step::Updates).await
}

/// A step was sent, or updates were picked in their list.
pub(super) async fn go(
    Shared(state): Shared<State>,
    parameters: Parameters,
    mut form: Form,
) -> Result<Response, Problem> {
    let Some(step) = Step::of_word(form.get("step")) else {
        if form.get("go") == "all" {
            let ids = updates::list::every_id(&state, parameters).await?;
            form.set_all("update", ids.iter().map(ToString::to_string));
        }
        return show(&state, fresh(&state, form).await?, Step::Updates).await;
    };
    let order = form.get("go").to_owned();
    match order.as_str() {
        "create" => create(&state, form).await,
        "find" => show(&state, form, Step::Updates).await,
        "enter" if step == Step::Updates && form.get("find") != form.get("found") => show(&state, form, step).await,
        "apply-template" => {
            apply_template(&state, &mut form).await?;
            show(&state, form, step).await
        }
        "next" | "enter" => walk(&state, form, step, step.after().unwrap_or(step)).await,
        word => match Step::of_word(word) {
            Some(to) => walk(&state, form, step, to).await,
            None => {
                phases::change(&mut form, word)?;
                show(&state, form, step).await
            }
        },
    }
}

/// A form with the usual settings, and updates that were picked.
async fn fresh(state: &State, picked: Form) -> Result<Form, Problem> {
    let mut form = Form::default();
    settings::write(&DeploymentSettings::default(), &mut form);
    form.set_all("update", picked.all("update").map(str::to_owned));
    form.set("id", NewDeployment::random_id());
    let updates = state.database().picked_updates(&update_ids(&mut form)).await?;
    form.set("name", page::proposed_name(&updates, now()));
    Ok(form)
}

/// Goes to another step: back whatever is written, forward only past what is right.
async fn walk(state: &State, mut form: Form, from: Step, to: Step) -> Result<Response, Problem> {
    if to <= from {
        return show(state, form, to).await;
    }
    read(state, &mut form).await?;
    let wrong = first_wrong(&form).filter(|wrong| *wrong < to);
    let step = wrong.unwrap_or(to);
    form.retain_errors(|field| wrong.is_some() && Step::of_field(field) == wrong);
    show(state, form, step).await
}

/// Makes the deployment, or shows the first step where something is wrong.
async fn create(state: &State, mut form: Form) -> Result<Response, Problem> {
    if let Some(new) = read(state, &mut form).await? {
        let deployments = state.deployments();
        let review = deployments.review(&new, now()).await;
        if noted(&mut form, review)?.is_some_and(|review| is_flawless(&mut form, &review)) {
            if form.is_set("keep_template") {
                let kept = deployments.create_template(form.get("keep_template"), &new.settings, now()).await;
                noted_at(&mut form, kept, Some("keep_template"))?;
            }
            if form.is_right() {
                let created = deployments.create(&new, now()).await;
                if let Some(id) = noted(&mut form, created)? {
                    return Ok(Redirect::to(&format!("/deployments/{id}")).into_response());
                }
            }
        }
    }
    let step = first_wrong(&form).unwrap_or(Step::Review);
    form.retain_errors(|field| Step::of_field(field) == Some(step));
    show(state, form, step).await
}

async fn show(state: &State, mut form: Form, step: Step) -> Result<Response, Problem> {
    let review = match step {
        Step::Review => review(state, &mut form).await?,
        _ => None,
    };
    let page = WizardPage::new(state, form, step, review).await?;
    Ok(([(CACHE_CONTROL, KEPT_FOR_GOING_BACK)], html(&page)?).into_response())
}

/// What the deployment would be; its problems are noted in the form.
async fn review(state: &State, form: &mut Form) -> Result<Option<(NewDeployment, Review)>, Problem> {
    let Some(new) = read(state, form).await? else { return Ok(None) };
    let review = state.deployments().review(&new, now()).await;
    let Some(review) = noted(form, review)? else { return Ok(None) };
    is_flawless(form, &review);
    Ok(Some((new, review)))
}

/// The deployment in the form; none if anything is wrong, which is noted at its field.
async fn read(state: &State, form: &mut Form) -> Result<Option<NewDeployment>, Problem> {
    let name = form.get("name").to_owned();
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        form.wrong("name", format!("Write a name of at most {MAX_NAME_BYTES} bytes."));
    }
    let updates = update_ids(form);
    if updates.is_empty() {
        form.wrong("update", "Select at least one update.");
    }
    if updates.len() > MAX_DEPLOYED_UPDATES {
        form.wrong("update", format!("One deployment has {MAX_DEPLOYED_UPDATES} updates at most: make several."));
    }
    let collection = form.get("collection").parse();
    let collection = form.check("collection", collection.map_err(|_| "Choose a collection."));
    if let Some(collection) = collection
        && !state.database().collection_exists(collection).await?
    {
        form.wrong("collection", "This collection was removed: choose another.");
    }
    let settings = settings::read(form);
    // A form of ours has an id; whoever wrote his own gets one.
    let id = form.get("id").parse().unwrap_or_else(|_| NewDeployment::random_id());
    Ok(collection.zip(settings).filter(|_| form.is_right()).map(|(collection, settings)| NewDeployment {
        id,
        name,
        selection: Selection::Updates(updates),
        collection,
        settings,
    }))
}

/// The updates in the form, each once.
fn update_ids(form: &mut Form) -> Vec<UpdateId> {
    let mut ids: Vec<UpdateId> = form.all("update").filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    form.set_all("update", ids.iter().map(ToString::to_string));
    ids
}

async fn apply_template(state: &State, form: &mut Form) -> Result<(), Problem> {
    let chosen = form.get("template").parse().ok();
    let templates = state.database().templates().await?;
    match templates.into_iter().find(|template| Some(template.id) == chosen) {
        Some(template) => settings::write(&template.settings, form),
        None => form.wrong("template", "Choose a template."),
    }
    Ok(())
}

/// The first step with a mistake.
fn first_wrong(form: &Form) -> Option<Step> {
    form.errors().filter_map(|(field, _)| Step::of_field(field)).min()
}

fn is_flawless(form: &mut Form, review: &Review) -> bool {
    note(form, &review.problems);
    review.problems.is_empty()
}

fn note(form: &mut Form, problems: &[FieldError]) {
    for problem in problems {
        let field = settings::field_of(&problem.field);
        let field = if field == "updates" { "update".to_owned() } else { field };
        form.wrong(field, sentence(&problem.message));
    }
}

/// What was done; or nothing, and why is noted in the form.
fn noted<T>(form: &mut Form, done: Result<T, DeploymentError>) -> Result<Option<T>, Problem> {
    noted_at(form, done, None)
}

/// The same with every mistake noted at one field.
fn noted_at<T>(form: &mut Form, done: Result<T, DeploymentError>, field: Option<&str>) -> Result<Option<T>, Problem> {
    match (done, field) {
        (Ok(done), _) => return Ok(Some(done)),
        (Err(DeploymentError::Database(error)), _) => return Err(error.into()),
        (Err(DeploymentError::Invalid(problems)), None) => note(form, &problems),
        (Err(DeploymentError::Invalid(problems)), Some(field)) => {
            problems.iter().for_each(|problem| form.wrong(field, sentence(&problem.message)));
        }
        (Err(error), field) => form.wrong(field.unwrap_or("form"), sentence(&error.to_string())),
    }
    Ok(None)
}
