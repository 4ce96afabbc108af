//! `/clients`: the list of clients, searched, filtered and sorted by its address.

use super::super::chart::{self, Chart};
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Column, ORDERS, Parameters, Words, reversed, word_of};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::now;
use crate::database::views::{ClientFilter, ClientGroup, ClientRow, ClientSort, Contact, Order, Page, StateCounts};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;

const PATH: &str = "/clients";
const SORTS: Words<ClientSort> = &[
    ("last_contact", ClientSort::LastContact),
    ("hostname", ClientSort::Hostname),
    ("last_scan", ClientSort::LastScan),
    ("required", ClientSort::Required),
    ("unknown", ClientSort::Unknown),
];
const GROUPS: Words<ClientGroup> = &[
    ("required", ClientGroup::Required),
    ("unknown", ClientGroup::Unknown),
    ("compliant", ClientGroup::Compliant),
    ("failed", ClientGroup::Failed),
    ("never_scanned", ClientGroup::NeverScanned),
];
const CONTACTS: Words<Contact> =
    &[("24h", Contact::Day), ("7d", Contact::Week), ("30d", Contact::Month), ("older", Contact::Older)];

#[derive(Template)]
#[template(path = "clients.html")]
struct ClientsPage {
    frame: Frame,
    filter: ClientFilter,
    list: Page<ClientRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let (filter, list) = read(&state, parameters).await?;
    html(&ClientsPage { frame: Frame::new(&state, Section::Clients), filter, list })
}

pub(in super::super) async fn api(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Json<Page<ClientRow>>, Problem> {
    Ok(Json(read(&state, parameters).await?.1))
}

async fn read(state: &State, parameters: Parameters) -> Result<(ClientFilter, Page<ClientRow>), Problem> {
    let filter = parse(parameters)?;
    state.counting.refresh().await?;
    let list = state.database().client_rows(&filter, now()).await?;
    Ok((filter, list))
}

fn parse(mut parameters: Parameters) -> Result<ClientFilter, Problem> {
    let sort = parameters.word("sort", SORTS)?.unwrap_or(ClientSort::LastContact);
    let filter = ClientFilter {
        search: parameters.search()?,
        group: parameters.word("group", GROUPS)?,
        contact: parameters.word("contact", CONTACTS)?,
        sort,
        order: parameters.word("order", ORDERS)?.unwrap_or(natural(sort)),
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

fn natural(sort: ClientSort) -> Order {
    match sort {
        ClientSort::Hostname => Order::Ascending,
        _ => Order::Descending,
    }
}

fn address(filter: &ClientFilter) -> String {
    let is_default = ClientSort::LastContact == filter.sort;
    Address::new(PATH)
        .with("search", &filter.search)
        .with("group", filter.group.map_or("", |group| word_of(GROUPS, &group)))
        .with("contact", filter.contact.map_or("", |contact| word_of(CONTACTS, &contact)))
        .with("sort", if is_default { "" } else { word_of(SORTS, &filter.sort) })
        .with("order", if filter.order == natural(filter.sort) { "" } else { word_of(ORDERS, &filter.order) })
        .with_page(filter.page)
        .into_string()
}

impl ClientsPage {
    fn column(&self, label: &'static str, sort: ClientSort, numeric: bool) -> Column {
        let sorted = (self.filter.sort == sort).then_some(self.filter.order);
        let order = sorted.map_or(natural(sort), reversed);
        let filter = ClientFilter { sort, order, page: 1, ..self.filter.clone() };
        Column { label, address: address(&filter), sorted, numeric }
    }

    fn page_address(&self, page: i64) -> String {
        address(&ClientFilter { page, ..self.filter.clone() })
    }

    /// The choices of a filter: word, label, whether it is chosen.
    fn groups(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        GROUPS.iter().map(|(word, group)| (*word, group_label(*group), self.filter.group == Some(*group)))
    }

    fn contacts(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        CONTACTS.iter().map(|(word, contact)| (*word, contact_label(*contact), self.filter.contact == Some(*contact)))
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

    fn is_filtered(&self) -> bool {
        !self.filter.search.is_empty() || self.filter.group.is_some() || self.filter.contact.is_some()
    }

    fn chart(counts: &StateCounts) -> Chart {
        chart::applicable(counts)
    }
}

fn group_label(group: ClientGroup) -> &'static str {
    match group {
        ClientGroup::Required => "Require updates",
        ClientGroup::Unknown => "Unknown",
        ClientGroup::Compliant => "Compliant",
        ClientGroup::Failed => "Scan failed",
        ClientGroup::NeverScanned => "Never scanned",
    }
}

fn contact_label(contact: Contact) -> &'static str {
    match contact {
        Contact::Day => "Within 24 hours",
        Contact::Week => "1 to 7 days ago",
        Contact::Month => "7 to 30 days ago",
        Contact::Older => "Over 30 days ago",
    }
}
