//! `/collections/{id}/windows/...`: the form of a maintenance window or of business hours.

use super::super::form::Form;
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Choice, Words};
use super::super::problem::{Problem, in_words};
use super::super::{State, filters, spans};
use super::{collection, parse_id};
use crate::database::views::CollectionLink;
use crate::database::{CollectionId, MaintenanceWindow, WindowDefinition, now};
use crate::windows::{self, MAX_SECONDS, Occurrence, WindowError};
use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use farrier_protocol::assignment::WindowKind;
use jiff::civil::DateTime;

/// Occurrences of a preview.
const SHOWN_OCCURRENCES: usize = 8;
const KINDS: Words<WindowKind> =
    &[("maintenance", WindowKind::Maintenance), ("business_hours", WindowKind::BusinessHours)];
const REPEATS: Words<Repeat> =
    &[("once", Repeat::Once), ("daily", Repeat::Daily), ("weekly", Repeat::Weekly), ("rule", Repeat::Rule)];
/// As recurrence rules name the days, and as people do.
const DAYS: [(&str, &str); 7] =
    [("MO", "Mon"), ("TU", "Tue"), ("WE", "Wed"), ("TH", "Thu"), ("FR", "Fri"), ("SA", "Sat"), ("SU", "Sun")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Daily,
    Weekly,
    Rule,
}

#[derive(Template)]
#[template(path = "window_edit.html")]
struct WindowPage {
    frame: Frame,
    form: Form,
    collection: CollectionLink,
    /// None for a new one.
    id: Option<i64>,
    preview: Vec<Occurrence>,
}

pub(in super::super) async fn create_page(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let mut form = Form::default();
    for (name, value) in [("kind", "maintenance"), ("repeat", "weekly"), ("duration", "4 h"), ("enabled", "1")] {
        form.set(name, value);
    }
    html(&WindowPage::new(&state, &id, None, form).await?)
}

pub(in super::super) async fn edit_page(
    Shared(state): Shared<State>,
    Path((id, window)): Path<(String, String)>,
) -> Result<Html<String>, Problem> {
    let window = stored(&state, &id, &window).await?;
    html(&WindowPage::new(&state, &id, Some(window.id), written(&window.definition)).await?)
}

