//! `/clients`: the list of clients, searched, filtered and sorted by its address.

use super::super::chart::{self, Chart};
use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Choice, Column, Parameters, Sorting, Words, choices, word_of};
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::views::{ClientFilter, ClientGroup, ClientRow, ClientSort, Contact, Order, Page, StateCounts};
use crate::database::{Admission, now};
use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::Html;

const PATH: &str = "/clients";
const SORTING: Sorting<ClientSort> = Sorting {
    words: &[
        ("last_contact", ClientSort::LastContact),
        ("hostname", ClientSort::Hostname),
        ("last_scan", ClientSort::LastScan),
        ("required", ClientSort::Required),
        ("unknown", ClientSort::Unknown),
    ],
    usual: ClientSort::LastContact,
    natural,
};
const GROUPS: Words<ClientGroup> = &[
    ("required", ClientGroup::Required),
    ("unknown", ClientGroup::Unknown),
    ("compliant", ClientGroup::Compliant),
    ("failed", ClientGroup::Failed),
    ("never_scanned", ClientGroup::NeverScanned),
    ("waiting", ClientGroup::WaitsForApproval),
    ("revoked", ClientGroup::Revoked),
    ("in_doubt", ClientGroup::InDoubt),
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
    let (sort, order) = SORTING.read(&mut parameters)?;
    let filter = ClientFilter {
        search: parameters.search()?,
        group: parameters.word("group", GROUPS)?,
        contact: parameters.word("contact", CONTACTS)?,
        sort,
        order,
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
    let address = Address::new(PATH)
        .with("search", &filter.search)
        .with("group", filter.group.map_or("", |group| word_of(GROUPS, &group)))
        .with("contact", filter.contact.map_or("", |contact| word_of(CONTACTS, &contact)));
    SORTING.write(address, filter.sort, filter.order).with_page(filter.page).into_string()
}

impl ClientsPage {
    fn column(&self, label: &'static str, sort: ClientSort, numeric: bool) -> Column {
        SORTING.column(label, sort, numeric, (self.filter.sort, self.filter.order), |sort, order| {
            address(&ClientFilter { sort, order, page: 1, ..self.filter.clone() })
        })
    }

    fn page_address(&self, page: i64) -> String {
        address(&ClientFilter { page, ..self.filter.clone() })
    }

    /// What the form of filters keeps of the order.
    fn sorting(&self) -> Vec<(&'static str, &'static str)> {
        SORTING.said(self.filter.sort, self.filter.order)
    }

    fn groups(&self) -> Vec<Choice> {
        choices(GROUPS, self.filter.group, group_label)
    }

    fn contacts(&self) -> Vec<Choice> {
        choices(CONTACTS, self.filter.contact, contact_label)
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
        ClientGroup::WaitsForApproval => "Wait for approval",
        ClientGroup::Revoked => "Revoked",
        ClientGroup::InDoubt => "Identity in doubt",
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
