//! Days of a client: deadlines, phases, windows, business hours, grace.

use crate::world::{
    DAY, HOUR, Installer, LENGTH, MINUTE, MONDAY, Source, World, available, calendar, instant, required,
};
use farrier_agent_core::enforcement::Terms;
use farrier_protocol::assignment::{AssignedDeployment, Standing, WindowKind};
use farrier_protocol::deployment::{
    DeployedUpdate, DeploymentPolicy, Moment, Phase, PhaseMembers, Purpose, RestartBehaviour, delay_seconds,
};
use farrier_protocol::enforcement::EnforcementState as State;
use farrier_protocol::state_message::bounded;
use farrier_protocol::{ClientId, ComplianceState, DeploymentId, Digest, UpdateId};

#[test]
fn a_required_update_is_fetched_ahead_installed_at_its_deadline_and_proved() {
    let mut world = World::new(required());
    world.run_until(MONDAY + 2 * DAY);
    let expected =
        [State::Waiting, State::Downloading, State::Downloaded, State::Installing, State::Verifying, State::Succeeded];
    assert_eq!(world.states(), expected);
    assert_eq!(world.first(State::Downloaded), Some(MONDAY + 2 * MINUTE), "a slice a turn");
    assert_eq!(world.installations, [MONDAY + DAY]);
    assert_eq!(world.last().reason, "installed; kept /etc/ssl/openssl.cnf");
    assert_eq!(world.came, LENGTH);
    assert_eq!(world.scans, 3, "before the download, before the installation, after it");
}

#[test]
fn while_it_waits_for_its_deadline_it_says_until_when() {
    let mut world = World::new(required());
    world.run_until(MONDAY + HOUR);
    assert_eq!((world.state(), world.last().until), (State::Downloaded, Some(MONDAY + DAY)));
    assert_eq!(world.last().reason, "it installs by itself when it is due");
}

#[test]
fn without_fetching_ahead_nothing_comes_before_the_deadline() {
    let mut world = World::new(Terms { download_ahead: false, ..required() });
    world.run_until(MONDAY + DAY);
    assert_eq!((world.state(), world.came, world.scans), (State::Waiting, 0, 0));
    world.run_until(MONDAY + DAY + HOUR);
    assert_eq!(world.state(), State::Succeeded);
    assert_eq!(world.installations, [MONDAY + DAY + 2 * MINUTE]);
}

#[test]
fn what_a_scan_does_not_require_succeeds_without_anything_being_done() {
    for (found, reason) in [(ComplianceState::Installed, "installed"), (ComplianceState::NotRequired, "not required")] {
        let mut world = World::new(required());
        world.found = found;
        world.run_until(MONDAY + HOUR);
        assert_eq!((world.state(), world.last().reason.as_str()), (State::Succeeded, reason));
        assert_eq!((world.came, world.installations.len()), (0, 0));
    }
}

#[test]
fn what_was_installed_by_hand_before_the_deadline_is_not_installed_again() {
    let mut world = World::new(required());
    world.run_until(MONDAY + HOUR);
    world.found = ComplianceState::Installed;
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Succeeded, 0));
}

#[test]
fn what_a_scan_cannot_tell_is_not_installed_until_it_can() {
    let mut world = World::new(required());
    world.found = ComplianceState::Unknown;
    world.run_until(MONDAY + 2 * DAY + MINUTE);
    assert_eq!((world.state(), world.came), (State::Waiting, 0));
    assert_eq!(world.last().reason, "a scan could not tell whether it is required");
    assert!(world.scans < 2 * 24 * 4 + 2, "{} scans: four an hour are enough", world.scans);
    world.found = ComplianceState::Required;
    world.scheduled_scan();
    assert_eq!(world.state(), State::Downloading, "a scan that nobody asked for tells as well");
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn nothing_begins_before_the_phase_opens() {
    let expected_at = MONDAY + 6 * HOUR;
    let mut world = World::new(Terms {
        standing: Standing::Planned { expected_at: Some(expected_at) },
        phase: 2,
        phases: 3,
        ..required()
    });
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!((world.state(), world.scans), (State::Waiting, 0));
    assert_eq!(world.log[0].until, Some(expected_at));
    assert_eq!(world.last().until, None, "it is late, and nobody knows");
    assert_eq!(world.last().reason, "in phase 2 of 3, which has not opened yet");
    world.terms.standing = Standing::Open { since: world.now };
    world.run_until(MONDAY + 2 * DAY + HOUR);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn nothing_begins_before_it_is_available_even_if_the_deadline_is_earlier() {
    let mut world = World::new(Terms { available_at: MONDAY + 3 * DAY, ..required() });
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.last().until), (State::Waiting, Some(MONDAY + 3 * DAY)));
    assert_eq!(world.came, 0);
    world.run_until(MONDAY + 4 * DAY);
    assert_eq!(world.installations, [MONDAY + 3 * DAY + 2 * MINUTE]);
}

