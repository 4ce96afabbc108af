//! The filter of a rule as fields of a form, and in words.

use super::super::form::Form;
use super::super::parameters::Words;
use crate::config::Classification;
use crate::deployment::rules::{RuleFilter, Severity};

const MAX_DAYS: i64 = 3_650;
const MAX_REQUIRED: i64 = 10_000_000;

pub(super) const SEVERITIES: Words<Severity> = &[
    (Severity::Optional.as_str(), Severity::Optional),
    (Severity::Standard.as_str(), Severity::Standard),
    (Severity::Important.as_str(), Severity::Important),
    (Severity::Required.as_str(), Severity::Required),
];

/// Writes a filter into the fields of a form.
pub(super) fn write(filter: &RuleFilter, form: &mut Form) {
    form.set_all("filter.classifications", filter.classifications.iter().map(ToString::to_string));
    form.set_all("filter.suites", filter.suites.iter().cloned());
    form.set("filter.severity", filter.severity.as_str());
    let days = |days: Option<u32>| days.map(|days| days.to_string()).unwrap_or_default();
    form.set("filter.min_age_days", days(filter.min_age_days));
    form.set("filter.max_age_days", days(filter.max_age_days));
    form.set("filter.title", filter.title.join(", "));
    form.set("filter.without", filter.without.join(", "));
    form.set("filter.min_required", filter.min_required);
}

/// Reads a filter; none if a part of it is wrong, which is noted at its field.
pub(super) fn read(form: &mut Form) -> Option<RuleFilter> {
    let classifications = form
        .all("filter.classifications")
        .map(|word| Classification::ALL.into_iter().find(|classification| classification.as_str() == word));
    let classifications = classifications.collect::<Option<Vec<_>>>();
    if classifications.is_none() {
        form.wrong("filter.classifications", "Choose some of these.");
    }
    let severity = form.word("filter.severity", SEVERITIES);
    let (min_age_days, max_age_days) =
        (optional(form, "filter.min_age_days", MAX_DAYS), optional(form, "filter.max_age_days", MAX_DAYS));
    let min_required = optional(form, "filter.min_required", MAX_REQUIRED).unwrap_or(0);
    let words = |name: &str| {
        form.get(name).split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    Some(RuleFilter {
        suites: form.all("filter.suites").map(str::to_owned).collect(),
        title: words("filter.title"),
        without: words("filter.without"),
        classifications: classifications?,
        severity: severity?,
        min_age_days,
        max_age_days,
        min_required,
    })
}

fn optional(form: &mut Form, name: &str, most: i64) -> Option<u32> {
    if !form.is_set(name) {
        return None;
    }
    form.number(name, 0, most).and_then(|number| u32::try_from(number).ok())
}

/// What a filter selects, as a person would say it.
pub(super) fn in_words(filter: &RuleFilter) -> String {
    let list = |words: &[String]| words.join(" or ");
    let classifications: Vec<String> = filter.classifications.iter().map(ToString::to_string).collect();
    let mut parts = vec![if classifications.is_empty() { "all updates".to_owned() } else { list(&classifications) }];
    let mut add = |part: Option<String>| parts.extend(part);
    add((!filter.suites.is_empty()).then(|| format!("of {}", list(&filter.suites))));
    add((!filter.title.is_empty()).then(|| format!("with {}", list(&filter.title))));
    add((!filter.without.is_empty()).then(|| format!("without {}", list(&filter.without))));
    add((filter.severity > Severity::Optional).then(|| format!("{} or more important", filter.severity.as_str())));
    add(filter.min_age_days.map(|days| format!("known for {days} days")));
    add(filter.max_age_days.map(|days| format!("not older than {days} days")));
    add((filter.min_required > 0).then(|| format!("required on {} clients", filter.min_required)));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> RuleFilter {
        RuleFilter {
            classifications: vec![Classification::SecurityUpdates, Classification::CriticalUpdates],
            suites: vec!["bookworm-security".to_owned()],
            severity: Severity::Important,
            min_age_days: Some(2),
            max_age_days: None,
            title: vec!["openssl".to_owned(), "linux".to_owned()],
            without: vec!["firefox".to_owned()],
            min_required: 3,
        }
    }

    #[test]
    fn filters_survive_a_form() {
        for filter in [filter(), RuleFilter::default()] {
            let mut form = Form::default();
            write(&filter, &mut form);
            assert_eq!(read(&mut form), Some(filter));
        }
    }

    #[test]
    fn a_filter_is_told_in_words() {
        assert_eq!(in_words(&RuleFilter::default()), "all updates");
        assert_eq!(
            in_words(&filter()),
            "Security Updates or Critical Updates, of bookworm-security, with openssl or linux, without firefox, \
             important or more important, known for 2 days, required on 3 clients"
        );
    }

    #[test]
    fn a_mistake_is_shown_at_its_field() {
        let mut form = Form::default();
        write(&filter(), &mut form);
        form.set("filter.min_age_days", "-1");
        form.set("filter.classifications", "Everything");
        assert_eq!(read(&mut form), None);
        assert!(form.error("filter.min_age_days").is_some() && form.error("filter.classifications").is_some());
    }
}
