//! Recurrence rules (RFC 5545) on the wall clock.
//!
//! The rule is worked out as if the wall clock were UTC; which instants its times are is decided afterwards, by the time
//! zone. So daylight saving moves no window on the wall clock.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use rrule::{Frequency, RRule, RRuleError, RRuleSet, Unvalidated};

/// Bytes of a rule, at most.
const MAX_BYTES: usize = 512;

/// Why a recurrence rule is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RecurrenceError {
    /// It is too long.
    #[error("it is longer than {MAX_BYTES} bytes: make several windows")]
    TooLong,
    /// It is no recurrence rule.
    #[error("it is no RFC 5545 recurrence rule (write one like FREQ=WEEKLY;BYDAY=TU,TH): {0}")]
    Rule(String),
    /// It recurs too often.
    #[error("a window recurs by day, week, month or year: write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")]
    Frequency,
    /// It never goes on.
    #[error("INTERVAL=0 never goes on: write 1 or more, or leave it out")]
    Interval,
    /// Its end cannot be read.
    #[error("UNTIL is a wall clock time of the window's own time zone: write 20271231 or 20271231T220000, without Z")]
    Until,
    /// It gives no time at all.
    #[error("it never occurs: is there such a day at all?")]
    Never,
    /// The start is not in the years that rules can be worked out for.
    #[error("its start is no date of our time")]
    Start,
}

/// A rule, checked, with its first start.
#[derive(Debug, Clone)]
pub(super) struct Recurrence(RRuleSet);

impl Recurrence {
    /// The rule, beginning with `starts`.
    pub(super) fn of(rule: &str, starts: DateTime) -> Result<Self, RecurrenceError> {
        if rule.len() > MAX_BYTES {
            return Err(RecurrenceError::TooLong);
        }
        let rule: RRule<Unvalidated> = on_the_wall_clock(rule)?.parse().map_err(not_a_rule)?;
        match rule.get_freq() {
            Frequency::Daily | Frequency::Weekly | Frequency::Monthly | Frequency::Yearly => {}
            Frequency::Hourly | Frequency::Minutely | Frequency::Secondly => return Err(RecurrenceError::Frequency),
        }
        if rule.get_interval() == 0 {
            return Err(RecurrenceError::Interval);
        }
        let recurrence = Self(rule.build(to_chrono(starts)?).map_err(not_a_rule)?.limit());
        recurrence.starts().next().ok_or(RecurrenceError::Never)?;
        Ok(recurrence)
    }

    /// The times at which it occurs, in order.
    pub(super) fn starts(&self) -> impl Iterator<Item = DateTime> {
        self.0.into_iter().map_while(|at| {
            let at = Timestamp::from_second(at.timestamp()).ok()?;
            Some(at.to_zoned(TimeZone::UTC).datetime())
        })
    }
}

/// What is wrong, without the kind of error that the text before says already.
fn not_a_rule(error: RRuleError) -> RecurrenceError {
    RecurrenceError::Rule(match error {
        RRuleError::ParserError(error) => error.to_string(),
        RRuleError::ValidationError(error) => error.to_string(),
        RRuleError::IterError(error) => error,
    })
}

/// The rule with its `UNTIL` on the same clock as its start.
fn on_the_wall_clock(rule: &str) -> Result<String, RecurrenceError> {
    let rule = rule.trim();
    let rule = rule.strip_prefix("RRULE:").unwrap_or(rule);
    let part = |part: &str| match part.split_once('=') {
        Some((name, until)) if name.trim().eq_ignore_ascii_case("UNTIL") => {
            let until = until.trim();
            let is_date = until.parse::<civil::Date>().is_ok() && until.len() == 8;
            match until.parse::<DateTime>() {
                Ok(_) if is_date => Ok(format!("UNTIL={until}T235959Z")),
                Ok(_) if until.len() == 15 => Ok(format!("UNTIL={until}Z")),
                _ => Err(RecurrenceError::Until),
            }
        }
        _ => Ok(part.to_owned()),
    };
    Ok(rule.split(';').map(part).collect::<Result<Vec<_>, _>>()?.join(";"))
}

fn to_chrono(at: DateTime) -> Result<chrono::DateTime<rrule::Tz>, RecurrenceError> {
    let second = at.to_zoned(TimeZone::UTC).map_err(|_| RecurrenceError::Start)?.timestamp().as_second();
    let at = chrono::DateTime::from_timestamp(second, 0).ok_or(RecurrenceError::Start)?;
    Ok(at.with_timezone(&rrule::Tz::UTC))
}
