//! How numbers, times and states are written. Templates call these as filters: `{{ clients|count }}`.

use crate::config::Classification;
use askama::{Result, Values};
use farrier_protocol::ComplianceState;
use farrier_protocol::enforcement::EnforcementState;
use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Digits of a digest that tell files apart at a glance.
const SHORT_DIGITS: usize = 12;

/// A number, however deep a template holds it behind references.
pub(super) trait Number {
    fn number(&self) -> i64;
}

impl Number for i64 {
    fn number(&self) -> i64 {
        *self
    }
}

impl Number for u32 {
    fn number(&self) -> i64 {
        i64::from(*self)
    }
}

impl Number for usize {
    fn number(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

impl<N: Number> Number for &N {
    fn number(&self) -> i64 {
        (*self).number()
    }
}

/// `66494` as `66,494`.
#[askama::filter_fn]
pub(super) fn count(number: impl Number, _: &dyn Values) -> Result<String> {
    Ok(grouped(number.number()))
}

/// `1 client`, `2 clients`.
#[askama::filter_fn]
pub(super) fn counted(number: impl Number, _: &dyn Values, noun: &str) -> Result<String> {
    let number = number.number();
    Ok(format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" }))
}

/// How long ago, or in how long, seen from `now`.
#[askama::filter_fn]
pub(super) fn ago<N: Number>(time: impl Number, _: &dyn Values, now: N) -> Result<String> {
    Ok(relative(time.number(), now.number()))
}

/// `2026-03-01 12:00:00 UTC`.
#[askama::filter_fn]
pub(super) fn exact(time: impl Number, _: &dyn Values) -> Result<String> {
    Ok(formatted(time.number(), "%Y-%m-%d %H:%M:%S UTC"))
}

/// `2026-03-01`.
#[askama::filter_fn]
pub(super) fn date(time: impl Number, _: &dyn Values) -> Result<String> {
    Ok(formatted(time.number(), "%Y-%m-%d"))
}

/// `2026-03-01T12:00:00Z`, for machines.
#[askama::filter_fn]
pub(super) fn machine(time: impl Number, _: &dyn Values) -> Result<String> {
    Ok(formatted(time.number(), "%Y-%m-%dT%H:%M:%SZ"))
}

/// `1.4 MB`.
#[askama::filter_fn]
pub(super) fn bytes(number: impl Number, _: &dyn Values) -> Result<String> {
    Ok(sized(number.number()))
}

/// Seconds as `3 min 20 s`.
#[askama::filter_fn]
pub(super) fn took(seconds: impl Number, _: &dyn Values) -> Result<String> {
    let seconds = seconds.number().max(0);
    Ok(match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min {} s", seconds / MINUTE, seconds % MINUTE),
        _ => format!("{} h {} min", seconds / HOUR, seconds % HOUR / MINUTE),
    })
}

/// The first digits of a digest; the rest is for a title.
#[askama::filter_fn]
pub(super) fn short(digest: impl std::fmt::Display, _: &dyn Values) -> Result<String> {
    Ok(digest.to_string().chars().take(SHORT_DIGITS).collect())
}

/// `97.3 %`; never 100 unless it is all of them.
#[askama::filter_fn]
pub(super) fn percent(number: &f64, _: &dyn Values) -> Result<String> {
    Ok(percentage(*number))
}

/// The state as a label.
#[askama::filter_fn]
pub(super) fn label(state: &ComplianceState, _: &dyn Values) -> Result<&'static str> {
    Ok(state_label(*state))
}

/// The state as a part of a class name and of an icon's name.
#[askama::filter_fn]
pub(super) fn class(state: &ComplianceState, _: &dyn Values) -> Result<&'static str> {
    Ok(state_class(*state))
}

/// An enforcement state, or that none was heard of, as a label.
#[askama::filter_fn]
pub(super) fn stage_label(state: &Option<EnforcementState>, _: &dyn Values) -> Result<&'static str> {
    Ok(super::stage::state_label(*state))
}

