//! Installations that take effect when the machine has restarted.

use crate::world::{DAY, HOUR, Installer, MINUTE, MONDAY, World, calendar, required};
use farrier_agent_core::enforcement::{BootId, Terms};
use farrier_protocol::assignment::{Standing, WindowKind};
use farrier_protocol::deployment::RestartBehaviour;
use farrier_protocol::enforcement::EnforcementState as State;

const TUESDAY: i64 = MONDAY + DAY;
const COUNTDOWN: RestartBehaviour = RestartBehaviour::Force { countdown_seconds: 600 };

fn pending(restart: RestartBehaviour) -> World {
    let mut world = World::new(Terms { restart, ..required() });
    world.installer = Installer::InstallsWithRestart;
    world.run_until(TUESDAY);
    world
}

#[test]
fn an_update_that_needs_a_restart_succeeds_after_it_and_not_before() {
    let mut world = pending(RestartBehaviour::Suppress);
    world.run_until(TUESDAY + DAY);
    assert_eq!((world.state(), world.last().until), (State::PendingRestart, None));
    assert_eq!(world.last().reason, "it takes effect when the machine restarts");
    world.start();
    world.scheduled_scan();
    assert_eq!(world.state(), State::PendingRestart, "neither a new start of the agent nor a scan is a restart");
    world.lose_power();
    world.turn();
    assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 1));
}

#[test]
fn what_was_installed_while_the_agent_was_gone_is_taken_to_need_a_restart() {
    for installed in [true, false] {
        let mut world = World::new(required());
        world.installer = Installer::LosesAgent { installed };
        world.run_until(TUESDAY);
        world.turn();
        // What the agent ran may go on for a while.
        world.found = farrier_protocol::ComplianceState::Installed;
        world.run_until(TUESDAY + HOUR);
        assert_eq!((world.state(), world.installations.len()), (State::PendingRestart, 1), "at once: {installed}");
        assert!(world.log.iter().any(|line| line.reason.contains("the agent stopped meanwhile")));
        world.lose_power();
        world.turn();
        assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 1));
    }
    // In an image that does not run there is nothing to restart.
    let mut image = World::new(required());
    (image.installer, image.boot) = (Installer::LosesAgent { installed: true }, None);
    image.run_until(TUESDAY + HOUR);
    assert_eq!(image.state(), State::Succeeded);
}

#[test]
fn a_restart_that_undoes_the_installation_is_a_failed_attempt() {
    let mut world = pending(RestartBehaviour::Suppress);
    world.run_until(TUESDAY + HOUR);
    world.found = farrier_protocol::ComplianceState::Required;
    world.lose_power();
    world.turn();
    assert_eq!(world.state(), State::Waiting);
    assert!(world.last().reason.starts_with("attempt 1 of 3 failed"), "{}", world.last().reason);
}

#[test]
fn a_second_restart_is_announced_like_the_first() {
    let mut world = pending(COUNTDOWN);
    world.turn();
    // Somebody restarts the machine during the countdown, and that undoes the installation.
    world.found = farrier_protocol::ComplianceState::Required;
    world.lose_power();
    world.run_until(TUESDAY + HOUR);
    assert_eq!((world.announcements.len(), world.restarted.len()), (2, 1));
    assert_eq!(world.restarted[0] - world.announcements[1], 600);
}

#[test]
fn users_are_asked_once_a_day() {
    let mut world = pending(RestartBehaviour::Ask);
    world.run_until(TUESDAY + 3 * DAY);
    assert_eq!(world.announcements, [TUESDAY, TUESDAY + DAY, TUESDAY + 2 * DAY]);
    assert_eq!((world.state(), world.restarted.len()), (State::PendingRestart, 0));
    assert_eq!(world.last().reason, "users were asked to restart the machine");
}

#[test]
fn a_forced_restart_comes_after_its_countdown() {
    let mut world = pending(COUNTDOWN);
    world.run_until(TUESDAY + HOUR);
    assert_eq!(
        (world.announcements.as_slice(), world.restarted.as_slice()),
        ([TUESDAY].as_slice(), [TUESDAY + 600].as_slice())
    );
    assert_eq!(world.state(), State::Succeeded);
    let waiting = world.log.iter().find(|line| line.until == Some(TUESDAY + 600)).unwrap();
    assert_eq!(waiting.reason, "users were told that the machine restarts after a countdown");
}

