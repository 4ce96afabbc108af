//! What the daemon does by itself.

use super::{OPENSSL, World, wait};
use crate::run::Daemon;
use farrier_protocol::ComplianceState;

#[test]
fn the_daemon_polls_scans_reports_and_then_waits_as_long_as_the_site_says() {
    let world = World::enrolled();
    let mut daemon = Daemon::new(&world.agent);
    assert_eq!(daemon.seconds_to_wait(), 0);
    wait(daemon.work());
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
    let seconds = daemon.seconds_to_wait();
    assert!((700..=1_013).contains(&seconds), "900 s and an eighth of jitter: {seconds}");
}

#[test]
fn the_clients_own_periods_go_before_the_sites() {
    let mut world = World::enrolled();
    world.agent.config.schedule.poll_seconds = Some(8_000);
    world.agent.config.schedule.scan_seconds = Some(8_000);
    let mut daemon = Daemon::new(&world.agent);
    wait(daemon.work());
    assert!(daemon.seconds_to_wait() > 6_900);
}

#[test]
fn a_daemon_that_is_offline_scans_with_what_it_has_and_tries_again_soon() {
    let world = World::enrolled();
    world.poll().unwrap();
    world.site.shared().down = true;
    let mut daemon = Daemon::new(&world.agent);
    wait(daemon.work());
    assert!(daemon.seconds_to_wait() <= 15 * 2, "{}", daemon.seconds_to_wait());
    assert!(world.agent.session().unwrap().spool.stream().unwrap().unsent() > 1);

    world.site.shared().down = false;
    wait(Daemon::new(&world.agent).work());
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn a_daemon_without_an_assignment_waits_for_one() {
    let world = World::enrolled();
    world.site.shared().assignment.clear();
    let mut daemon = Daemon::new(&world.agent);
    wait(daemon.work());
    assert!((1..=15 * 2).contains(&daemon.seconds_to_wait()));
    world.site.publish();
    wait(Daemon::new(&world.agent).work());
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}
