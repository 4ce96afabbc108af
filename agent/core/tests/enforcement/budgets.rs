//! Nothing is tried without end.

use crate::world::{DAY, HOUR, Installer, LENGTH, MINUTE, MONDAY, Source, World, required};
use farrier_agent_core::enforcement::{
    Decision, MAX_BROKEN_DOWNLOADS, MAX_DOWNLOADED_TIMES, MAX_INTERRUPTIONS, MAX_ROLL_BACKS, Terms,
};
use farrier_protocol::ComplianceState;
use farrier_protocol::enforcement::EnforcementState as State;

#[test]
fn content_that_is_never_what_was_signed_comes_three_times() {
    for source in [Source::Corrupt, Source::Breaks] {
        let mut world = World::new(required());
        world.source = source;
        world.run_until(MONDAY + 90 * DAY);
        assert_eq!((world.state(), world.came), (State::Failed, MAX_DOWNLOADED_TIMES * LENGTH), "{source:?}");
        assert!(
            world.last().reason.starts_with("its content was downloaded again and again"),
            "{}",
            world.last().reason
        );
        assert_eq!(world.job.bytes_left(), 0);
    }
}

#[test]
fn an_administrators_retry_allows_as_much_again() {
    let mut world = World::new(required());
    world.source = Source::Corrupt;
    world.run_until(MONDAY + 30 * DAY);
    world.job = world.retried(1);
    world.run_until(MONDAY + 60 * DAY);
    assert_eq!((world.state(), world.came), (State::Failed, 2 * MAX_DOWNLOADED_TIMES * LENGTH));
}

#[test]
fn a_download_that_is_cut_off_again_and_again_ends() {
    let mut world = World::new(required());
    let mut crashes = 0;
    loop {
        world.turn_until(|decision| *decision == Decision::Download);
        if world.state().is_final() {
            break;
        }
        // What came by then was not counted before the crash.
        world.job.download_begun(LENGTH, LENGTH, world.now).unwrap();
        world.start();
        crashes += 1;
    }
    assert_eq!((world.state(), crashes), (State::Failed, MAX_BROKEN_DOWNLOADS));
}

#[test]
fn a_source_may_say_when_to_ask_again_within_reason() {
    let pause = |retry_after| {
        let mut job = World::new(required()).job;
        job.content_missing("busy", retry_after, 0, MONDAY).unwrap();
        job.until().unwrap() - MONDAY
    };
    assert_eq!([None, Some(0), Some(600), Some(u32::MAX)].map(pause), [15, 15, 600, 4 * HOUR]);
}

#[test]
fn a_source_that_gives_something_is_asked_again_soon() {
    let mut job = World::new(required()).job;
    let mut pause = || {
        job.content_missing("the connection broke", None, 0, MONDAY).unwrap();
        job.until().unwrap() - MONDAY
    };
    assert_eq!([pause(), pause(), pause()], [15, 30, 60]);
    job.download_begun(LENGTH, LENGTH, MONDAY).unwrap();
    job.downloaded(1, LENGTH - 1);
    job.content_missing("the connection broke", None, 0, MONDAY).unwrap();
    assert_eq!(job.until(), Some(MONDAY + 15));
}

#[test]
fn a_failing_installation_is_tried_as_often_as_the_policy_says_with_growing_pauses() {
    let mut world = World::new(Terms { attempts: 4, ..required() });
    world.installer = Installer::Fails;
    world.run_until(MONDAY + 3 * DAY);
    let tuesday = MONDAY + DAY;
    let expected = [tuesday, tuesday + MINUTE, tuesday + 3 * MINUTE, tuesday + 7 * MINUTE];
    assert_eq!((world.state(), world.installations.as_slice()), (State::Failed, expected.as_slice()));
    assert_eq!(world.last().reason, "attempt 4 of 4 failed: dpkg: error processing package");
    assert_eq!(world.job.installations(), 4);
    let between = world.log.iter().find(|line| line.reason.starts_with("attempt 2 of 4")).unwrap();
    assert_eq!((between.state, between.until), (State::Waiting, Some(tuesday + 3 * MINUTE)));
}

#[test]
fn jitter_only_shortens_a_pause() {
    let mut world = World::new(required());
    (world.installer, world.random) = (Installer::Fails, u32::MAX);
    world.run_until(MONDAY + 3 * DAY);
    let pauses: Vec<_> = world.installations.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [MINUTE, MINUTE], "half a minute and a minute, at turns of a minute");
}

