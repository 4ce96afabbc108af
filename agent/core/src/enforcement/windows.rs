//! When something may be installed: maintenance windows and business hours.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use farrier_protocol::UnixTime;
use farrier_protocol::assignment::{WindowKind, Windows};
use farrier_protocol::deployment::Moment;

/// The windows of a client as instants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    limited: bool,
    known_until: UnixTime,
    maintenance: Spans,
    business: Spans,
}

/// Whether something that takes a while may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Now.
    Now,
    /// Not now.
    Later {
        /// The first time when it may, where there is one.
        at: Option<UnixTime>,
        /// Why not now, in words.
        reason: String,
    },
}

impl Calendar {
    /// The windows of an assignment. `instant` says when a moment is here.
    #[must_use]
    pub fn new(windows: &Windows, instant: impl Fn(Moment) -> UnixTime) -> Self {
        let spans = |kind| {
            let windows = windows.windows.iter().filter(|window| window.kind == kind);
            windows.map(|window| Span::new(instant(window.start), window.seconds)).collect()
        };
        Self {
            limited: windows.limited,
            known_until: windows.known_until,
            maintenance: Spans::union(spans(WindowKind::Maintenance)),
            business: Spans::union(spans(WindowKind::BusinessHours)),
        }
    }

    /// Whether something that takes `seconds` may begin at `now`, or else when: all of it must be within maintenance
    /// windows, and its beginning outside business hours. `what` it is that takes so long is for the reason.
    #[must_use]
    pub fn opening(&self, now: UnixTime, seconds: u32, what: &str) -> Opening {
        let (at, reason) = match self.first_beginning(now, seconds) {
            Some(at) if at == now => return Opening::Now,
            Some(at) if self.business.around(now).is_some() => (Some(at), "in business hours".into()),
            Some(at) if self.maintenance.around(now).is_some() => (
                Some(at),
                format!("{what} of {} does not fit in what is left of the maintenance window", in_words(seconds)),
            ),
            Some(at) => (Some(at), "outside the maintenance windows".into()),
            None => (None, self.why_never(now, seconds, what)),
        };
        Opening::Later { at, reason }
    }

    /// Whether all of the time from `start` to `end` was one in which something may begin.
    #[must_use]
    pub fn is_open_throughout(&self, start: UnixTime, end: UnixTime) -> bool {
        let maintained = || self.maintenance.around(start).is_some_and(|span| end < span.end);
        start <= end
            && (!self.limited || maintained())
            && !self.business.0.iter().any(|span| span.start <= end && start < span.end)
    }

    fn first_beginning(&self, now: UnixTime, seconds: u32) -> Option<UnixTime> {
        if !self.limited {
            return Some(self.business.around(now).map_or(now, |span| span.end));
        }
        self.maintenance.0.iter().find_map(|window| {
            let mut at = window.start.max(now);
            // Business hours are a union, too: what ends one is never within another.
            if let Some(business) = self.business.around(at) {
                at = business.end;
            }
            window.holds(at, seconds).then_some(at)
        })
    }

    fn why_never(&self, now: UnixTime, seconds: u32, what: &str) -> String {
        let mut coming = self.maintenance.0.iter().filter(|span| now < span.end).peekable();
        if coming.peek().is_none() && self.known_until <= now {
            "its maintenance windows are known no further: the site has to be heard of first".into()
        } else if coming.peek().is_none() {
            "no maintenance window is known".into()
        } else if coming.all(|span| !span.holds(span.start, seconds)) {
            format!("{what} of {} fits in no known maintenance window", in_words(seconds))
        } else {
            format!("{what} of {} does not fit in what is left of the known maintenance windows", in_words(seconds))
        }
    }
}

/// From `start` to just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: UnixTime,
    end: UnixTime,
}

impl Span {
    fn new(start: UnixTime, seconds: u32) -> Self {
        Self { start, end: start.saturating_add(seconds.into()) }
    }

    fn holds(self, from: UnixTime, seconds: u32) -> bool {
        self.start <= from && from < self.end && from.saturating_add(seconds.into()) <= self.end
    }
}

/// Spans in their order that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spans(Vec<Span>);

impl Spans {
    fn union(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable_by_key(|span| span.start);
        let mut union: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match union.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => union.push(span),
            }
        }
        Self(union)
    }

    fn around(&self, time: UnixTime) -> Option<&Span> {
        self.0.iter().find(|span| span.start <= time && time < span.end)
    }
}

/// A duration as people say it, in the largest unit that says it exactly.
fn in_words(seconds: u32) -> String {
    match seconds {
        0 => "0 s".into(),
        hours if hours % 3600 == 0 => format!("{} h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{} min", minutes / 60),
        seconds => format!("{seconds} s"),
    }
}
