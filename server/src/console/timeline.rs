//! The geometry of a chart over time: areas that lie above each other, in a box of 1000 by 100 that a template stretches.

use super::filters::{formatted, grouped};
use super::stage::{Stage, StageCounts};
use crate::database::views::HistoryPoint;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Width and height of the box.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;
/// Points in time that are worth drawing, at most: no screen shows more.
pub(super) const MAX_POINTS: usize = 240;
/// Labels below the chart, at most: a narrow screen has no room for more.
const MAX_TICKS: i64 = 5;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const STEPS: &[i64] = &[
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
];

/// A chart of clients by stage over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timeline {
    pub(super) areas: Vec<Area>,
    /// Below the chart, in percent of its width.
    pub(super) times: Vec<Tick>,
    /// Beside the chart, in percent of its height from the top.
    pub(super) counts: Vec<Tick>,
    /// Where phases opened, by their number from 1, in percent of its width.
    pub(super) openings: Vec<Tick>,
}

/// One coloured area.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Area {
    pub(super) class: &'static str,
    pub(super) path: String,
}

/// A label and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) place: f64,
    pub(super) label: String,
}

/// Draws the course from its first point to `now`; `opened` are the phases' openings.
pub(super) fn timeline(course: &[HistoryPoint], opened: &[Option<i64>], now: i64) -> Timeline {
    let Some(from) = course.first().map(|point| point.at) else { return Timeline::default() };
    let span = Span { from, to: now.max(from + MINUTE) };
    let points: Vec<_> = course.iter().map(|point| (point.at, StageCounts::of_clients(&point.clients))).collect();
    let most = points.iter().map(|(_, counts)| counts.total()).max().unwrap_or(0).max(1);
    Timeline {
        areas: areas(&points, span, most),
        times: times(span),
        counts: BTreeSet::from([0, most / 2, most])
            .into_iter()
            .map(|count| Tick { place: 100.0 - share(count, most) * 100.0, label: grouped(count) })
            .collect(),
        openings: (1..)
            .zip(opened)
            .filter_map(|(number, opened): (i64, _)| Some((number, (*opened)?)))
            .filter(|(_, opened)| (span.from..=span.to).contains(opened))
            .map(|(number, opened)| Tick { place: span.place(opened) * 100.0, label: number.to_string() })
            .collect(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn place(self, at: i64) -> f64 {
        share(at - self.from, self.to - self.from)
    }
}

fn areas(points: &[(i64, StageCounts)], span: Span, most: i64) -> Vec<Area> {
    let mut floors = vec![0; points.len()];
    let mut areas = Vec::new();
    for stage in Stage::ALL {
        let tops: Vec<i64> = floors.iter().zip(points).map(|(floor, (_, counts))| floor + counts.of(stage)).collect();
        if tops != floors {
            areas.push(Area { class: stage.class(), path: path(points, &floors, &tops, span, most) });
        }
        floors = tops;
    }
    areas
}

/// The outline of an area: along its top to the right and along its floor back, in steps, as clients are no curves.
fn path(points: &[(i64, StageCounts)], floors: &[i64], tops: &[i64], span: Span, most: i64) -> String {
    let x = |index: usize| points.get(index).map_or(WIDTH, |(at, _)| span.place(*at) * WIDTH);
    let y = |count: i64| (1.0 - share(count, most)) * HEIGHT;
    let mut path = String::from("M");
    let mut point = |x: f64, y: f64| {
        // Writing into a string cannot fail.
        let _ = write!(path, "{x:.1} {y:.2} ");
    };
    for (index, top) in tops.iter().enumerate() {
        point(x(index), y(*top));
        point(x(index + 1), y(*top));
    }
    for (index, floor) in floors.iter().enumerate().rev() {
        point(x(index + 1), y(*floor));
        point(x(index), y(*floor));
    }
    path.push('Z');
    path
}

fn times(span: Span) -> Vec<Tick> {
    let length = span.to - span.from;
    let step = STEPS.iter().copied().find(|step| length / step < MAX_TICKS).unwrap_or(length.max(1));
    let first = span.from.div_euclid(step) * step;
    (0..=MAX_TICKS)
        .map(|number| first + number * step)
        .filter(|at| (span.from..=span.to).contains(at))
        .map(|at| Tick { place: span.place(at) * 100.0, label: time_label(at, step) })
        .collect()
}

fn time_label(at: i64, step: i64) -> String {
    let is_midnight = at.rem_euclid(DAY) == 0;
    formatted(at, if step >= DAY || is_midnight { "%b %-d" } else { "%H:%M" })
}

// For a chart of a thousand units: the rounding of counts above 2^53 is not seen.
#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::views::EnforcementCounts;
    use EnforcementState::{Failed, Succeeded};
    use farrier_protocol::enforcement::EnforcementState;

    /// A midnight.
    const START: i64 = 1_800_057_600;

    fn point(after: i64, counts: &[(Option<EnforcementState>, i64)]) -> HistoryPoint {
        let mut clients = EnforcementCounts::default();
        counts.iter().for_each(|(state, count)| clients.add(*state, *count));
        HistoryPoint { at: START + after, clients }
    }

    #[test]
    fn areas_lie_above_each_other_and_fill_the_chart() {
        let course = [point(0, &[(None, 10)]), point(HOUR, &[(None, 4), (Some(Succeeded), 5), (Some(Failed), 1)])];
        let timeline = timeline(&course, &[Some(START), None, Some(START + 2 * HOUR)], START + 4 * HOUR);
        let paths: Vec<_> = timeline.areas.iter().map(|area| (area.class, area.path.as_str())).collect();
        let succeeded =
            "M0.0 100.00 250.0 100.00 250.0 50.00 1000.0 50.00 1000.0 100.00 250.0 100.00 250.0 100.00 0.0 100.00 Z";
        let silent = "M0.0 0.00 250.0 0.00 250.0 10.00 1000.0 10.00 1000.0 50.00 250.0 50.00 250.0 100.00 0.0 100.00 Z";
        let failed = "M0.0 0.00 250.0 0.00 250.0 0.00 1000.0 0.00 1000.0 10.00 250.0 10.00 250.0 0.00 0.0 0.00 Z";
        assert_eq!(paths, [("succeeded", succeeded), ("silent", silent), ("failed", failed)]);
        let labels = |ticks: &[Tick]| ticks.iter().map(|tick| tick.label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&timeline.counts), ["0", "5", "10"]);
        assert_eq!(labels(&timeline.openings), ["1", "3"]);
        assert_eq!(timeline.times.first().map(|tick| tick.place), Some(0.0));
    }

    #[test]
    fn times_below_the_chart_are_few_and_round() {
        for (length, least) in [(MINUTE, 1), (HOUR, 2), (5 * HOUR, 2), (3 * DAY, 2), (90 * DAY, 2), (800 * DAY, 2)] {
            let timeline = timeline(&[point(0, &[(None, 1)])], &[], START + length);
            assert!((least..=5).contains(&timeline.times.len()), "{length}: {:?}", timeline.times);
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_a_moment_is_no_division_by_zero() {
        assert_eq!(timeline(&[], &[], START), Timeline::default());
        let one = timeline(&[point(0, &[])], &[Some(START)], START - 5);
        assert!(one.areas.is_empty() && one.openings.len() == 1);
    }
}
