//! The parameters of an address: read strictly, so that a mistyped filter is an error and not another page, and written
//! back shortest, so that every view has one address.

use super::problem::Problem;
use crate::config::Classification;
use crate::database::views::Order;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use farrier_protocol::ComplianceState;
use std::fmt::Write as _;

/// Bytes of a search, at most.
const MAX_SEARCH_BYTES: usize = 200;
/// Pages that can be asked for.
const MAX_PAGE: i64 = 1_000_000;

/// The words of an enum in an address. The first one of a value is what we write.
pub(super) type Words<T> = &'static [(&'static str, T)];

pub(super) const STATES: Words<ComplianceState> = &[
    ("Required", ComplianceState::Required),
    ("Unknown", ComplianceState::Unknown),
    ("Installed", ComplianceState::Installed),
    ("NotRequired", ComplianceState::NotRequired),
];
pub(super) const CLASSIFICATIONS: Words<Classification> = &[
    (Classification::SecurityUpdates.as_str(), Classification::SecurityUpdates),
    (Classification::CriticalUpdates.as_str(), Classification::CriticalUpdates),
    (Classification::Updates.as_str(), Classification::Updates),
];
pub(super) const ORDERS: Words<Order> = &[("asc", Order::Ascending), ("desc", Order::Descending)];

/// The parameters of a request, each to be taken once.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(given)) => Ok(Self { given, known: Vec::new() }),
            Err(_) => Err(Problem::bad_request("The part of the address behind the ? cannot be read.".to_owned())),
        }
    }
}

impl Parameters {
    /// The text of a parameter, trimmed; an empty one, as forms send it, counts as absent.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.known.push(name);
        let mut values = self.given.iter().filter(|(given, _)| given == name).map(|(_, value)| value.trim());
        let value = values.next().filter(|value| !value.is_empty()).map(str::to_owned);
        match values.next() {
            Some(_) => Err(Problem::bad_request(format!("The parameter {name} is given twice."))),
            None => Ok(value),
        }
    }

    pub(super) fn search(&mut self) -> Result<String, Problem> {
        let search = self.text("search")?.unwrap_or_default();
        if search.len() > MAX_SEARCH_BYTES {
            let message = format!("The search is longer than {MAX_SEARCH_BYTES} bytes.");
            return Err(Problem::bad_request(message));
        }
        Ok(search)
    }

    /// One of the words of an enum.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: Words<T>) -> Result<Option<T>, Problem> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*found));
        }
        let choices = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        Err(Problem::bad_request(format!("{name} is {value:?}; it can be one of: {choices}.")))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        Ok(self.word(name, &[("1", true), ("0", false)])?.unwrap_or(false))
    }

    pub(super) fn page(&mut self) -> Result<i64, Problem> {
        let Some(value) = self.text("page")? else { return Ok(1) };
        match value.parse() {
            Ok(page @ 1..=MAX_PAGE) => Ok(page),
            _ => Err(Problem::bad_request(format!("page is {value:?}; it is a number from 1 to {MAX_PAGE}."))),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &'static str, least: i64, most: usize) -> Result<Option<i64>, Problem> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let Some(value) = self.text(name)? else { return Ok(None) };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::bad_request(format!("{name} is {value:?}; it is a number from {least} to {most}."))),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let unknown = self.given.iter().find(|(name, _)| !self.known.contains(&name.as_str()));
        let Some((name, _)) = unknown else { return Ok(()) };
        let known = self.known.join(", ");
        Err(Problem::bad_request(format!("There is no parameter {name:?} here; there are: {known}.")))
    }
}

/// The word of a value.
pub(super) fn word_of<T: PartialEq>(words: Words<T>, value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}

/// An address under construction.
#[derive(Debug, Clone)]
pub(super) struct Address(String);

impl Address {
    pub(super) fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Appends a parameter unless it is empty.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.0.push(char::from(byte)),
                b' ' => self.0.push('+'),
                _ => _ = write!(self.0, "%{byte:02X}"),
            }
        }
        self
    }

    /// Appends the page unless it is the first.
    #[must_use]
    pub(super) fn with_page(self, page: i64) -> Self {
        if page > 1 { self.with("page", &page.to_string()) } else { self }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// What a list can be sorted by, and how its address says so.
#[derive(Debug)]
pub(super) struct Sorting<S: 'static> {
    pub(super) words: Words<S>,
    /// The order of a list that nobody sorted.
    pub(super) usual: S,
    /// The direction a column has at the first click: what asks for action first.
    pub(super) natural: fn(S) -> Order,
}

impl<S: Copy + PartialEq> Sorting<S> {
    pub(super) fn read(&self, parameters: &mut Parameters) -> Result<(S, Order), Problem> {
        let sort = parameters.word("sort", self.words)?.unwrap_or(self.usual);
        let order = parameters.word("order", ORDERS)?.unwrap_or((self.natural)(sort));
        Ok((sort, order))
    }

    /// What an address and a form say of it: nothing of what goes without saying.
    pub(super) fn said(&self, sort: S, order: Order) -> Vec<(&'static str, &'static str)> {
        let mut said = Vec::new();
        if sort != self.usual {
            said.push(("sort", word_of(self.words, &sort)));
        }
        if order != (self.natural)(sort) {
            said.push(("order", word_of(ORDERS, &order)));
        }
        said
    }

    pub(super) fn write(&self, address: Address, sort: S, order: Order) -> Address {
        self.said(sort, order).into_iter().fold(address, |address, (name, word)| address.with(name, word))
    }

    /// The head of a column; `shown` is how the list is sorted, `address` where it is sorted otherwise.
    pub(super) fn column(
        &self,
        label: &'static str,
        sort: S,
        numeric: bool,
        shown: (S, Order),
        address: impl FnOnce(S, Order) -> String,
    ) -> Column {
        let sorted = (shown.0 == sort).then_some(shown.1);
        let order = sorted.map_or((self.natural)(sort), reversed);
        Column { label, address: address(sort, order), sorted, numeric }
    }
}

/// One choice of a filter or a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) word: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// The choices of a filter.
pub(super) fn choices<T: Copy + PartialEq>(
    words: Words<T>,
    chosen: Option<T>,
    label: fn(T) -> &'static str,
) -> Vec<Choice> {
    let choice = |(word, value): &(&str, T)| Choice {
        word: (*word).to_owned(),
        label: label(*value).to_owned(),
        chosen: chosen == Some(*value),
    };
    words.iter().map(choice).collect()
}

/// The head of a sortable column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) label: &'static str,
    /// Where a click leads: to the column's own order, or to the opposite of the present one.
    pub(super) address: String,
    /// Its present direction, if the list is sorted by it.
    pub(super) sorted: Option<Order>,
    pub(super) numeric: bool,
}

impl Column {
    /// As `aria-sort` has it.
    pub(super) fn aria(&self) -> &'static str {
        match self.sorted {
            None => "none",
            Some(Order::Ascending) => "ascending",
            Some(Order::Descending) => "descending",
        }
    }
}

/// The opposite direction.
fn reversed(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_a_person_typed_and_nothing_else() {
        let address = Address::new("/updates").with("search", "a&b=c \"ü\"").with("suite", "").with_page(1);
        assert_eq!(address.into_string(), "/updates?search=a%26b%3Dc+%22%C3%BC%22");
        assert_eq!(
            Address::new("/updates").with("state", "Required").with_page(3).into_string(),
            "/updates?state=Required&page=3"
        );
    }
}
