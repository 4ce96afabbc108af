//! When windows occur: recurrence, time zones, daylight saving, and the horizon.

use super::*;
use farrier_protocol::assignment::{MAX_WINDOWS, Window, WindowKind};
use farrier_protocol::deployment::Moment;
use jiff::civil::{DateTime, datetime};
use jiff::tz::TimeZone;

const DAY: i64 = 86_400;

fn window(starts: DateTime, rule: Option<&str>, zone: Option<&str>) -> WindowDefinition {
    WindowDefinition {
        name: "Nights".to_owned(),
        kind: WindowKind::Maintenance,
        starts,
        recurrence: rule.map(str::to_owned),
        duration_seconds: 7_200,
        time_zone: zone.map(str::to_owned),
        enabled: true,
    }
}

fn of(definition: WindowDefinition) -> MaintenanceWindow {
    MaintenanceWindow {
        id: 1,
        collection: CollectionId(1),
        collection_name: "All clients".to_owned(),
        definition,
        changed_at: 0,
    }
}

/// The second of a wall clock in UTC.
fn at(time: DateTime) -> i64 {
    time.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second()
}

/// The next starts, as the wall clock of UTC shows them.
fn starts(window: &WindowDefinition, now: DateTime, most: usize) -> Vec<String> {
    let occurrences = next_occurrences(window, at(now), most).unwrap();
    let shown = |occurrence: &Occurrence| match occurrence.start {
        Moment::At(second) => jiff::Timestamp::from_second(second).unwrap().to_string(),
        Moment::Local(_) => occurrence.starts.to_string(),
    };
    occurrences.iter().map(shown).collect()
}