#[test]
fn a_restart_waits_for_a_window_that_holds_its_countdown() {
    let windows = [
        (WindowKind::Maintenance, TUESDAY, TUESDAY + HOUR),
        // Nobody is on the second: this one is too short.
        (WindowKind::Maintenance, TUESDAY + 3 * HOUR, TUESDAY + 3 * HOUR + 10 * MINUTE),
        (WindowKind::Maintenance, TUESDAY + 5 * HOUR, TUESDAY + 6 * HOUR),
    ];
    // The installation fills the first window to its end.
    let mut world = World::new(Terms { restart: COUNTDOWN, ..required() });
    world.installer = Installer::InstallsWithRestart;
    world.calendar = calendar(true, &windows);
    world.run_until(TUESDAY);
    world.turn();
    assert_eq!((world.state(), world.announcements.as_slice()), (State::PendingRestart, [TUESDAY].as_slice()));
    let mut late = World::new(Terms {
        restart: COUNTDOWN,
        max_run_seconds: 60,
        deadline: Some(TUESDAY + 55 * MINUTE),
        ..required()
    });
    late.installer = Installer::InstallsWithRestart;
    late.calendar = calendar(true, &windows);
    late.run_until(TUESDAY + HOUR);
    assert_eq!((late.state(), late.last().until), (State::PendingRestart, Some(TUESDAY + 5 * HOUR)));
    late.run_until(TUESDAY + DAY);
    assert_eq!(late.restarted, [TUESDAY + 5 * HOUR + 10 * MINUTE]);
}

#[test]
fn an_urgent_restart_waits_for_no_window() {
    let mut world =
        World::new(Terms { restart: COUNTDOWN, install_any_time: true, restart_any_time: true, ..required() });
    world.installer = Installer::InstallsWithRestart;
    world.calendar = calendar(true, &[]);
    world.run_until(TUESDAY + HOUR);
    assert_eq!(world.restarted, [TUESDAY + 600]);
}

#[test]
fn a_machine_that_slept_through_its_window_counts_down_again() {
    let windows = [
        (WindowKind::Maintenance, TUESDAY, TUESDAY + 2 * HOUR),
        (WindowKind::Maintenance, TUESDAY + DAY, TUESDAY + DAY + 2 * HOUR),
    ];
    let mut world = World::new(Terms { restart: COUNTDOWN, ..required() });
    world.installer = Installer::InstallsWithRestart;
    world.calendar = calendar(true, &windows);
    world.run_until(TUESDAY + 5 * MINUTE);
    assert_eq!(world.announcements.len(), 1);
    world.now = TUESDAY + 12 * HOUR;
    world.run_until(TUESDAY + 2 * DAY);
    assert_eq!(world.announcements, [TUESDAY, TUESDAY + DAY]);
    assert_eq!(world.restarted, [TUESDAY + DAY + 600]);
}

#[test]
fn a_countdown_that_began_in_the_future_begins_again() {
    for restart_any_time in [false, true] {
        let mut world = pending(COUNTDOWN);
        world.terms.restart_any_time = restart_any_time;
        world.turn();
        world.now -= 2 * HOUR;
        world.turn();
        assert_eq!(world.announcements, [TUESDAY, TUESDAY - 2 * HOUR]);
    }
}

#[test]
fn a_pause_holds_a_restart_back() {
    let mut world = pending(COUNTDOWN);
    world.turn();
    world.terms.standing = Standing::Paused;
    world.run_until(TUESDAY + HOUR);
    assert!(world.restarted.is_empty());
    assert_eq!((world.state(), world.last().reason.as_str()), (State::PendingRestart, "paused by the administrator"));
    world.terms.standing = Standing::Open { since: MONDAY };
    world.run_until(TUESDAY + 2 * HOUR);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn a_machine_that_does_not_restart_is_told_again_an_hour_later() {
    let mut world = pending(COUNTDOWN);
    world.restarts = false;
    world.run_until(TUESDAY + 3 * HOUR);
    assert_eq!(world.restarted, [TUESDAY + 600, TUESDAY + HOUR + 1_200, TUESDAY + 2 * HOUR + 1_800]);
    assert_eq!(world.state(), State::PendingRestart);
}

#[test]
fn an_image_that_does_not_run_is_proved_at_once() {
    let mut world = World::new(Terms { restart: COUNTDOWN, ..required() });
    (world.installer, world.boot) = (Installer::InstallsWithRestart, None);
    world.run_until(TUESDAY + HOUR);
    assert_eq!((world.state(), world.restarted.len()), (State::Succeeded, 0));
    assert!(!world.states().contains(&State::PendingRestart));
}

#[test]
fn a_boot_is_told_from_another_by_its_name() {
    assert_eq!(BootId::of("4a1b\n"), BootId::of("4a1b"));
    assert_ne!(BootId::of("4a1b"), BootId::of("4a1c"));
}
