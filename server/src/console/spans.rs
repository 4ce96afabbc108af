//! Spans of time as people write them in forms: `4 h`, `1 day 12 h`, `90 min`.

use jiff::{Span, SpanRelativeTo};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpanError {
    #[error("{0:?} is no span of time. Write for example 30 min, 4 h or 2 days.")]
    Unreadable(String),
    #[error("At most {0}.")]
    TooLong(String),
}

/// The seconds of a span; none if nothing is written. A day has 24 hours.
pub(super) fn parse(text: &str, most: u32) -> Result<Option<u32>, SpanError> {
    if text.is_empty() {
        return Ok(None);
    }
    let unreadable = || SpanError::Unreadable(text.to_owned());
    // People who mean no time at all write a number without a unit.
    let span: Span = if text == "0" { Span::new() } else { text.parse().map_err(|_| unreadable())? };
    let seconds = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| unreadable())?.as_secs();
    if seconds > i64::from(most) {
        return Err(SpanError::TooLong(words(i64::from(most))));
    }
    u32::try_from(seconds).map(Some).map_err(|_| unreadable())
}

/// Seconds as `1 day 12 h`: what [`parse`] reads, and what people do.
pub(super) fn words(seconds: i64) -> String {
    if seconds <= 0 {
        return "0".to_owned();
    }
    let (days, hours) = (seconds / DAY, seconds % DAY / HOUR);
    let (minutes, rest) = (seconds % HOUR / MINUTE, seconds % MINUTE);
    let mut parts = Vec::new();
    match days {
        0 => {}
        1 => parts.push("1 day".to_owned()),
        _ => parts.push(format!("{days} days")),
    }
    let rest = [(hours, "h"), (minutes, "min"), (rest, "s")].into_iter().filter(|(number, _)| *number > 0);
    parts.extend(rest.map(|(number, unit)| format!("{number} {unit}")));
    parts.join(" ")
}

/// The text of a field: nothing for no time.
pub(super) fn field(seconds: Option<u32>) -> String {
    seconds.map_or(String::new(), |seconds| words(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        for seconds in [0_u32, 1, 60, 5_400, 86_400, 129_600, 14 * 86_400 + 3_661] {
            let text = words(i64::from(seconds));
            assert_eq!(parse(&text, u32::MAX), Ok(Some(seconds)), "{text}");
        }
    }

    #[test]
    fn people_write_spans_in_many_ways() {
        for (text, seconds) in
            [("", None), ("0", Some(0)), ("4h", Some(14_400)), ("90 minutes", Some(5_400)), ("1 week", Some(604_800))]
        {
            assert_eq!(parse(text, u32::MAX), Ok(seconds), "{text}");
        }
        for text in ["soon", "4", "-1 h", "2 months", "4 h 3 x", "99999999999 days"] {
            assert!(matches!(parse(text, u32::MAX), Err(SpanError::Unreadable(_))), "{text}");
        }
        assert_eq!(parse("3 days", 86_400).unwrap_err().to_string(), "At most 1 day.");
    }
}
