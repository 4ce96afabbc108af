//! What a person typed into a form, kept as typed until all of it is right, with what is wrong at each field.

use super::problem::Problem;
use axum::extract::{FromRequest, Request};
use std::collections::BTreeMap;

/// Fields of one form, at most: a thousand updates and everything else.
const MAX_FIELDS: usize = 4_096;

/// The fields of a form by name, each with its values in the order of the page, and the mistakes in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form {
    fields: BTreeMap<String, Vec<String>>,
    errors: BTreeMap<String, String>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Form::<Vec<(String, String)>>::from_request(request, state).await {
            Ok(axum::Form(pairs)) => Self::of_pairs(pairs),
            Err(_) => Err(Problem::bad_form("The form is larger than the console takes, or no form.".to_owned())),
        }
    }
}

impl Form {
    fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        if pairs.len() > MAX_FIELDS {
            return Err(Problem::bad_form(format!("The form has more than {MAX_FIELDS} fields.")));
        }
        let mut form = Self::default();
        for (name, value) in pairs {
            form.fields.entry(name).or_default().push(value);
        }
        Ok(form)
    }

    /// The trimmed text of a field; empty if the form has none.
    pub(super) fn get(&self, name: impl AsRef<str>) -> &str {
        self.fields.get(name.as_ref()).and_then(|values| values.first()).map_or("", |value| value.trim())
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.get(name).into_iter().flatten().map(|value| value.trim())
    }

    /// Whether a box is checked, or anything written.
    pub(super) fn is_set(&self, name: impl AsRef<str>) -> bool {
        !self.get(name).is_empty()
    }

    /// Whether a field has this among its values.
    pub(super) fn has(&self, name: impl AsRef<str>, value: impl ToString) -> bool {
        let value = value.to_string();
        self.fields.get(name.as_ref()).into_iter().flatten().any(|given| *given == value)
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        self.fields.insert(name.into(), vec![value.to_string()]);
    }

    /// The same, without a value where there is none.
    pub(super) fn set_box(&mut self, name: impl Into<String>, checked: bool) {
        self.set(name, if checked { "1" } else { "" });
    }

    pub(super) fn set_all(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = String>) {
        self.fields.insert(name.into(), values.into_iter().collect());
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Every name and value of the fields that `is_wanted`, for hidden inputs.
    pub(super) fn pairs(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
        let wanted = self.fields.iter().filter(|(name, _)| is_wanted(name));
        wanted.flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str()))).collect()
    }

    /// Notes what is wrong with a field; its first mistake is the one that is shown.
    pub(super) fn wrong(&mut self, name: impl Into<String>, message: impl Into<String>) {
        self.errors.entry(name.into()).or_insert_with(|| message.into());
    }

    /// The value, or nothing and its mistake noted.
    pub(super) fn check<T, E: ToString>(&mut self, name: impl Into<String>, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.wrong(name, error.to_string())).ok()
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let number = self.get(name).parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(name, format!("Write a number from {least} to {most}."));
        }
        number
    }

    /// A span of time; empty is none.
    pub(super) fn seconds(&mut self, name: &str, most: u32) -> Option<u32> {
        let parsed = super::spans::parse(self.get(name), most);
        self.check(name, parsed).flatten()
    }

    /// One of the words of a choice.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: super::parameters::Words<T>) -> Option<T> {
        let given = self.get(name);
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value);
        if found.is_none() {
            self.wrong(name, "Choose one of these.");
        }
        found
    }

    pub(super) fn error(&self, name: impl AsRef<str>) -> Option<&str> {
        self.errors.get(name.as_ref()).map(String::as_str)
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().map(|(name, message)| (name.as_str(), message.as_str()))
    }

    pub(super) fn is_right(&self) -> bool {
        self.errors.is_empty()
    }

    /// Forgets the mistakes of fields that are not of interest now.
    pub(super) fn retain_errors(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.errors.retain(|name, _| is_wanted(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).unwrap()
    }

    #[test]
    fn a_field_keeps_all_that_was_typed() {
        let form = form(&[("update", "b"), ("name", " November "), ("update", "a")]);
        assert_eq!(form.get("name"), "November");
        assert_eq!(form.all("update").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(form.pairs(|name| name == "update"), [("update", "b"), ("update", "a")]);
        assert!(form.has("update", "a") && !form.is_set("grace"));
    }

    #[test]
    fn the_first_mistake_of_a_field_is_the_one_that_is_shown() {
        let mut form = form(&[("attempts", "x")]);
        assert_eq!(form.number("attempts", 1, 20), None);
        form.wrong("attempts", "another one");
        assert_eq!(form.error("attempts"), Some("Write a number from 1 to 20."));
        assert!(!form.is_right());
    }

    #[test]
    fn a_flood_of_fields_is_refused() {
        let flood = (0..=MAX_FIELDS).map(|number| (number.to_string(), String::new())).collect();
        assert!(Form::of_pairs(flood).is_err());
    }
}
