//! What the daemon does by itself.

use super::deployment::Deployed;
use super::{OPENSSL, World, wait};
use crate::clock::now;
use crate::run::Daemon;
use farrier_protocol::ComplianceState;
use farrier_protocol::deployment::Moment;
use farrier_protocol::enforcement::EnforcementState;
use std::fs;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

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
fn a_daemon_that_cannot_open_its_folder_waits_before_it_tries_again() {
    let world = World::enrolled();
    fs::create_dir(world.agent.layout.spool()).unwrap();
    let mut daemon = Daemon::new(&world.agent);
    let waits = wait(async {
        let mut turn = pin!(daemon.turn());
        poll_fn(|context| Poll::Ready(turn.as_mut().poll(context).is_pending())).await
    });
    assert!(waits, "signals arrive only in one who waits");
    assert!((1..=15).contains(&daemon.seconds_to_wait()), "neither poll nor scan stays due");

    fs::remove_dir(world.agent.layout.spool()).unwrap();
    wait(Daemon::new(&world.agent).work());
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required));
}

#[test]
fn missing_content_does_not_make_an_offline_daemon_impatient() {
    let world = World::enrolled();
    world.poll().unwrap();
    fs::remove_dir_all(world.agent.layout.content()).unwrap();
    world.site.shared().down = true;
    let mut daemon = Daemon::new(&world.agent);
    for _ in 0..10 {
        daemon.skip_to_poll();
        wait(daemon.work());
    }
    assert!(daemon.seconds_to_wait() > 400, "{}", daemon.seconds_to_wait());

    world.site.shared().down = false;
    daemon.skip_to_poll();
    wait(daemon.work());
    assert_eq!(world.reported(OPENSSL), Some(ComplianceState::Required), "the scan follows what was fetched");
}

#[test]
fn a_poll_that_finds_nothing_new_writes_nothing_but_when_it_was() {
    let world = World::enrolled();
    let mut daemon = Daemon::new(&world.agent);
    let poll = |daemon: &mut Daemon<'_>| {
        daemon.skip_to_poll();
        wait(daemon.work());
    };
    poll(&mut daemon);
    let written = || fs::metadata(world.agent.layout.spool()).unwrap().modified().unwrap();
    let (before, _) = (written(), world.site.take_requests());
    poll(&mut daemon);
    assert_eq!(world.site.take_requests(), ["POST /v4/poll"]);
    assert_eq!(written(), before);

    world.scan().unwrap();
    poll(&mut daemon);
    assert_eq!(world.site.shared().client.scans.len(), 2, "what somebody else queued is sent by the next poll");
    world.site.publish();
    poll(&mut daemon);
    assert_eq!(world.site.shared().client.scans.len(), 3, "what is new is scanned for at once");
}

#[test]
fn a_deadline_that_is_centuries_away_keeps_no_daemon_busy() {
    let year_9999 = 253_402_300_799;
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(year_9999)));
    let mut daemon = Daemon::new(&deployed.world.agent);
    wait(daemon.work());
    assert_eq!(deployed.last().state, EnforcementState::Downloaded);
    assert!(daemon.seconds_to_wait() >= 700, "{}", daemon.seconds_to_wait());
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

#[test]
fn the_daemon_installs_what_is_deployed_and_sleeps_until_the_next_deadline() {
    let mut deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 600)));
    let mut daemon = Daemon::new(&deployed.world.agent);
    wait(daemon.work());
    assert_eq!(deployed.last().state, EnforcementState::Downloaded);
    assert!((500..=600).contains(&daemon.seconds_to_wait()), "{}", daemon.seconds_to_wait());
    drop(daemon);

    deployed.policy.deadline = Some(Moment::At(now() - 60));
    deployed.publish();
    let mut daemon = Daemon::new(&deployed.world.agent);
    wait(daemon.work());
    assert_eq!(deployed.last().state, EnforcementState::Succeeded);
    assert!(daemon.seconds_to_wait() > 600, "{}", daemon.seconds_to_wait());
}
