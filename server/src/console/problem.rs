//! Why a request is not answered: what is wrong, and a way on. A page for people, JSON below `/api`.

use super::State;
use super::frame::{Frame, Section, html};
use askama::Template;
use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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

    /// The answer to somebody who is not to see a page of ours.
    pub(super) fn into_plain_response(self) -> Response {
        (self.status, format!("{}: {} {}\n", self.title, self.message, self.remedy)).into_response()
    }
}

/// What goes wrong inside is for the log, not for the page.
impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        tracing::error!(error = format!("{:#}", error.into()), "Page of the console failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The site failed",
            "The console could not read the site database.".to_owned(),
            "The site's log says why. Try again.",
        )
    }
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