pub(in super::super) async fn create(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Problem> {
    WindowPage::new(&state, &id, None, form).await?.submit(&state).await
}

pub(in super::super) async fn change(
    Shared(state): Shared<State>,
    Path((id, window)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Problem> {
    let window = stored(&state, &id, &window).await?;
    WindowPage::new(&state, &id, Some(window.id), form).await?.submit(&state).await
}

pub(in super::super) async fn remove(
    Shared(state): Shared<State>,
    Path((id, window)): Path<(String, String)>,
) -> Result<Redirect, Problem> {
    let window = stored(&state, &id, &window).await?;
    windows::remove(state.database(), window.id, now()).await?;
    tracing::info!(window.id, "Window removed in the console");
    state.console.signals.deployments_changed.notify_one();
    Ok(Redirect::to(&format!("/collections/{}", window.collection)))
}

/// A window of this collection.
pub(in super::super) async fn stored(
    state: &State,
    collection: &str,
    window: &str,
) -> Result<MaintenanceWindow, Problem> {
    let id: CollectionId = parse_id(collection)?;
    let number = window.parse().map_err(|_| Problem::bad_request(format!("{window:?} is no number of a window.")))?;
    let found = state.database().window(number).await?.filter(|window| window.collection == id);
    found.ok_or_else(|| {
        let message = format!("Collection {id} has no window {number}.");
        Problem::not_found(message, "Look at the collection: somebody may have removed it.")
    })
}

fn written(window: &WindowDefinition) -> Form {
    let mut form = Form::default();
    form.set("name", &window.name);
    form.set("kind", super::super::parameters::word_of(KINDS, &window.kind));
    form.set("starts", window.starts.strftime("%Y-%m-%dT%H:%M"));
    form.set("duration", spans::words(window.duration_seconds.into()));
    form.set("time_zone", window.time_zone.as_deref().unwrap_or_default());
    form.set_box("enabled", window.enabled);
    let rule = window.recurrence.as_deref().unwrap_or_default();
    form.set("recurrence", rule);
    let days = rule.strip_prefix("FREQ=WEEKLY;BYDAY=").map(|days| days.split(',').collect::<Vec<_>>());
    let days = days.filter(|days| days.iter().all(|day| DAYS.iter().any(|(known, _)| known == day)));
    form.set(
        "repeat",
        match (rule, &days) {
            ("", _) => "once",
            ("FREQ=DAILY", _) => "daily",
            (_, Some(_)) => "weekly",
            _ => "rule",
        },
    );
    form.set_all("day", days.into_iter().flatten().map(str::to_owned));
    form
}

/// What the form says; none if anything in it is wrong by itself.
fn read(form: &mut Form) -> Option<WindowDefinition> {
    let starts = form.get("starts").parse::<DateTime>();
    let starts = form.check("starts", starts.map_err(|_| "Write a date and a time, for example 2026-11-24T22:00."));
    let kind = form.word("kind", KINDS);
    let duration_seconds = form.seconds("duration", MAX_SECONDS).unwrap_or(0);
    let repeat = form.word("repeat", REPEATS)?;
    let days: Vec<_> = DAYS.iter().filter(|(day, _)| form.has("day", day)).map(|(day, _)| *day).collect();
    if repeat == Repeat::Weekly && days.is_empty() {
        form.wrong("day", "Choose at least one day.");
    }
    let text = |name: &str| Some(form.get(name).to_owned()).filter(|text| !text.is_empty());
    Some(WindowDefinition {
        name: form.get("name").to_owned(),
        kind: kind?,
        starts: starts?,
        recurrence: match repeat {
            Repeat::Once => None,
            Repeat::Daily => Some("FREQ=DAILY".to_owned()),
            Repeat::Weekly => Some(format!("FREQ=WEEKLY;BYDAY={}", days.join(","))),
            Repeat::Rule => text("recurrence"),
        },
        duration_seconds,
        time_zone: text("time_zone"),
        enabled: form.is_set("enabled"),
    })
}

impl WindowPage {
    async fn new(state: &State, id: &str, window: Option<i64>, form: Form) -> Result<Self, Problem> {
        let row = collection(state, parse_id(id)?).await?.row;
        let collection = CollectionLink { id: row.id, name: row.name };
        Ok(Self { frame: Frame::new(state, Section::Collections), form, collection, id: window, preview: Vec::new() })
    }

    /// Stores the window, or shows its form again with its next occurrences or with what is wrong.
    async fn submit(mut self, state: &State) -> Result<Response, Problem> {
        let window = read(&mut self.form).filter(|_| self.form.is_right());
        if let Some(window) = window {
            let done = match self.form.get("go") {
                "preview" => windows::next_occurrences(&window, now(), SHOWN_OCCURRENCES).map(|preview| {
                    self.preview = preview;
                    false
                }),
                _ => self.store(state, &window).await.map(|()| true),
            };
            match done {
                Ok(true) => return Ok(Redirect::to(&format!("/collections/{}", self.collection.id)).into_response()),
                Ok(false) => {}
                Err(WindowError::Database(error)) => return Err(error.into()),
                Err(error) => {
                    let field = error
                        .field()
                        .map_or("form", |field| if field == "duration_seconds" { "duration" } else { field });
                    self.form.wrong(field, in_words(&error));
                }
            }
        }
        Ok(html(&self)?.into_response())
    }

    async fn store(&self, state: &State, window: &WindowDefinition) -> Result<(), WindowError> {
        match self.id {
            Some(id) => windows::change(state.database(), id, window, now()).await?,
            None => _ = windows::add(state.database(), self.collection.id, window, now()).await?,
        }
        tracing::info!(collection.id = self.collection.id.0, "Window stored in the console");
        state.console.signals.deployments_changed.notify_one();
        Ok(())
    }

    fn action(&self) -> String {
        let window = self.id.map_or("new".to_owned(), |id| id.to_string());
        format!("/collections/{}/windows/{window}", self.collection.id)
    }

    fn days(&self) -> Vec<Choice> {
        let choice = |(day, label): &(&str, &str)| Choice {
            word: (*day).to_owned(),
            label: (*label).to_owned(),
            chosen: self.form.has("day", day),
        };
        DAYS.iter().map(choice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(recurrence: Option<&str>) -> WindowDefinition {
        WindowDefinition {
            name: "Tuesday night".to_owned(),
            kind: WindowKind::BusinessHours,
            starts: "2026-11-24T22:00:00".parse().unwrap(),
            recurrence: recurrence.map(str::to_owned),
            duration_seconds: 9_000,
            time_zone: Some("Europe/Berlin".to_owned()),
            enabled: false,
        }
    }

    #[test]
    fn windows_survive_a_form() {
        for recurrence in [
            None,
            Some("FREQ=DAILY"),
            Some("FREQ=WEEKLY;BYDAY=TU,TH"),
            Some("FREQ=WEEKLY;BYDAY=TU;COUNT=4"),
            Some("FREQ=MONTHLY;BYDAY=2TU"),
        ] {
            let window = window(recurrence);
            assert_eq!(read(&mut written(&window)), Some(window));
        }
    }

    #[test]
    fn a_weekly_window_needs_a_day() {
        let mut form = written(&window(Some("FREQ=WEEKLY;BYDAY=TU")));
        form.remove("day");
        read(&mut form);
        assert!(form.error("day").is_some());
    }
}
