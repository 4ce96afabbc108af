//! When something may begin.

use crate::world::{DAY, HOUR, MINUTE, MONDAY, calendar, instant};
use farrier_agent_core::enforcement::{Calendar, Opening};
use farrier_protocol::UnixTime;
use farrier_protocol::assignment::{Window, WindowKind, Windows};
use farrier_protocol::deployment::Moment;

const MAINTENANCE: WindowKind = WindowKind::Maintenance;
const BUSINESS: WindowKind = WindowKind::BusinessHours;

/// Hours and minutes of Monday.
fn at(hour: UnixTime, minute: UnixTime) -> UnixTime {
    MONDAY + hour * HOUR + minute * MINUTE
}

fn limited(windows: &[(WindowKind, UnixTime, UnixTime)]) -> Calendar {
    calendar(true, windows)
}

/// When something of `minutes` may begin, asked at `now`.
fn first(calendar: &Calendar, now: UnixTime, minutes: u32) -> Option<UnixTime> {
    match calendar.opening(now, minutes * 60, "its maximum run time") {
        Opening::Now => Some(now),
        Opening::Later { at, .. } => at,
    }
}

fn reason(calendar: &Calendar, now: UnixTime, minutes: u32) -> String {
    match calendar.opening(now, minutes * 60, "its maximum run time") {
        Opening::Now => "now".into(),
        Opening::Later { reason, .. } => reason,
    }
}

#[test]
fn without_windows_anything_may_begin_at_any_time_unless_it_is_limited_to_them() {
    assert_eq!(Calendar::default().opening(MONDAY, u32::MAX, ""), Opening::Now);
    assert_eq!(first(&limited(&[]), MONDAY, 1), None);
}

#[test]
fn it_has_to_fit_into_what_is_left_of_the_window_to_the_second() {
    let night = limited(&[(MAINTENANCE, at(1, 0), at(3, 0)), (MAINTENANCE, at(25, 0), at(27, 0))]);
    assert_eq!(first(&night, at(0, 0), 120), Some(at(1, 0)));
    assert_eq!(first(&night, at(1, 0), 120), Some(at(1, 0)));
    assert_eq!(first(&night, at(1, 0) + 1, 120), Some(at(25, 0)));
    assert_eq!(first(&night, at(2, 59), 1), Some(at(2, 59)));
    assert_eq!(first(&night, at(3, 0), 0), Some(at(25, 0)), "the end is not within it");
}

#[test]
fn windows_that_overlap_or_touch_are_one() {
    for windows in [
        [(MAINTENANCE, at(1, 0), at(2, 0)), (MAINTENANCE, at(2, 0), at(3, 0))],
        [(MAINTENANCE, at(1, 30), at(3, 0)), (MAINTENANCE, at(1, 0), at(2, 0))],
        [(MAINTENANCE, at(1, 0), at(3, 0)), (MAINTENANCE, at(1, 30), at(2, 0))],
    ] {
        assert_eq!(first(&limited(&windows), at(0, 0), 120), Some(at(1, 0)), "{windows:?}");
        assert_eq!(first(&limited(&windows), at(0, 0), 121), None);
    }
    let apart = [(MAINTENANCE, at(1, 0), at(2, 0)), (MAINTENANCE, at(2, 1), at(3, 0))];
    assert_eq!(first(&limited(&apart), at(0, 0), 61), None);
}

#[test]
fn nothing_begins_in_business_hours_and_something_may_run_into_them() {
    let night = limited(&[(MAINTENANCE, at(6, 0), at(12, 0)), (BUSINESS, at(8, 0), at(10, 0))]);
    assert_eq!(first(&night, at(7, 0), 120), Some(at(7, 0)));
    assert_eq!(first(&night, at(8, 0), 120), Some(at(10, 0)));
    assert_eq!(first(&night, at(8, 0), 121), None, "not enough is left after them");
    let unlimited = calendar(false, &[(BUSINESS, at(8, 0), at(12, 0)), (BUSINESS, at(12, 0), at(17, 0))]);
    assert_eq!(first(&unlimited, at(9, 0), 600), Some(at(17, 0)));
}

#[test]
fn a_window_that_is_all_business_hours_is_passed_over() {
    let calendar = limited(&[
        (MAINTENANCE, at(9, 0), at(11, 0)),
        (BUSINESS, at(8, 0), at(17, 0)),
        (MAINTENANCE, at(20, 0), at(22, 0)),
    ]);
    assert_eq!(first(&calendar, at(9, 0), 60), Some(at(20, 0)));
}

