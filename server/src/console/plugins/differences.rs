//! `/plugins/{name}/differences`: what the shadow says otherwise, beside what counts.

use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Parameters};
use super::super::problem::Problem;
use super::super::{State, filters};
use super::{address, unknown};
use crate::database::views::{DifferenceFilter, DifferenceRow, Page};
use crate::database::{RegisteredPlugin, Trial, TrialFigures};
use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::Html;
use farrier_protocol::{ClientId, UpdateId};
use std::fmt::Display;
use std::str::FromStr;

#[derive(Template)]
#[template(path = "plugin_differences.html")]
struct DifferencesPage {
    frame: Frame,
    name: String,
    /// The version that counts where no canary does.
    current: String,
    shadow: Option<String>,
    figures: TrialFigures,
    filter: DifferenceFilter,
    list: Page<DifferenceRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let filter = parse(parameters)?;
    let plugin = state.database().registered_plugin(&name).await?.ok_or_else(|| unknown(&name))?;
    let shadow = shadow_of(&plugin);
    let figures = match &shadow {
        Some(shadow) => state.database().trial_figures(&name, shadow).await?,
        None => TrialFigures::default(),
    };
    let list = state.database().plugin_differences(&name, &filter).await?;
    let current = plugin.current_version().map_or_else(String::new, |current| current.version.clone());
    let frame = Frame::new(&state, Section::Plugins);
    html(&DifferencesPage { frame, name, current, shadow, figures, filter, list })
}

fn shadow_of(plugin: &RegisteredPlugin) -> Option<String> {
    plugin.trial(Trial::Shadow).map(|(version, _)| version.version.clone())
}

fn parse(mut parameters: Parameters) -> Result<DifferenceFilter, Problem> {
    let filter = DifferenceFilter {
        search: parameters.search()?,
        update: id(&mut parameters, "update", "an update")?,
        client: id(&mut parameters, "client", "a client")?,
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

fn id<T: FromStr<Err: Display>>(
    parameters: &mut Parameters,
    name: &'static str,
    of: &str,
) -> Result<Option<T>, Problem> {
    let Some(text) = parameters.text(name)? else { return Ok(None) };
    let id = text.parse().map_err(|error| Problem::bad_request(format!("{text:?} is no id of {of}: {error}.")));
    id.map(Some)
}

impl DifferencesPage {
    fn address(&self, filter: &DifferenceFilter) -> String {
        let id = |id: Option<&dyn Display>| id.map_or_else(String::new, ToString::to_string);
        Address::new(&format!("{}/differences", address(&self.name)))
            .with("search", &filter.search)
            .with("update", &id(filter.update.as_ref().map(|update| update as &dyn Display)))
            .with("client", &id(filter.client.as_ref().map(|client| client as &dyn Display)))
            .with_page(filter.page)
            .into_string()
    }

    fn page_address(&self, page: i64) -> String {
        self.address(&DifferenceFilter { page, ..self.filter.clone() })
    }

    fn update_address(&self, update: &UpdateId) -> String {
        self.address(&DifferenceFilter { update: Some(*update), page: 1, ..self.filter.clone() })
    }

    fn client_address(&self, client: &ClientId) -> String {
        self.address(&DifferenceFilter { client: Some(*client), page: 1, ..self.filter.clone() })
    }

    fn any_update_address(&self) -> String {
        self.address(&DifferenceFilter { update: None, page: 1, ..self.filter.clone() })
    }

    fn any_client_address(&self) -> String {
        self.address(&DifferenceFilter { client: None, page: 1, ..self.filter.clone() })
    }

    /// What the list is limited to, by name if any row has it.
    fn only_update(&self) -> Option<String> {
        let update = self.filter.update?;
        let row = self.list.items.iter().find(|row| row.update == update);
        Some(row.map_or_else(|| update.to_string(), |row| row.title.clone()))
    }

    fn only_client(&self) -> Option<String> {
        let client = self.filter.client?;
        let row = self.list.items.iter().find(|row| row.client == client);
        Some(row.map_or_else(|| client.to_string(), |row| row.hostname.clone()))
    }

    fn is_filtered(&self) -> bool {
        !self.filter.search.is_empty() || self.filter.update.is_some() || self.filter.client.is_some()
    }

    /// Whether another version counts on this row's client than elsewhere.
    fn is_special(&self, row: &DifferenceRow) -> bool {
        row.version != self.current
    }
}
