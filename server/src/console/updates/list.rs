//! `/updates`: the list of software updates, searched, filtered and sorted by its address.

use super::super::chart::{self, Chart};
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{
    Address, CLASSIFICATIONS, Column, ORDERS, Parameters, STATES, Words, reversed, word_of,
};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::config::Classification;
use crate::database::views::{Order, Page, StateCounts, UpdateFilter, UpdateRow, UpdateSort};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;
use farrier_protocol::ComplianceState;

const PATH: &str = "/updates";
const SORTS: Words<UpdateSort> = &[
    ("required", UpdateSort::Required),
    ("title", UpdateSort::Title),
    ("classification", UpdateSort::Classification),
    ("suite", UpdateSort::Suite),
    ("first_seen", UpdateSort::FirstSeen),
    ("compliant", UpdateSort::Compliant),
];

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
    let sort = parameters.word("sort", SORTS)?.unwrap_or(UpdateSort::Required);
    let filter = UpdateFilter {
        search: parameters.search()?,
        state: parameters.word("state", STATES)?,
        classification: parameters.word("classification", CLASSIFICATIONS)?,
        suite: parameters.text("suite")?,
        superseded: parameters.flag("superseded")?,
        sort,
        order: parameters.word("order", ORDERS)?.unwrap_or(natural(sort)),
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

/// The direction a column has at the first click: what asks for action first.
fn natural(sort: UpdateSort) -> Order {
    match sort {
        UpdateSort::Required | UpdateSort::Classification | UpdateSort::FirstSeen => Order::Descending,
        UpdateSort::Title | UpdateSort::Suite | UpdateSort::Compliant => Order::Ascending,
    }
}

fn address(filter: &UpdateFilter) -> String {
    let is_default = UpdateSort::Required == filter.sort;
    Address::new(PATH)
        .with("search", &filter.search)
        .with("state", filter.state.map_or("", |state| word_of(STATES, &state)))
        .with("classification", filter.classification.map_or("", Classification::as_str))
        .with("suite", filter.suite.as_deref().unwrap_or_default())
        .with("superseded", if filter.superseded { "1" } else { "" })
        .with("sort", if is_default { "" } else { word_of(SORTS, &filter.sort) })
        .with("order", if filter.order == natural(filter.sort) { "" } else { word_of(ORDERS, &filter.order) })
        .with_page(filter.page)
        .into_string()
}

impl UpdatesPage {
    fn column(&self, label: &'static str, sort: UpdateSort, numeric: bool) -> Column {
        let sorted = (self.filter.sort == sort).then_some(self.filter.order);
        let order = sorted.map_or(natural(sort), reversed);
        let filter = UpdateFilter { sort, order, page: 1, ..self.filter.clone() };
        Column { label, address: address(&filter), sorted, numeric }
    }

    fn page_address(&self, page: i64) -> String {
        address(&UpdateFilter { page, ..self.filter.clone() })
    }

    fn states() -> Words<ComplianceState> {
        STATES
    }

    fn classifications() -> Words<Classification> {
        CLASSIFICATIONS
    }

    fn sort_word(&self) -> &'static str {
        word_of(SORTS, &self.filter.sort)
    }

    fn is_natural_order(&self) -> bool {
        self.filter.order == natural(self.filter.sort)
    }

    fn order_word(&self) -> &'static str {
        word_of(ORDERS, &self.filter.order)
    }

    fn with_superseded(&self) -> String {
        address(&UpdateFilter { superseded: true, page: 1, ..self.filter.clone() })
    }

    fn chart(counts: &StateCounts) -> Chart {
        chart::states(counts)
    }
}
