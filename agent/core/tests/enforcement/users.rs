//! What users may want: to install now, or later.

use crate::world::{DAY, HOUR, Installer, MONDAY, World, available, calendar, required};
use farrier_agent_core::enforcement::{Refusal, Terms};
use farrier_protocol::ComplianceState;
use farrier_protocol::assignment::Standing;
use farrier_protocol::enforcement::EnforcementState as State;

fn ask(world: &mut World) -> Result<(), Refusal> {
    let terms = world.terms;
    world.job.ask(&terms, world.now)
}

fn defer(world: &mut World, seconds: i64) -> Result<i64, Refusal> {
    let terms = world.terms;
    world.job.defer(&terms, u32::try_from(seconds).unwrap(), world.now)
}

#[test]
fn who_asks_gets_it_before_the_deadline_and_outside_every_window() {
    let mut world = World::new(required());
    world.calendar = calendar(true, &[]);
    world.run_until(MONDAY + HOUR);
    ask(&mut world).unwrap();
    world.turn();
    assert_eq!((world.state(), world.installations.as_slice()), (State::Succeeded, [MONDAY + HOUR].as_slice()));
}

#[test]
fn nobody_gets_what_is_held() {
    let held = [
        Terms { standing: Standing::Planned { expected_at: None }, ..available() },
        Terms { standing: Standing::Paused, ..available() },
        Terms { available_at: MONDAY + DAY, ..available() },
    ];
    for terms in held {
        let mut world = World::new(terms);
        let refusal = ask(&mut world).unwrap_err();
        assert!(matches!(refusal, Refusal::Held { .. }), "{refusal}");
        assert_eq!(defer(&mut world, HOUR), Err(refusal));
        assert!(!world.job.is_asked_for());
    }
}

#[test]
fn nobody_gets_what_is_installed_or_not_deployed() {
    let mut world = World::new(required());
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(ask(&mut world), Err(Refusal::Done));
    assert_eq!(defer(&mut world, HOUR), Err(Refusal::Done));
    let mut pending = World::new(required());
    pending.installer = Installer::InstallsWithRestart;
    pending.run_until(MONDAY + 2 * DAY);
    assert_eq!(ask(&mut pending), Err(Refusal::AtWork(State::PendingRestart)));
}

#[test]
fn who_asks_for_what_failed_gets_a_new_start() {
    let mut world = World::new(Terms { attempts: 1, ..available() });
    world.installer = Installer::Fails;
    ask(&mut world).unwrap();
    world.run_until(MONDAY + HOUR);
    assert_eq!(world.state(), State::Failed);
    world.installer = Installer::Installs;
    ask(&mut world).unwrap();
    world.run_until(MONDAY + 2 * HOUR);
    assert_eq!((world.state(), world.job.installations()), (State::Succeeded, 2));
}

#[test]
fn what_a_user_asked_for_and_failed_is_tried_again_when_an_administrator_wants_it() {
    let mut world = World::new(Terms { attempts: 1, ..available() });
    world.installer = Installer::Fails;
    ask(&mut world).unwrap();
    world.run_until(MONDAY + HOUR);
    world.installer = Installer::Installs;
    world.job = world.retried(1);
    world.run_until(MONDAY + 2 * HOUR);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn what_is_tried_again_when_nobody_is_there_waits_for_a_window() {
    let mut failed = World::new(Terms { attempts: 1, ..available() });
    failed.calendar = calendar(true, &[]);
    failed.installer = Installer::Fails;
    ask(&mut failed).unwrap();
    failed.run_until(MONDAY + HOUR);
    (failed.installer, failed.job) = (Installer::Installs, failed.retried(1));
    failed.run_until(MONDAY + 2 * HOUR);
    assert_eq!(failed.state(), State::WaitingForWindow);
    let mut paused = World::new(available());
    paused.calendar = calendar(true, &[]);
    ask(&mut paused).unwrap();
    paused.terms.standing = Standing::Paused;
    paused.run_until(MONDAY + 13 * HOUR);
    paused.terms.standing = Standing::Open { since: MONDAY };
    paused.run_until(MONDAY + 14 * HOUR);
    assert_eq!(paused.state(), State::WaitingForWindow);
    ask(&mut paused).unwrap();
    paused.turn();
    assert_eq!(paused.state(), State::Succeeded);
}

#[test]
fn an_update_can_be_deferred_until_it_is_due_and_not_beyond() {
    let mut world = World::new(required());
    world.run_until(MONDAY + HOUR);
    assert_eq!(defer(&mut world, 24 * HOUR), Err(Refusal::TooLong { latest: MONDAY + DAY }));
    assert_eq!(defer(&mut world, 23 * HOUR), Ok(MONDAY + DAY));
    world.turn();
    assert_eq!(world.last().reason, "a user deferred it; it installs by itself when it is due");
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations, [MONDAY + DAY]);
}

#[test]
fn what_is_due_cannot_be_deferred() {
    let mut world = World::new(required());
    world.calendar = calendar(true, &[]);
    world.run_until(MONDAY + DAY + HOUR);
    assert_eq!(defer(&mut world, 1), Err(Refusal::Due { since: MONDAY + DAY }));
}

#[test]
fn what_nobody_has_to_install_cannot_be_deferred() {
    let mut world = World::new(available());
    let refusal = defer(&mut world, HOUR).unwrap_err();
    assert_eq!(refusal, Refusal::Optional);
    assert!(refusal.to_string().contains("only required updates can be deferred"));
}

#[test]
fn who_asked_and_deferred_gets_it_after_that_and_who_asks_again_at_once() {
    let mut world = World::new(required());
    ask(&mut world).unwrap();
    defer(&mut world, 4 * HOUR).unwrap();
    world.run_until(MONDAY + 5 * HOUR);
    assert_eq!(world.installations, [MONDAY + 4 * HOUR]);
    assert_eq!(world.job.deferred_until(), None);
    let mut again = World::new(required());
    defer(&mut again, 4 * HOUR).unwrap();
    again.run_until(MONDAY + HOUR);
    ask(&mut again).unwrap();
    again.turn();
    assert_eq!(again.installations, [MONDAY + HOUR]);
}

#[test]
fn who_asks_does_not_wait_for_a_pause_between_tries() {
    let mut world = World::new(required());
    world.found = ComplianceState::Unknown;
    world.turn();
    world.found = ComplianceState::Required;
    ask(&mut world).unwrap();
    world.run_until(MONDAY + 5 * 60);
    assert_eq!(world.state(), State::Succeeded);
}
