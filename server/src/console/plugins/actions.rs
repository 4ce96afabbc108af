//! What an administrator does with a plugin: the forms of its page.

use super::super::State;
use super::super::collections::parse_id;
use super::super::form::Form;
use super::super::problem::Problem;
use super::address;
use crate::database::{CollectionId, Trial, now};
use crate::plugins::{Decision, GrantLines, Plugins, Promotion};
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::Redirect;

/// Who does what the console asks for.
const BY: &str = "the console";

/// An action by its word in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Decide,
    Assign(Trial),
    Promote,
    RollBack,
    End(Trial),
}

const ACTIONS: [(&str, Action); 7] = [
    ("approve", Action::Decide),
    ("assign", Action::Assign(Trial::Canary)),
    ("shadow", Action::Assign(Trial::Shadow)),
    ("promote", Action::Promote),
    ("rollback", Action::RollBack),
    ("end-canary", Action::End(Trial::Canary)),
    ("end-shadow", Action::End(Trial::Shadow)),
];

/// A button was pressed: does it, and shows the plugin.
pub(in super::super) async fn act(
    Shared(state): Shared<State>,
    Path((name, action)): Path<(String, String)>,
    form: Form,
) -> Result<Redirect, Problem> {
    let action = parse_action(&action)?;
    perform(&state.plugins(), &name, action, &form).await?;
    let part = match action {
        Action::Decide => "#versions",
        _ => "",
    };
    Ok(Redirect::to(&(address(&name) + part)))
}

fn parse_action(word: &str) -> Result<Action, Problem> {
    let found = ACTIONS.iter().find(|(known, _)| *known == word).map(|(_, action)| *action);
    found.ok_or_else(|| {
        let known = ACTIONS.map(|(word, _)| word).join(", ");
        Problem::not_found(format!("A plugin has no action {word:?}; there are: {known}."), "Use the page's buttons.")
    })
}

async fn perform(plugins: &Plugins, name: &str, action: Action, form: &Form) -> Result<(), Problem> {
    let now = now();
    match action {
        Action::Decide => drop(plugins.decide(name, &decision(form)?, now).await?),
        Action::Assign(trial) => {
            let version = version(form)?.ok_or_else(|| Problem::bad_form("Say which version.".to_owned()))?;
            drop(plugins.try_version((name, &version), trial, collection(form)?, BY, now).await?);
        }
        Action::Promote => {
            let promotion = Promotion {
                version: version(form)?,
                accept_differences: form.is_set("accept_differences"),
                accept_failures: form.is_set("accept_failures"),
                untried: form.is_set("untried"),
                by: BY.to_owned(),
            };
            drop(plugins.promote(name, &promotion, now).await?);
        }
        Action::RollBack => drop(plugins.roll_back(name, BY, now).await?),
        Action::End(trial) => plugins.end_trial(name, trial, BY, now).await?,
    }
    Ok(())
}

fn version(form: &Form) -> Result<Option<String>, Problem> {
    let version = form.get("version");
    if form.all("version").count() > 1 {
        return Err(Problem::bad_form("It names more than one version.".to_owned()));
    }
    Ok((!version.is_empty()).then(|| version.to_owned()))
}

fn collection(form: &Form) -> Result<CollectionId, Problem> {
    if !form.is_set("collection") {
        return Err(incomplete("No collection is chosen."));
    }
    parse_id(form.get("collection"))
}

/// The grants that are ticked, or everything, approved or refused.
fn decision(form: &Form) -> Result<Decision, Problem> {
    let mut decision = Decision { version: version(form)?, by: BY.to_owned(), ..Decision::default() };
    match form.get("decision") {
        "approve" => {}
        "refuse" => decision.revoke = true,
        "approve-all" => decision.all = true,
        other => return Err(Problem::bad_form(format!("{other:?} is no decision."))),
    }
    if !decision.all {
        decision.lines = lines(form)?;
        if decision.lines.is_empty() {
            return Err(incomplete("None of the grants is ticked."));
        }
    }
    Ok(decision)
}

/// Grants as `read /etc/os-release`.
fn lines(form: &Form) -> Result<GrantLines, Problem> {
    let mut lines = GrantLines::default();
    for line in form.all("grant") {
        let (access, grant) = line.split_once(' ').unwrap_or((line, ""));
        let list = match access {
            "read" => &mut lines.read,
            "write" => &mut lines.write,
            "run" => &mut lines.run,
            _ => return Err(Problem::bad_form(format!("{line:?} is no grant."))),
        };
        list.push(grant.to_owned());
    }
    Ok(lines)
}

fn incomplete(what: &str) -> Problem {
    let remedy = "Nothing was changed. Go back, choose one and try again.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not done", what.to_owned(), remedy)
}