#[test]
fn why_not_is_said_in_words() {
    let night = limited(&[(MAINTENANCE, at(1, 0), at(3, 0)), (MAINTENANCE, at(25, 0), at(26, 30))]);
    let cases = [
        (at(0, 0), 60, "outside the maintenance windows"),
        (at(2, 30), 60, "its maximum run time of 1 h does not fit in what is left of the maintenance window"),
        (
            at(2, 30),
            100,
            "its maximum run time of 100 min does not fit in what is left of the known maintenance windows",
        ),
        (at(0, 0), 121, "its maximum run time of 121 min fits in no known maintenance window"),
        (at(27, 0), 60, "no maintenance window is known"),
        (MONDAY + 28 * DAY, 60, "its maintenance windows are known no further: the site has to be heard of first"),
    ];
    for (now, minutes, expected) in cases {
        assert_eq!(reason(&night, now, minutes), expected);
    }
    let day = calendar(false, &[(BUSINESS, at(8, 0), at(17, 0))]);
    assert_eq!(reason(&day, at(9, 0), 60), "in business hours");
}

#[test]
fn a_known_window_counts_to_its_end_although_later_ones_are_unknown() {
    let calendar = Calendar::new(&one_window(at(2, 0)), instant);
    assert_eq!(first(&calendar, at(2, 30), 30), Some(at(2, 30)));
    assert_eq!(first(&calendar, at(2, 31), 30), None);
}

/// One window from 01:00 to 03:00, known until then.
fn one_window(known_until: UnixTime) -> Windows {
    let window = Window { kind: MAINTENANCE, start: Moment::At(at(1, 0)), seconds: 2 * 3_600 };
    Windows { limited: true, known_until, windows: [window].into_iter().collect() }
}

#[test]
fn open_throughout_means_every_moment_of_it() {
    let night = limited(&[
        (MAINTENANCE, at(1, 0), at(6, 0)),
        (BUSINESS, at(3, 0), at(4, 0)),
        (MAINTENANCE, at(22, 0), at(23, 0)),
    ]);
    assert!(night.is_open_throughout(at(1, 0), at(2, 59)));
    for (start, end) in
        [(at(0, 59), at(2, 0)), (at(2, 0), at(3, 0)), (at(2, 0), at(5, 0)), (at(5, 0), at(6, 0)), (at(5, 0), at(22, 0))]
    {
        assert!(!night.is_open_throughout(start, end), "{start} to {end}");
    }
    assert!(!night.is_open_throughout(at(2, 0), at(1, 0)), "a clock that was set back proves nothing");
    assert!(Calendar::default().is_open_throughout(i64::MIN, i64::MAX));
}

/// Against the plain meaning of the words, minute by minute.
#[test]
fn openings_agree_with_their_definition_on_many_calendars() {
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) % bound) as i64
    };
    for _ in 0..300 {
        let windows: Vec<_> = (0..below(6))
            .map(|_| {
                let (start, length) = (below(300), below(80));
                let kind = if below(3) == 0 { BUSINESS } else { MAINTENANCE };
                (kind, MONDAY + start * MINUTE, MONDAY + (start + length) * MINUTE)
            })
            .collect();
        let is_limited = below(4) > 0;
        let calendar = calendar(is_limited, &windows);
        let length = below(70);
        let covered = |kind, minute: i64| {
            windows.iter().any(|(of, start, end)| *of == kind && (*start..*end).contains(&(MONDAY + minute * MINUTE)))
        };
        let may_begin = |minute: i64| {
            let fits = (minute..minute + length.max(1)).all(|minute| covered(MAINTENANCE, minute));
            (!is_limited || fits) && !covered(BUSINESS, minute)
        };
        for now in 0..400 {
            let expected = (now..400).find(|minute| may_begin(*minute)).map(|minute| MONDAY + minute * MINUTE);
            let found = first(&calendar, MONDAY + now * MINUTE, u32::try_from(length).unwrap());
            assert_eq!(found, expected, "minute {now}, {length} minutes, {windows:?}");
        }
    }
}

#[test]
fn the_ends_of_time_overflow_nothing() {
    for time in [i64::MIN, -1, 0, i64::MAX] {
        let calendar = Calendar::new(&one_window(time), |_| time);
        for now in [i64::MIN, 0, i64::MAX] {
            assert_ne!(calendar.opening(now, u32::MAX, ""), Opening::Now);
            let _ = calendar.is_open_throughout(now, time);
        }
    }
}
