//! Automatic deployment rules: which updates a rule selects. A function of the update and the time.

use super::settings::FieldError;
use crate::config::Classification;
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Words and suites of a filter, at most.
const MAX_ENTRIES: usize = 64;
/// Bytes of one of them, at most.
const MAX_ENTRY_BYTES: usize = 120;

/// Which updates a rule deploys. Every condition has to hold; of a list, one entry; an empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleFilter {
    /// What kinds of updates.
    pub classifications: Vec<Classification>,
    /// From where.
    pub suites: Vec<String>,
    /// The upstream's own priority, at least.
    pub severity: Severity,
    /// Updates that the site has known for so many days, at least: others have tried them by then.
    pub min_age_days: Option<u32>,
    /// Updates that the site has known for so many days, at most.
    pub max_age_days: Option<u32>,
    /// Words, one of which occurs in the title or the summary.
    pub title: Vec<String>,
    /// Words, none of which occurs in the title.
    pub without: Vec<String>,
    /// Only updates that at least so many clients require.
    pub min_required: u32,
}

/// How important the upstream says that an update's packages are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Anything.
    #[default]
    Optional = 0,
    /// A usual part of a system.
    Standard = 1,
    /// Expected on every system.
    Important = 2,
    /// No system works without it.
    Required = 3,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Optional, Self::Standard, Self::Important, Self::Required];

    /// The value stored as this number, if there is one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| *severity as i64 == number)
    }

    /// The name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Standard => "standard",
            Self::Important => "important",
            Self::Required => "required",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|severity| severity.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is no severity: write optional, standard, important or required"))
    }
}

/// An update as a rule sees it: it is neither expired nor superseded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Source package and version.
    pub title: String,
    /// What the source package is.
    pub summary: String,
    /// What kind of update.
    pub classification: Classification,
    /// Where it comes from.
    pub suite: String,
    /// How important it is.
    pub severity: Severity,
    /// When the site first saw it.
    pub first_seen_at: i64,
    /// Clients that require it.
    pub required: i64,
}

impl RuleFilter {
    /// Whether the rule deploys this update.
    #[must_use]
    pub fn selects(&self, update: &Candidate, now: i64) -> bool {
        let age_days = now.saturating_sub(update.first_seen_at) / DAY_SECONDS;
        let (title, summary) = (update.title.to_lowercase(), update.summary.to_lowercase());
        let occurs = |word: &String| title.contains(&word.to_lowercase());
        let is_named = |word: &String| occurs(word) || summary.contains(&word.to_lowercase());
        (self.classifications.is_empty() || self.classifications.contains(&update.classification))
            && (self.suites.is_empty() || self.suites.contains(&update.suite))
            && update.severity >= self.severity
            && self.min_age_days.is_none_or(|days| age_days >= i64::from(days))
            && self.max_age_days.is_none_or(|days| age_days <= i64::from(days))
            && (self.title.is_empty() || self.title.iter().any(is_named))
            && !self.without.iter().any(occurs)
            && update.required >= i64::from(self.min_required)
    }

    /// Everything that is wrong with it; `suites` are the names of the configured ones.
    #[must_use]
    pub fn problems(&self, suites: &[String]) -> Vec<FieldError> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: String| {
            problems.push(FieldError { field: format!("filter.{field}"), message });
        };
        if let Some(unknown) = self.suites.iter().find(|suite| !suites.contains(suite)) {
            wrong("suites", format!("{unknown:?} is no configured suite: write some of {}", suites.join(", ")));
        }
        if let (Some(min), Some(max)) = (self.min_age_days, self.max_age_days)
            && min > max
        {
            wrong("max_age_days", format!("no update is at least {min} and at most {max} days old"));
        }
        for (field, words) in [("title", &self.title), ("without", &self.without), ("suites", &self.suites)] {
            let is_good = |word: &String| !word.trim().is_empty() && word.len() <= MAX_ENTRY_BYTES;
            if words.len() > MAX_ENTRIES || !words.iter().all(is_good) {
                wrong(field, format!("write at most {MAX_ENTRIES} words of 1 to {MAX_ENTRY_BYTES} bytes"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn openssl() -> Candidate {
        Candidate {
            title: "openssl 3.0.17-1~deb12u2".to_owned(),
            summary: "Secure Sockets Layer toolkit".to_owned(),
            classification: Classification::SecurityUpdates,
            suite: "bookworm-security".to_owned(),
            severity: Severity::Important,
            first_seen_at: NOW - 3 * DAY_SECONDS - 1,
            required: 12,
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_filter_without_conditions_selects_everything() {
        assert!(RuleFilter::default().selects(&openssl(), NOW));
    }

    #[test]
    fn every_condition_has_to_hold() {
        let all = RuleFilter {
            classifications: vec![Classification::SecurityUpdates],
            suites: words(&["bookworm-security", "bookworm"]),
            severity: Severity::Standard,
            min_age_days: Some(3),
            max_age_days: Some(3),
            title: words(&["linux", "OpenSSL"]),
            without: words(&["firefox"]),
            min_required: 12,
        };
        assert!(all.selects(&openssl(), NOW));
        type Change = fn(&mut RuleFilter);
        let changes: [Change; 8] = [
            |filter| filter.classifications = vec![Classification::Updates],
            |filter| filter.suites = words(&["trixie"]),
            |filter| filter.severity = Severity::Required,
            |filter| filter.min_age_days = Some(4),
            |filter| filter.max_age_days = Some(2),
            |filter| filter.title = words(&["linux"]),
            |filter| filter.without = words(&["ssl"]),
            |filter| filter.min_required = 13,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut filter = all.clone();
            change(&mut filter);
            assert!(!filter.selects(&openssl(), NOW), "condition {index}");
        }
    }

    #[test]
    fn age_goes_by_simulated_days() {
        let filter = RuleFilter { min_age_days: Some(7), ..RuleFilter::default() };
        let first_seen = openssl().first_seen_at;
        let selected = (0..10).filter(|day| filter.selects(&openssl(), first_seen + day * DAY_SECONDS));
        assert_eq!(selected.collect::<Vec<_>>(), [7, 8, 9]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let filter = RuleFilter {
            suites: words(&["bookwurm"]),
            min_age_days: Some(5),
            max_age_days: Some(4),
            title: words(&[" "]),
            ..RuleFilter::default()
        };
        let fields: Vec<_> = filter.problems(&words(&["bookworm"])).into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["filter.suites", "filter.max_age_days", "filter.title"]);
    }
}