#[test]
fn an_installer_that_lies_is_found_out() {
    let mut world = World::new(Terms { attempts: 1, ..required() });
    world.installer = Installer::Lies;
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!(world.state(), State::Failed);
    let reason = "the installer reported success, but a scan does not find the update installed";
    assert_eq!(world.last().reason, reason);
}

#[test]
fn an_installer_that_did_its_work_and_failed_has_succeeded_and_what_it_said_is_kept() {
    let mut world = World::new(required());
    world.installer = Installer::InstallsAndFails;
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 1));
    let reason = "installed, although the installer said: dpkg: error processing package";
    assert_eq!(world.last().reason, reason);
}

#[test]
fn a_refusal_counts_as_an_attempt_and_starts_nothing() {
    let mut world = World::new(required());
    world.installer = Installer::Refuses;
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.job.installations()), (State::Failed, 0));
    assert_eq!(world.last().reason, "attempt 3 of 3 failed: it would remove apache2");
}

#[test]
fn a_machine_that_dies_of_its_installation_is_left_alone_in_the_end() {
    let mut world = World::new(Terms { attempts: 1, ..required() });
    world.installer = Installer::LosesPower { installed: false };
    world.run_until(MONDAY + 10 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Failed, MAX_INTERRUPTIONS.into()));
    assert_eq!(world.last().reason, "the agent or the machine stopped while the installer was at work");
}

#[test]
fn few_interruptions_are_not_the_updates_fault() {
    let mut world = World::new(Terms { attempts: 1, ..required() });
    world.installer = Installer::LosesPower { installed: false };
    world.run_until(MONDAY + DAY + MINUTE);
    assert_eq!(world.last().until, Some(MONDAY + DAY + 10), "soon");
    world.installer = Installer::Installs;
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 2));
}

#[test]
fn what_failed_is_rolled_back_where_that_is_wanted_and_possible() {
    let failing = |roll_back, possible| {
        let mut world = World::new(Terms { roll_back, attempts: 2, ..required() });
        (world.installer, world.roll_back) = (Installer::Fails, possible);
        world.run_until(MONDAY + 3 * DAY);
        (world.state(), world.roll_backs, world.last().reason.clone())
    };
    let failed = "attempt 2 of 2 failed: dpkg: error processing package".to_owned();
    assert_eq!(failing(false, Some(true)), (State::Failed, 0, failed.clone()));
    assert_eq!(failing(true, None), (State::Failed, 0, failed));
    let rolled_back = "rolled back: dpkg: error processing package".to_owned();
    assert_eq!(failing(true, Some(true)), (State::RolledBack, 1, rolled_back));
    let stuck = "it could not be rolled back (it does not go back) after it failed: dpkg: error processing package";
    assert_eq!(failing(true, Some(false)), (State::Failed, 1, stuck.to_owned()));
}

#[test]
fn what_was_only_refused_is_not_rolled_back() {
    let mut world = World::new(Terms { roll_back: true, ..required() });
    (world.installer, world.roll_back) = (Installer::Refuses, Some(true));
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.roll_backs), (State::Failed, 0));
}

#[test]
fn what_a_scan_cannot_tell_is_not_rolled_back() {
    let mut world = World::new(Terms { roll_back: true, attempts: 1, ..required() });
    (world.installer, world.roll_back) = (Installer::Confuses, Some(true));
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.roll_backs), (State::Failed, 0));
    world.found = ComplianceState::Installed;
    world.scheduled_scan();
    assert_eq!(world.state(), State::Succeeded, "once a scan can tell");
}

#[test]
fn a_roll_back_that_is_cut_off_is_begun_again_but_not_for_ever() {
    let mut world = World::new(Terms { roll_back: true, attempts: 1, ..required() });
    world.installer = Installer::Fails;
    world.run_until(MONDAY + DAY);
    world.roll_back = Some(true);
    let mut begun = 0;
    for _ in 0..1_000 {
        if world.state().is_final() {
            break;
        }
        // The engine, up to the roll-back; in the middle of it the power fails.
        world.turn_until(|decision| *decision == Decision::RollBack);
        if world.state() != State::Failed {
            world.job.roll_back_begun(world.now).unwrap();
            assert!(world.job.is_rolling_back());
            begun += 1;
            world.lose_power();
        }
        world.now += HOUR;
    }
    assert_eq!((world.state(), begun), (State::Failed, MAX_ROLL_BACKS));
    assert_eq!(world.last().reason, "dpkg: error processing package", "what it began with");
}
