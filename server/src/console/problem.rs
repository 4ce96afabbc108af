//! Why a request is not answered: what is wrong, and a way on. A page for people, JSON below `/api`.

use super::State;
use super::frame::{Frame, Section, html};
use crate::collections::CollectionError;
use crate::database::DefinitionError;
use crate::deployment::DeploymentError;
use crate::plugins::PluginError;
use crate::windows::WindowError;
use askama::Template;
use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::error::Error;

/// A refused or failed request.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    message: String,
    remedy: &'static str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, title: &'static str, message: String, remedy: &'static str) -> Self {
        Self { status, title, message, remedy }
    }

    pub(super) fn not_found(message: String, remedy: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", message, remedy)
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "This address has a mistake",
            message,
            "Correct the address, or start again from the navigation.",
        )
    }

    /// A form that no page of the console sends.
    pub(super) fn bad_form(message: String) -> Self {
        let remedy = "Go back, reload the page and try again.";
        Self::new(StatusCode::BAD_REQUEST, "This form cannot be read", message, remedy)
    }

    /// What was asked for cannot be done as things are.
    pub(super) fn conflict(message: String) -> Self {
        let remedy = "Go back and reload the page: it shows how things are now.";
        Self::new(StatusCode::CONFLICT, "Not done", message, remedy)
    }

    /// The answer to somebody who is not to see a page of ours.
    pub(super) fn into_plain_response(self) -> Response {
        (self.status, format!("{}: {} {}\n", self.title, self.message, self.remedy)).into_response()
    }
}

/// What an application function refuses is for whoever asked; what goes wrong inside is for the log.
impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        if let Some(refusal) = refusal(&error) {
            return refusal;
        }
        tracing::error!(error = format!("{error:#}"), "Page of the console failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The site failed",
            "The console could not read the site database.".to_owned(),
            "The site's log says why. Try again.",
        )
    }
}

/// The problem of a request that cannot be done; none if the site failed.
fn refusal(error: &anyhow::Error) -> Option<Problem> {
    let kind = if let Some(error) = error.downcast_ref::<DeploymentError>() {
        match error {
            DeploymentError::Database(_) => return None,
            DeploymentError::Unknown(_) => Refusal::Unknown,
            DeploymentError::Refused(_) => Refusal::Conflict,
            DeploymentError::Invalid(_) => Refusal::Invalid,
        }
    } else if let Some(error) = error.downcast_ref::<CollectionError>() {
        match error {
            CollectionError::Definition(DefinitionError::Database(_)) => return None,
            CollectionError::Definition(DefinitionError::Unknown(_)) => Refusal::Unknown,
            CollectionError::Name
            | CollectionError::Query(_)
            | CollectionError::Definition(DefinitionError::UnknownClient(_)) => Refusal::Invalid,
            _ => Refusal::Conflict,
        }
    } else if let Some(error) = error.downcast_ref::<WindowError>() {
        match error {
            WindowError::Database(_) => return None,
            WindowError::Unknown(_) | WindowError::UnknownCollection(_) => Refusal::Unknown,
            _ => Refusal::Invalid,
        }
    } else if let Some(error) = error.downcast_ref::<PluginError>() {
        match error {
            PluginError::Database(_) => return None,
            PluginError::Unknown(_) => Refusal::Unknown,
            PluginError::Refused(_) => Refusal::Conflict,
            PluginError::Invalid(_) => Refusal::Invalid,
        }
    } else {
        return None;
    };
    let message = in_words(error.as_ref());
    Some(match kind {
        Refusal::Unknown => Problem::not_found(message, "Look at the list: somebody may have removed it."),
        Refusal::Conflict => Problem::conflict(message),
        Refusal::Invalid => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Not done",
            message,
            "Nothing was changed. Correct it and try again.",
        ),
    })
}

/// Why an application function refuses.
enum Refusal {
    Unknown,
    Conflict,
    Invalid,
}

/// An error with its causes, as sentences for people.
pub(super) fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    sentence(&words)
}

/// A message as a sentence of its own.
pub(super) fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if message.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

/// Carries the problem to [`render`], which knows who asked.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    problem: &'a Problem,
}

#[derive(serde::Serialize)]
struct ProblemJson<'a> {
    error: &'a str,
    remedy: &'a str,
}

/// Turns problems into pages or JSON.
pub(super) async fn render(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if is_api {
        let json = ProblemJson { error: &problem.message, remedy: problem.remedy };
        return (problem.status, Json(json)).into_response();
    }
    let page = ProblemPage { frame: Frame::new(&state, Section::None), problem: &problem };
    match html(&page) {
        Ok(page) => (problem.status, page).into_response(),
        Err(_) => problem.into_plain_response(),
    }
}

pub(super) async fn no_such_page(uri: Uri) -> Problem {
    Problem::not_found(format!("There is no page {}.", uri.path()), "Start again from the navigation.")
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not take {method}.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Not possible", message, "Start again from the navigation.")
}