#[test]
fn a_delay_counts_from_when_it_is_available_if_that_is_later_than_the_deadline() {
    let mut world = World::new(Terms { available_at: MONDAY + 2 * DAY, delay_seconds: 7_200, ..required() });
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!(world.installations, [MONDAY + 2 * DAY + 2 * HOUR]);
}

#[test]
fn a_pause_takes_everything_back_that_has_not_begun_to_install() {
    for turns in 1..6 {
        let mut world = World::new(required());
        world.calendar = calendar(true, &[(WindowKind::Maintenance, MONDAY + 2 * DAY, MONDAY + 2 * DAY + 2 * HOUR)]);
        world.run_until(MONDAY + turns * MINUTE);
        world.terms.standing = Standing::Paused;
        world.run_until(MONDAY + 3 * DAY);
        assert_eq!((world.state(), world.last().reason.as_str()), (State::Waiting, "paused by the administrator"));
        assert!(world.installations.is_empty());
        world.terms.standing = Standing::Open { since: MONDAY };
        world.calendar = calendar(false, &[]);
        world.run_until(MONDAY + 3 * DAY + HOUR);
        assert_eq!((world.state(), world.came), (State::Succeeded, LENGTH), "after {turns} turns: nothing came twice");
    }
}

#[test]
fn an_installation_waits_for_a_window_that_holds_it() {
    let mut world = World::new(Terms { max_run_seconds: 2 * 3_600, ..required() });
    let tuesday = MONDAY + DAY;
    world.calendar = calendar(
        true,
        &[
            (WindowKind::Maintenance, tuesday + HOUR, tuesday + 2 * HOUR),
            (WindowKind::Maintenance, tuesday + 22 * HOUR, tuesday + 24 * HOUR),
        ],
    );
    world.run_until(tuesday + 22 * HOUR);
    assert_eq!(world.state(), State::WaitingForWindow);
    assert_eq!(world.last().until, Some(tuesday + 22 * HOUR));
    world.run_until(tuesday + 24 * HOUR);
    assert_eq!(world.installations, [tuesday + 22 * HOUR]);
}

#[test]
fn an_urgent_update_waits_for_no_window() {
    let mut world = World::new(Terms { install_any_time: true, ..required() });
    world.calendar = calendar(true, &[]);
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations, [MONDAY + DAY]);
}

#[test]
fn business_hours_hold_an_installation_back_to_their_end() {
    let mut world = World::new(Terms { deadline: Some(MONDAY + 10 * HOUR), ..required() });
    world.calendar = calendar(false, &[(WindowKind::BusinessHours, MONDAY + 9 * HOUR, MONDAY + 17 * HOUR)]);
    world.run_until(MONDAY + DAY);
    assert_eq!(world.first(State::WaitingForWindow), Some(MONDAY + 10 * HOUR));
    assert_eq!(world.installations, [MONDAY + 17 * HOUR]);
}

#[test]
fn a_client_that_was_off_at_the_deadline_has_its_period_of_grace() {
    let open = Standing::Open { since: MONDAY - 2 * DAY };
    let late = Terms { standing: open, available_at: MONDAY - 2 * DAY, deadline: Some(MONDAY - DAY), ..required() };
    let mut world = World::new(Terms { grace_seconds: 7_200, ..late });
    world.run_until(MONDAY + DAY);
    assert_eq!(world.installations, [MONDAY + 2 * HOUR]);
    let mut in_time = World::new(Terms { grace_seconds: 7_200, ..required() });
    in_time.run_until(MONDAY + 2 * DAY);
    assert_eq!(in_time.installations, [MONDAY + DAY], "no grace for a client that knew");
}

#[test]
fn what_is_due_at_once_gives_no_grace() {
    let terms = Terms { deadline: Some(MONDAY - DAY), available_at: MONDAY - DAY, ..required() };
    let mut world = World::new(Terms { grace_seconds: 7_200, ..terms });
    world.run_until(MONDAY + HOUR);
    assert_eq!(world.installations.len(), 1);
}

#[test]
fn every_client_begins_after_its_own_delay() {
    let mut world = World::new(Terms { delay_seconds: 1_800, ..required() });
    world.run_until(MONDAY + 2 * DAY);
    assert_eq!(world.installations, [MONDAY + DAY + HOUR / 2]);
}

#[test]
fn an_available_update_waits_for_somebody_to_ask() {
    let mut world = World::new(available());
    world.calendar = calendar(true, &[]);
    world.run_until(MONDAY + 20 * DAY);
    assert_eq!((world.state(), world.last().until), (State::Downloaded, None));
    assert_eq!(world.last().reason, "it waits for a user to ask for it");
    let terms = world.terms;
    world.job.ask(&terms, world.now).unwrap();
    world.turn();
    assert_eq!(world.state(), State::Succeeded);
    assert!(!world.job.is_asked_for());
}