/// The same as a part of a class name and of an icon's name.
#[askama::filter_fn]
pub(super) fn stage_class(state: &Option<EnforcementState>, _: &dyn Values) -> Result<&'static str> {
    Ok(super::stage::Stage::of(*state).class())
}

/// An enforcement state as a label within a sentence.
#[askama::filter_fn]
pub(super) fn job_label(state: &EnforcementState, _: &dyn Values) -> Result<String> {
    Ok(super::stage::state_label(Some(*state)).to_lowercase())
}

/// The same as a part of a class name and of an icon's name.
#[askama::filter_fn]
pub(super) fn job_class(state: &EnforcementState, _: &dyn Values) -> Result<&'static str> {
    Ok(super::stage::Stage::of(Some(*state)).class())
}

/// Seconds as `1 day 12 h`.
#[askama::filter_fn]
pub(super) fn span(seconds: impl Number, _: &dyn Values) -> Result<String> {
    Ok(super::spans::words(seconds.number()))
}

/// The classification as a part of a class name.
#[askama::filter_fn]
pub(super) fn urgency(classification: &Classification, _: &dyn Values) -> Result<&'static str> {
    Ok(match classification {
        Classification::SecurityUpdates => "security",
        Classification::CriticalUpdates => "critical",
        Classification::Updates => "ordinary",
    })
}

pub(super) const fn state_label(state: ComplianceState) -> &'static str {
    match state {
        ComplianceState::NotRequired => "Not required",
        ComplianceState::Installed => "Installed",
        ComplianceState::Required => "Required",
        ComplianceState::Unknown => "Unknown",
    }
}

pub(super) const fn state_class(state: ComplianceState) -> &'static str {
    match state {
        ComplianceState::NotRequired => "not-required",
        ComplianceState::Installed => "installed",
        ComplianceState::Required => "required",
        ComplianceState::Unknown => "unknown",
    }
}

pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn relative(time: i64, now: i64) -> String {
    let seconds = now.saturating_sub(time).saturating_abs();
    let span = match seconds {
        0..10 => return "just now".to_owned(),
        10..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..172_800 => format!("{} h", seconds / HOUR),
        172_800..5_184_000 => format!("{} days", seconds / DAY),
        _ => return formatted(time, "%Y-%m-%d"),
    };
    if time > now { format!("in {span}") } else { format!("{span} ago") }
}

pub(super) fn formatted(time: i64, format: &str) -> String {
    match Timestamp::from_second(time) {
        Ok(timestamp) => timestamp.strftime(format).to_string(),
        Err(_) => format!("{time} s"),
    }
}

// Sizes and percentages are for people: one digit behind the point.
#[allow(clippy::cast_precision_loss)]
fn sized(number: i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

pub(super) fn percentage(percent: f64) -> String {
    let floor = (percent * 10.0).floor() / 10.0;
    if percent >= 100.0 {
        "100 %".to_owned()
    } else if percent > 0.0 && floor == 0.0 {
        "<0.1 %".to_owned()
    } else {
        format!("{floor:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (66_494, "66,494"), (-1_234_567, "-1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_time_is_told_by_its_distance() {
        let now = 1_770_000_000;
        for (time, text) in [
            (now - 3, "just now"),
            (now - 42, "42 s ago"),
            (now - 5 * MINUTE, "5 min ago"),
            (now + 3 * HOUR, "in 3 h"),
            (now - 47 * HOUR, "47 h ago"),
            (now - 12 * DAY, "12 days ago"),
            (now - 100 * DAY, "2025-10-25"),
        ] {
            assert_eq!(relative(time, now), text);
        }
    }

    #[test]
    fn only_all_of_them_are_a_hundred_percent() {
        for (percent, text) in
            [(100.0, "100 %"), (99.99, "99.9 %"), (0.0, "0.0 %"), (0.01, "<0.1 %"), (61.26, "61.2 %")]
        {
            assert_eq!(percentage(percent), text);
        }
    }

    #[test]
    fn sizes_have_one_unit() {
        for (size, text) in [(0, "0 B"), (999, "999 B"), (1_400_000, "1.4 MB"), (999_999, "1.0 MB")] {
            assert_eq!(sized(size), text);
        }
    }
}
