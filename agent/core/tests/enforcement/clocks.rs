//! Clocks that are set: nothing waits for years, and nothing is installed outside its window.

use crate::world::{DAY, HOUR, MINUTE, MONDAY, Source, World, calendar, required};
use farrier_agent_core::enforcement::{Job, Terms};
use farrier_protocol::assignment::WindowKind;
use farrier_protocol::enforcement::EnforcementState as State;

const YEAR: i64 = 365 * DAY;

#[test]
fn a_clock_set_forward_over_the_deadline_installs_and_one_set_back_does_not_install_twice() {
    let mut world = World::new(required());
    world.run_until(MONDAY + 23 * HOUR);
    world.now = MONDAY + DAY + MINUTE;
    world.turn();
    assert_eq!(world.state(), State::Succeeded);
    world.now = MONDAY + 23 * HOUR;
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations.len(), 1);
}

#[test]
fn a_clock_set_back_before_the_deadline_lets_a_waiting_update_wait_again() {
    let mut world = World::new(required());
    let tuesday = MONDAY + DAY;
    world.calendar = calendar(true, &[(WindowKind::Maintenance, tuesday + 3 * HOUR, tuesday + 5 * HOUR)]);
    world.run_until(tuesday + HOUR);
    assert_eq!(world.state(), State::WaitingForWindow);
    world.now = MONDAY + 22 * HOUR;
    world.turn();
    assert_eq!((world.state(), world.last().until), (State::Downloaded, Some(tuesday)));
    world.run_until(tuesday + DAY);
    assert_eq!(world.installations, [tuesday + 3 * HOUR]);
}

#[test]
fn a_clock_far_ahead_finds_no_window_it_could_trust() {
    let mut world = World::new(required());
    world.calendar = calendar(true, &[(WindowKind::Maintenance, MONDAY + DAY, MONDAY + DAY + 2 * HOUR)]);
    world.run_until(MONDAY + HOUR);
    world.now = MONDAY + YEAR;
    world.turn();
    assert_eq!(world.state(), State::WaitingForWindow);
    assert!(world.last().reason.contains("the site has to be heard of first"), "{}", world.last().reason);
    world.now = MONDAY + 2 * HOUR;
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations, [MONDAY + DAY]);
}

#[test]
fn what_was_first_seen_by_a_clock_far_ahead_is_due_all_the_same() {
    let mut world = World::new(Terms { grace_seconds: 7_200, ..required() });
    world.job = Job::new(crate::world::KEY, 0, MONDAY + YEAR);
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations, [MONDAY + DAY]);
}

#[test]
fn a_pause_between_two_tries_never_becomes_longer() {
    for set_to in [MONDAY - YEAR, MONDAY + YEAR] {
        let mut world = World::new(Terms { deadline: None, available_at: MONDAY - 2 * YEAR, ..required() });
        world.source = Source::Unreachable;
        world.run_until(MONDAY + 3 * DAY);
        world.source = Source::Good;
        world.now = set_to;
        world.run_until(set_to + 5 * HOUR);
        assert_eq!(world.state(), State::Succeeded);
    }
}

#[test]
fn no_time_at_all_makes_a_decision_panic() {
    let times = [i64::MIN, i64::MIN + 1, -1, 0, MONDAY, i64::MAX - 1, i64::MAX];
    for now in times {
        for (available_at, deadline) in times.into_iter().flat_map(|first| times.map(|second| (first, second))) {
            let terms = Terms { available_at, deadline: Some(deadline), delay_seconds: u32::MAX, ..required() };
            let mut world = World::new(Terms { grace_seconds: u32::MAX, ..terms });
            world.now = now;
            world.turn();
        }
    }
}