#[test]
fn a_machine_that_goes_back_by_itself_is_updated_again_but_not_for_ever() {
    let mut world = World::new(required());
    world.run_until(MONDAY + 2 * DAY);
    for _ in 0..10 {
        assert!(world.state().is_final());
        world.found = ComplianceState::Required;
        // The next scheduled scan.
        world.scheduled_scan();
        world.run_until(world.now + DAY);
    }
    let again = world.log.iter().filter(|line| line.reason == "a scan says that it is required again").count();
    assert_eq!((world.state(), world.installations.len(), again), (State::Failed, 3, 3));
    assert_eq!(world.last().reason, "attempt 3 of 3 failed: a scan says that it is required again");
}

#[test]
fn what_went_back_by_itself_is_not_rolled_back_any_further() {
    let mut world = World::new(Terms { attempts: 1, roll_back: true, ..required() });
    world.roll_back = Some(true);
    world.run_until(MONDAY + 2 * DAY);
    world.found = ComplianceState::Required;
    world.scheduled_scan();
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.roll_backs), (State::Failed, 0));
}

#[test]
fn a_cancelled_deployment_updates_no_machine_that_went_back() {
    let mut world = World::new(required());
    world.run_until(MONDAY + 2 * DAY);
    world.terms.standing = Standing::Cancelled;
    world.found = ComplianceState::Required;
    world.scheduled_scan();
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn a_dead_mirror_is_asked_less_and_less_and_never_given_up() {
    let mut world = World::new(required());
    world.source = Source::Unreachable;
    world.run_until(MONDAY + 30 * DAY);
    assert_eq!((world.state(), world.last().reason.as_str()), (State::WaitingForContent, "the site cannot be reached"));
    let asked = world.log.iter().filter(|line| line.state == State::Downloading).count();
    assert!((180..250).contains(&asked), "{asked} times in 30 days");
    world.source = Source::Good;
    world.run_until(MONDAY + 31 * DAY);
    assert_eq!(world.state(), State::Succeeded);
}

#[test]
fn terms_follow_from_policy_and_assignment() {
    let (deployment, client) = (DeploymentId([3; 16]), ClientId([4; 16]));
    let phase = |deadline_after_seconds| Phase {
        name: "Pilot".into(),
        members: PhaseMembers::Collection,
        deadline_after_seconds,
    };
    let policy = DeploymentPolicy {
        deployment,
        name: "November".into(),
        purpose: Purpose::Required,
        available_at: Moment::Local(MONDAY),
        deadline: Some(Moment::At(MONDAY + DAY)),
        random_delay_seconds: 600,
        grace_seconds: 60,
        download_ahead: true,
        restart: RestartBehaviour::Ask,
        install_any_time: false,
        restart_any_time: true,
        notification: String::new(),
        sources: Vec::new(),
        allow_removals: false,
        roll_back: true,
        attempts: 0,
        phases: vec![phase(Some(3_600)), phase(None)],
        scopes: Vec::new(),
    };
    let assigned = |phase, standing| AssignedDeployment {
        deployment,
        target: bounded("policies/x"),
        digest: Digest([0; 32]),
        phase,
        standing,
        retries: 0,
    };
    let open = Standing::Open { since: MONDAY + 5 * HOUR };
    let terms = |phase, standing| Terms::new(&policy, &assigned(phase, standing), client, instant);
    assert_eq!(terms(0, open).unwrap().deadline, Some(MONDAY + 6 * HOUR), "the phase's own");
    assert_eq!(terms(1, open).unwrap().deadline, Some(MONDAY + DAY), "the deployment's");
    let planned = Standing::Planned { expected_at: Some(MONDAY + 7 * HOUR) };
    assert_eq!(terms(0, planned).unwrap().deadline, Some(MONDAY + 8 * HOUR), "as far as it is known");
    assert_eq!(terms(0, Standing::Paused).unwrap().deadline, Some(MONDAY + DAY));
    assert_eq!(terms(1, open).unwrap().delay_seconds, delay_seconds(deployment, client, 600));
    let missing = terms(2, open).unwrap_err().to_string();
    assert_eq!(missing, "the assignment puts this client into phase 3 of a deployment that has 2");

    let update = DeployedUpdate {
        update: UpdateId([5; 16]),
        name: String::new(),
        summary: String::new(),
        max_run_seconds: 77,
        contents: Vec::new(),
        previous: Vec::new(),
        instructions: Vec::new(),
    };
    assert_eq!(terms(0, open).unwrap().of_update(&update).max_run_seconds, 77);
}

#[test]
fn a_policy_without_attempts_allows_one() {
    let mut world = World::new(Terms { attempts: 0, ..required() });
    world.installer = Installer::Fails;
    world.run_until(MONDAY + 3 * DAY);
    assert_eq!((world.state(), world.installations.len()), (State::Failed, 1));
    assert_eq!(world.last().reason, "dpkg: error processing package");
}
