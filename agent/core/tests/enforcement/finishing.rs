//! What an installer has left to do once a scan proved what it did.

use crate::world::{DAY, HOUR, Installer, MONDAY, World, required};
use farrier_agent_core::enforcement::{Decision, MAX_FINISHES};
use farrier_protocol::ComplianceState;
use farrier_protocol::deployment::RestartBehaviour;
use farrier_protocol::enforcement::EnforcementState as State;

fn installed(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(required());
    change(&mut world);
    world.run_until(MONDAY + DAY + HOUR);
    world
}

#[test]
fn an_installer_finishes_once_and_only_after_a_scan_proved_it() {
    let mut world = installed(|it| it.finishes = vec![Ok("removed the old set")]);
    assert_eq!((world.state(), world.finished.len()), (State::Succeeded, 1));
    let first = world.first(State::Succeeded).unwrap();
    assert_eq!(world.finished, [first], "at once, by the scan that proved it");
    assert_eq!(world.last().reason, "installed; kept /etc/ssl/openssl.cnf; removed the old set");
    for _ in 0..5 {
        world.scheduled_scan();
    }
    assert_eq!(world.finished.len(), 1);
}

#[test]
fn what_nobody_here_installed_is_not_finished() {
    for found in [ComplianceState::Installed, ComplianceState::NotRequired] {
        let world = installed(|it| it.found = found);
        assert_eq!((world.state(), world.finished.len()), (State::Succeeded, 0));
    }
    for installer in [Installer::Fails, Installer::Lies, Installer::Confuses, Installer::Refuses] {
        assert!(installed(|it| it.installer = installer).finished.is_empty(), "{installer:?}");
    }
}

#[test]
fn what_is_not_required_any_more_after_the_installation_is_not_finished() {
    let mut world = World::new(required());
    world.run_until(MONDAY + DAY - HOUR);
    world.installer = Installer::Lies;
    world.turn_until(|decision| matches!(decision, Decision::Install));
    world.now = MONDAY + DAY;
    world.turn();
    world.found = ComplianceState::NotRequired;
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.finished.len()), (State::Succeeded, 0));
}

#[test]
fn it_finishes_after_the_restart_and_not_before() {
    let world = installed(|it| {
        it.terms.restart = RestartBehaviour::Force { countdown_seconds: 600 };
        it.installer = Installer::InstallsWithRestart;
    });
    assert_eq!(world.state(), State::Succeeded);
    assert_eq!(world.finished.len(), 1);
    assert!(world.restarted[0] <= world.finished[0], "{:?} {:?}", world.restarted, world.finished);
}

#[test]
fn one_that_was_cut_off_finishes_all_the_same() {
    let world = installed(|it| it.installer = Installer::LosesPower { installed: true });
    assert_eq!((world.state(), world.finished.len()), (State::Succeeded, 1));
}

#[test]
fn a_failure_is_shown_and_tried_again_after_the_next_scans_but_not_for_ever() {
    let mut world = installed(|it| it.finishes = vec![Err("the slot is busy"); 9]);
    let reason = |number: u8| format!("installed, but finishing it failed (try {number} of 3): the slot is busy");
    for number in 1..=MAX_FINISHES {
        assert_eq!((world.state(), world.finished.len()), (State::Succeeded, usize::from(number)));
        assert_eq!(world.last().reason, reason(number));
        world.turn();
        assert_eq!(world.finished.len(), usize::from(number), "without another scan there is no other try");
        world.scheduled_scan();
    }
    assert_eq!(world.finished.len(), usize::from(MAX_FINISHES));
    assert_eq!((world.state(), world.last().reason.clone()), (State::Succeeded, reason(3)));
}

#[test]
fn a_failure_that_passes_is_forgotten() {
    let mut world = installed(|it| it.finishes = vec![Err("the slot is busy"), Ok("marked good")]);
    world.scheduled_scan();
    assert_eq!(world.finished.len(), 2);
    assert_eq!(world.last().reason, "installed; kept /etc/ssl/openssl.cnf; marked good");
}

#[test]
fn one_that_takes_the_agent_down_with_it_is_not_asked_for_ever() {
    let mut world = World::new(required());
    world.now = MONDAY + DAY;
    while world.state() != State::Succeeded {
        world.turn_until(|decision| matches!(decision, Decision::Finish));
    }
    for _ in 0..10 {
        assert_eq!(world.state(), State::Succeeded);
        world.scheduled_scan_that_dies_finishing();
    }
    assert_eq!(world.finished.len(), usize::from(MAX_FINISHES));
}

#[test]
fn what_is_required_again_is_installed_and_finished_again() {
    let mut world = installed(|_| ());
    world.found = ComplianceState::Required;
    world.scheduled_scan();
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!((world.installations.len(), world.finished.len()), (2, 2));
}
