//! When windows occur.

use super::recurrence::Recurrence;
use super::{WindowError, is_limited, memory, time_zone};
use crate::database::{MaintenanceWindow, WindowDefinition};
use farrier_protocol::UnixTime;
use farrier_protocol::assignment::{MAX_WINDOWS, Window, WindowKind, Windows};
use farrier_protocol::deployment::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Days that are worked out ahead: a client that hears nothing for so long installs nothing any more.
pub const HORIZON_DAYS: i64 = 35;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// How far east the clocks of the world are ahead of UTC, and a little more than how far west they are behind.
const AHEAD_SECONDS: i64 = 14 * 60 * 60;

/// One occurrence of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Occurrence {
    /// When it begins, as a wall clock shows it.
    pub starts: DateTime,
    /// When it begins.
    pub start: Moment,
    /// How many seconds it lasts.
    pub seconds: u32,
}

/// A window, ready to be worked out.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    starts: DateTime,
    recurrence: Option<Recurrence>,
    /// None for each client's own.
    time_zone: Option<TimeZone>,
    kind: WindowKind,
    seconds: u32,
}

impl Rule {
    pub(super) fn of(window: &WindowDefinition) -> Result<Self, WindowError> {
        let recurrence = window.recurrence.as_deref().map(|rule| {
            Recurrence::of(rule, window.starts)
                .map_err(|source| WindowError::Recurrence { rule: rule.to_owned(), source })
        });
        Ok(Self {
            starts: window.starts,
            recurrence: recurrence.transpose()?,
            time_zone: window.time_zone.as_deref().map(time_zone).transpose()?,
            kind: window.kind,
            seconds: window.duration_seconds,
        })
    }

    /// The occurrences that end after `from`, in order.
    fn occurrences(&self, from: UnixTime) -> impl Iterator<Item = Occurrence> {
        let once = self.recurrence.is_none().then_some(self.starts);
        let again = self.recurrence.as_ref().map(Recurrence::starts);
        let starts = once.into_iter().chain(again.into_iter().flatten());
        let ends_later = move |occurrence: &Occurrence| occurrence.start.seconds() + i64::from(self.seconds) > from;
        // What began on an earlier day has ended, whatever the time zone: it need not be placed.
        let earliest = from - i64::from(self.seconds) - 2 * DAY_SECONDS;
        let earliest = Timestamp::from_second(earliest).map(|at| at.to_zoned(TimeZone::UTC).datetime());
        let earliest = earliest.unwrap_or(DateTime::MIN);
        starts
            .skip_while(move |starts| *starts < earliest)
            .map_while(|starts| self.occurrence(starts))
            .filter(ends_later)
    }

    fn occurrence(&self, starts: DateTime) -> Option<Occurrence> {
        let zone = self.time_zone.clone();
        // A time that the clocks skip is the one as long after the change; of two, the first.
        let second = starts.to_zoned(zone.clone().unwrap_or(TimeZone::UTC)).ok()?.timestamp().as_second();
        let start = if zone.is_some() { Moment::At(second) } else { Moment::Local(second) };
        Some(Occurrence { starts, start, seconds: self.seconds })
    }
}

trait Seconds {
    /// The number in a moment, whatever its clock.
    fn seconds(self) -> i64;
}

impl Seconds for Moment {
    fn seconds(self) -> i64 {
        match self {
            Self::At(second) | Self::Local(second) => second,
        }
    }
}

/// What a client with these windows is told on the day of `now`.
pub(super) fn windows(windows: &[MaintenanceWindow], now: UnixTime) -> Result<Windows, WindowError> {
    let day = now.div_euclid(DAY_SECONDS);
    let mut known: Vec<Window> = Vec::new();
    for window in windows {
        known.extend_from_slice(&memory::of_day(day, &window.definition, known_on)?);
    }
    known.sort_unstable_by_key(|window| (window.start.seconds(), window.start, window.kind as u8, window.seconds));
    known.dedup();
    Ok(bounded(is_limited(windows), known_until(day), &known))
}

fn known_until(day: i64) -> UnixTime {
    (day + HORIZON_DAYS) * DAY_SECONDS
}

/// The occurrences of a window that a client is told on a day.
fn known_on(day: i64, window: &WindowDefinition) -> Result<Vec<Window>, WindowError> {
    let rule = Rule::of(window)?;
    // A wall clock in the east shows a time earlier than one in UTC.
    let until = known_until(day) + AHEAD_SECONDS;
    let occurrences = rule.occurrences((day - 1) * DAY_SECONDS).take_while(|one| one.start.seconds() < until);
    Ok(occurrences.map(|one| Window { kind: rule.kind, start: one.start, seconds: one.seconds }).collect())
}

/// As many windows as fit; behind the last one nothing is known.
fn bounded(limited: bool, known_until: UnixTime, windows: &[Window]) -> Windows {
    let (fitting, rest) = windows.split_at(windows.len().min(MAX_WINDOWS));
    let begins_at_the_earliest = |window: &Window| match window.start {
        Moment::At(start) => start,
        Moment::Local(start) => start - AHEAD_SECONDS,
    };
    let known_until = rest.iter().map(begins_at_the_earliest).fold(known_until, UnixTime::min);
    Windows { limited, known_until, windows: fitting.iter().copied().collect() }
}

/// The next occurrences that have not ended; for a client's own time zone, as if it were UTC.
pub(super) fn next_occurrences(
    window: &WindowDefinition,
    now: UnixTime,
    most: usize,
) -> Result<Vec<Occurrence>, WindowError> {
    Ok(Rule::of(window)?.occurrences(now).take(most).collect())
}
