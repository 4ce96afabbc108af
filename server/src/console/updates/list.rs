//! `/updates`: the list of software updates, searched, filtered and sorted by its address.

use super::super::chart::{self, Chart};
use super::super::filters::state_label;
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{
    Address, CLASSIFICATIONS, Choice, Column, Parameters, STATES, Sorting, choices, word_of,
};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::config::Classification;
use crate::database::views::{Order, Page, StateCounts, UpdateFilter, UpdateRow, UpdateSort};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;
use farrier_protocol::UpdateId;
use farrier_protocol::deployment::MAX_DEPLOYED_UPDATES;

const PATH: &str = "/updates";
const SORTING: Sorting<UpdateSort> = Sorting {
    words: &[
        ("required", UpdateSort::Required),
        ("title", UpdateSort::Title),
        ("classification", UpdateSort::Classification),
        ("suite", UpdateSort::Suite),
        ("first_seen", UpdateSort::FirstSeen),
        ("compliant", UpdateSort::Compliant),
    ],
    usual: UpdateSort::Required,
    natural,
};

#[derive(Template)]
#[template(path = "updates.html")]
struct UpdatesPage {
    frame: Frame,
    filter: UpdateFilter,
    list: Page<UpdateRow>,
    suites: Vec<String>,
    /// Whether nothing was ever synchronized.
    is_empty_site: bool,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let (filter, list, suites) = read(&state, parameters).await?;
    let unfiltered = filter == UpdateFilter { page: filter.page, ..UpdateFilter::default() };
    let is_empty_site = unfiltered && list.total == 0;
    html(&UpdatesPage { frame: Frame::new(&state, Section::Updates), filter, list, suites, is_empty_site })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Json<Page<UpdateRow>>, Problem> {
    Ok(Json(read(&state, parameters).await?.1))
}

/// The ids of all updates that the address shows, on whichever page; one too many for a deployment where there are more.
pub(in super::super) async fn every_id(state: &State, parameters: Parameters) -> Result<Vec<UpdateId>, Problem> {
    let filter = parse(parameters)?;
    Ok(state.database().filtered_update_ids(&filter).await?)
}

async fn read(state: &State, parameters: Parameters) -> Result<(UpdateFilter, Page<UpdateRow>, Vec<String>), Problem> {
    let filter = parse(parameters)?;
    let suites = state.database().suite_names().await?;
    if let Some(suite) = filter.suite.as_ref().filter(|suite| !suites.contains(suite)) {
        let message = format!("There is no suite {suite:?} on this site; there are: {}.", suites.join(", "));
        return Err(Problem::bad_request(message));
    }
    state.counting.refresh().await?;
    let list = state.database().update_rows(&filter).await?;
    Ok((filter, list, suites))
}

fn parse(mut parameters: Parameters) -> Result<UpdateFilter, Problem> {
    let (sort, order) = SORTING.read(&mut parameters)?;
    let filter = UpdateFilter {
        search: parameters.search()?,
        state: parameters.word("state", STATES)?,
        classification: parameters.word("classification", CLASSIFICATIONS)?,
        suite: parameters.text("suite")?,
        superseded: parameters.flag("superseded")?,
        sort,
        order,
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

fn natural(sort: UpdateSort) -> Order {
    match sort {
        UpdateSort::Required | UpdateSort::Classification | UpdateSort::FirstSeen => Order::Descending,
        UpdateSort::Title | UpdateSort::Suite | UpdateSort::Compliant => Order::Ascending,
    }
}

fn address(filter: &UpdateFilter) -> String {
    let address = Address::new(PATH)
        .with("search", &filter.search)
        .with("state", filter.state.map_or("", |state| word_of(STATES, &state)))
        .with("classification", filter.classification.map_or("", Classification::as_str))
        .with("suite", filter.suite.as_deref().unwrap_or_default())
        .with("superseded", if filter.superseded { "1" } else { "" });
    SORTING.write(address, filter.sort, filter.order).with_page(filter.page).into_string()
}

impl UpdatesPage {
    fn column(&self, label: &'static str, sort: UpdateSort, numeric: bool) -> Column {
        SORTING.column(label, sort, numeric, (self.filter.sort, self.filter.order), |sort, order| {
            address(&UpdateFilter { sort, order, page: 1, ..self.filter.clone() })
        })
    }

    fn page_address(&self, page: i64) -> String {
        address(&UpdateFilter { page, ..self.filter.clone() })
    }

    /// What the form of filters keeps of the order.
    fn sorting(&self) -> Vec<(&'static str, &'static str)> {
        SORTING.said(self.filter.sort, self.filter.order)
    }

    fn states(&self) -> Vec<Choice> {
        choices(STATES, self.filter.state, state_label)
    }

    fn classifications(&self) -> Vec<Choice> {
        choices(CLASSIFICATIONS, self.filter.classification, Classification::as_str)
    }

    fn suite_choices(&self) -> Vec<Choice> {
        let chosen = |suite: &String| self.filter.suite.as_ref() == Some(suite);
        let choice = |suite: &String| Choice { word: suite.clone(), label: suite.clone(), chosen: chosen(suite) };
        self.suites.iter().map(choice).collect()
    }

    /// Where what is selected here is deployed.
    fn deploy_address(&self) -> String {
        let query = address(&UpdateFilter { page: 1, ..self.filter.clone() });
        query.replacen(PATH, "/deployments/new", 1)
    }

    /// Whether one deployment can have all that the filter shows, and somebody chose what it shows.
    fn fits_one_deployment(&self) -> bool {
        let UpdateFilter { search, state, classification, suite, .. } = &self.filter;
        let is_chosen = !search.is_empty() || state.is_some() || classification.is_some() || suite.is_some();
        is_chosen
            && self.list.total > 1
            && usize::try_from(self.list.total).is_ok_and(|total| total <= MAX_DEPLOYED_UPDATES)
    }

    fn with_superseded(&self) -> String {
        address(&UpdateFilter { superseded: true, page: 1, ..self.filter.clone() })
    }

    fn chart(counts: &StateCounts) -> Chart {
        chart::states(counts)
    }
}