#[test]
fn a_rule_gives_the_days_it_says() {
    let first = datetime(2026, 11, 1, 22, 0, 0, 0);
    for (rule, expected) in [
        (None, vec!["2026-11-01T22:00:00"]),
        (Some("FREQ=DAILY;INTERVAL=3"), vec!["2026-11-01T22:00:00", "2026-11-04T22:00:00", "2026-11-07T22:00:00"]),
        (
            Some("RRULE:FREQ=WEEKLY;BYDAY=TU,TH"),
            vec!["2026-11-03T22:00:00", "2026-11-05T22:00:00", "2026-11-10T22:00:00"],
        ),
        // The second Tuesday of the month: Patch Tuesday.
        (Some("FREQ=MONTHLY;BYDAY=2TU"), vec!["2026-11-10T22:00:00", "2026-12-08T22:00:00", "2027-01-12T22:00:00"]),
        (Some("FREQ=MONTHLY;BYMONTHDAY=-1"), vec!["2026-11-30T22:00:00", "2026-12-31T22:00:00", "2027-01-31T22:00:00"]),
        (Some("FREQ=DAILY;COUNT=2"), vec!["2026-11-01T22:00:00", "2026-11-02T22:00:00"]),
        (Some("FREQ=DAILY;UNTIL=20261102"), vec!["2026-11-01T22:00:00", "2026-11-02T22:00:00"]),
        (Some("FREQ=DAILY;UNTIL=20261102T210000"), vec!["2026-11-01T22:00:00"]),
        (
            Some("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"),
            vec!["2028-02-29T22:00:00", "2032-02-29T22:00:00", "2036-02-29T22:00:00"],
        ),
        (
            Some("freq=weekly;byday=mo;byhour=1,5"),
            vec!["2026-11-02T01:00:00", "2026-11-02T05:00:00", "2026-11-09T01:00:00"],
        ),
    ] {
        assert_eq!(starts(&window(first, rule, None), first, 3), expected, "{rule:?}");
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_a_remedy() {
    for (rule, words) in [
        ("daily", "no RFC 5545 recurrence rule"),
        ("FREQ=SOMETIMES", "no RFC 5545 recurrence rule"),
        ("FREQ=DAILY;BYMONTH=13", "no RFC 5545 recurrence rule"),
        ("FREQ=HOURLY", "FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=SECONDLY;COUNT=4", "FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 never goes on"),
        ("FREQ=DAILY;UNTIL=20271231T220000Z", "without Z"),
        ("FREQ=DAILY;UNTIL=tomorrow", "wall clock time"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "it never occurs"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "it never occurs"),
    ] {
        let error = checked(&window(datetime(2026, 1, 1, 0, 0, 0, 0), Some(rule), None)).unwrap_err();
        let shown = format!("{:#}", anyhow::Error::new(error));
        assert!(shown.contains(words), "{rule}: {shown}");
    }
    let long = format!("FREQ=DAILY;BYMONTHDAY={}", "1,".repeat(300));
    assert!(checked(&window(datetime(2026, 1, 1, 0, 0, 0, 0), Some(&long), None)).is_err());
}

#[test]
fn a_window_stays_where_it_is_on_the_wall_clock_when_clocks_change() {
    let nights = window(datetime(2026, 1, 1, 2, 30, 0, 0), Some("FREQ=DAILY"), Some("Europe/Berlin"));
    // Summer time begins on 2026-03-29: 02:30 does not exist, and is 03:30.
    let spring = starts(&nights, datetime(2026, 3, 28, 0, 0, 0, 0), 3);
    assert_eq!(spring, ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
    // It ends on 2026-10-25: 02:30 is twice, and the first one counts.
    let autumn = starts(&nights, datetime(2026, 10, 24, 0, 0, 0, 0), 3);
    assert_eq!(autumn, ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // A client's own clock is its own business.
    let own = WindowDefinition { time_zone: None, ..nights };
    let told = expand::windows(&[of(own)], at(datetime(2026, 3, 28, 0, 0, 0, 0))).unwrap();
    let second = at(datetime(2026, 3, 29, 2, 30, 0, 0));
    assert!(told.windows.iter().any(|window| window.start == Moment::Local(second)));
}

#[test]
fn a_window_that_began_is_known_until_it_has_ended_everywhere() {
    let long =
        WindowDefinition { duration_seconds: MAX_SECONDS, ..window(datetime(2026, 11, 1, 0, 0, 0, 0), None, None) };
    let known = |now: DateTime| !expand::windows(&[of(long.clone())], at(now)).unwrap().windows.is_empty();
    assert!(known(datetime(2026, 10, 1, 0, 0, 0, 0)));
    assert!(known(datetime(2026, 11, 8, 0, 0, 0, 0)));
    // Far in the west it ends half a day later.
    assert!(known(datetime(2026, 11, 8, 23, 0, 0, 0)));
    assert!(!known(datetime(2026, 11, 9, 0, 0, 0, 0)));
}

#[test]
fn what_a_client_is_told_changes_once_a_day() {
    let windows = [
        of(window(datetime(2020, 1, 1, 22, 0, 0, 0), Some("FREQ=DAILY"), Some("America/New_York"))),
        of(window(datetime(2020, 1, 1, 9, 0, 0, 0), Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"), None)),
    ];
    let midnight = at(datetime(2026, 11, 23, 0, 0, 0, 0));
    let told = |now: i64| expand::windows(&windows, now).unwrap();
    let first = told(midnight);
    for second in (0..DAY).step_by(613) {
        assert_eq!(told(midnight + second), first);
    }
    let next = told(midnight + DAY);
    assert_ne!(next, first);
    assert_eq!(next.known_until, first.known_until + DAY);
    assert!(first.windows.is_sorted_by_key(|window| match window.start {
        Moment::At(second) | Moment::Local(second) => second,
    }));
}

#[test]
fn every_window_that_begins_before_the_known_time_is_there() {
    let now = at(datetime(2026, 11, 23, 12, 0, 0, 0));
    for zone in [None, Some("Pacific/Kiritimati"), Some("Etc/GMT+12"), Some("UTC")] {
        let told =
            expand::windows(&[of(window(datetime(2026, 1, 1, 23, 30, 0, 0), Some("FREQ=DAILY"), zone))], now).unwrap();
        for offset in [-12, 0, 14] {
            let instant = |window: &Window| match window.start {
                Moment::At(second) => second,
                Moment::Local(second) => second - offset * 3_600,
            };
            let starts: Vec<i64> = told.windows.iter().map(instant).collect();
            // One a day, from before now to behind what is known.
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == DAY), "{zone:?} {offset}");
            assert!(*starts.first().unwrap() <= now, "{zone:?} {offset}");
            assert!(*starts.last().unwrap() + DAY >= told.known_until, "{zone:?} {offset}");
        }
    }
}

#[test]
fn more_windows_than_fit_are_known_for_a_shorter_time() {
    let now = at(datetime(2026, 11, 23, 0, 0, 0, 0));
    let six_a_day = window(datetime(2026, 1, 1, 0, 0, 0, 0), Some("FREQ=DAILY;BYHOUR=0,4,8,12,16,20"), Some("UTC"));
    let six_a_day = WindowDefinition { duration_seconds: 600, ..six_a_day };
    let told = expand::windows(&[of(six_a_day)], now).unwrap();
    assert_eq!(told.windows.len(), MAX_WINDOWS);
    let Moment::At(last) = told.windows.last().unwrap().start else { panic!("a time zone is given") };
    assert_eq!(told.known_until, last + 4 * 3_600, "the first one that does not fit");
}

#[test]
fn a_maintenance_window_limits_even_if_it_never_comes_again() {
    let now = at(datetime(2026, 11, 23, 0, 0, 0, 0));
    let past = window(datetime(2020, 1, 1, 0, 0, 0, 0), None, None);
    assert!(expand::windows(&[of(past.clone())], now).unwrap().limited);
    let office = WindowDefinition { kind: WindowKind::BusinessHours, ..past };
    assert!(!expand::windows(&[of(office)], now).unwrap().limited);
    assert!(!expand::windows(&[], now).unwrap().limited);
}
