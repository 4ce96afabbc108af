//! Days of roll-outs in simulated time.

use super::*;

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn phase(name: &str, clients: i64) -> PhaseProgress {
    PhaseProgress {
        name: name.to_owned(),
        success_percent: 90,
        soak_seconds: DAY,
        failure_percent: 10,
        clients,
        ..PhaseProgress::default()
    }
}

fn rollout() -> Rollout {
    Rollout {
        active: true,
        settled: true,
        available_at: START,
        deadline: None,
        phases: vec![phase("Pilot", 10), phase("Early", 100), phase("Everybody", 1_000)],
    }
}

/// Takes every step that is due, as the role would.
fn advance(rollout: &mut Rollout, now: i64) -> Vec<Step> {
    let steps = steps(rollout, now);
    steps.iter().for_each(|step| rollout.take(step, now));
    assert_eq!(super::steps(rollout, now), [], "what was done is done");
    steps
}

#[test]
fn a_roll_out_goes_from_phase_to_phase() {
    let mut rollout = rollout();
    assert_eq!(advance(&mut rollout, START - 1), [Step::Expect { phase: 0, at: Some(START) }]);
    assert_eq!(advance(&mut rollout, START), [Step::Open { phase: 0 }]);
    rollout.phases[0].succeeded = 8;
    assert_eq!(advance(&mut rollout, START + HOUR), []);
    rollout.phases[0].succeeded = 9;
    let expected = Step::Expect { phase: 1, at: Some(START + 2 * HOUR + DAY) };
    assert_eq!(advance(&mut rollout, START + 2 * HOUR), [Step::Succeeded { phase: 0 }, expected]);
    assert_eq!(advance(&mut rollout, START + 2 * HOUR + DAY - 1), []);
    assert_eq!(advance(&mut rollout, START + 2 * HOUR + DAY), [Step::Open { phase: 1 }]);
    rollout.phases[1].succeeded = 100;
    advance(&mut rollout, START + 2 * DAY);
    assert_eq!(advance(&mut rollout, START + 3 * DAY), [Step::Open { phase: 2 }]);
    rollout.phases[2].succeeded = 900;
    assert_eq!(advance(&mut rollout, START + 4 * DAY), [Step::Succeeded { phase: 2 }]);
}

#[test]
fn a_phase_that_falls_back_is_watched_from_the_beginning() {
    let mut rollout = rollout();
    advance(&mut rollout, START);
    rollout.phases[0].succeeded = 10;
    advance(&mut rollout, START + HOUR);
    rollout.phases[0].clients = 20;
    let steps = advance(&mut rollout, START + 2 * HOUR);
    assert_eq!(steps, [Step::FellBack { phase: 0 }, Step::Expect { phase: 1, at: None }]);
    rollout.phases[0].succeeded = 20;
    advance(&mut rollout, START + 3 * HOUR);
    assert_eq!(advance(&mut rollout, START + HOUR + DAY), []);
    assert_eq!(advance(&mut rollout, START + 3 * HOUR + DAY), [Step::Open { phase: 1 }]);
}

#[test]
fn too_many_failures_stop_it_and_say_why() {
    let mut rollout = rollout();
    advance(&mut rollout, START);
    rollout.phases[0].failed = 1;
    assert_eq!(advance(&mut rollout, START + 1), [], "10 % may fail");
    rollout.phases[0].failed = 2;
    let reason = "2 of 10 clients of phase 1 (Pilot) failed: 20 %, and at most 10 % may".to_owned();
    assert_eq!(advance(&mut rollout, START + 2), [Step::Pause { reason }]);
    rollout.phases[0].succeeded = 10;
    assert_eq!(advance(&mut rollout, START + 9 * DAY), [], "nothing happens while it is paused");
}

#[test]
fn a_failure_in_an_earlier_phase_still_stops_it() {
    let mut rollout = rollout();
    for phase in &mut rollout.phases {
        phase.opened_at = Some(START);
    }
    rollout.phases[1].failed = 11;
    assert!(matches!(&advance(&mut rollout, START)[..], [Step::Pause { .. }]));
}

#[test]
fn failures_that_an_administrator_accepted_stop_it_no_more_until_there_are_others() {
    let mut rollout = rollout();
    advance(&mut rollout, START);
    rollout.phases[0].failed = 3;
    rollout.phases[0].accepted_failures = 3;
    assert_eq!(advance(&mut rollout, START + 1), []);
    rollout.phases[0].failed = 2;
    assert_eq!(advance(&mut rollout, START + 2), [Step::AcceptFewer { phase: 0, failures: 2 }]);
    rollout.phases[0].failed = 3;
    assert!(matches!(&advance(&mut rollout, START + 3)[..], [Step::Pause { .. }]), "one failed anew");
}

#[test]
fn a_manual_gate_waits_for_an_administrator() {
    let mut rollout = rollout();
    rollout.phases[0].manual = true;
    advance(&mut rollout, START);
    rollout.phases[0].succeeded = 10;
    advance(&mut rollout, START + 1);
    assert_eq!(advance(&mut rollout, START + 30 * DAY), []);
    rollout.phases[0].approved_at = Some(START + 30 * DAY);
    assert!(advance(&mut rollout, START + 30 * DAY).contains(&Step::Open { phase: 1 }));
}

#[test]
fn an_administrator_can_go_on_before_the_threshold() {
    let mut rollout = rollout();
    advance(&mut rollout, START);
    rollout.phases[0].approved_at = Some(START + 1);
    assert_eq!(advance(&mut rollout, START + 1), [Step::Open { phase: 1 }]);
}

#[test]
fn a_phase_of_nobody_holds_nobody_up() {
    let mut rollout = rollout();
    rollout.phases[0].clients = 0;
    assert_eq!(advance(&mut rollout, START), [Step::Open { phase: 0 }, Step::Open { phase: 1 }]);
}

#[test]
fn a_deployment_of_nobody_waits_for_its_clients() {
    let mut rollout = rollout();
    rollout.phases.iter_mut().for_each(|phase| phase.clients = 0);
    assert_eq!(advance(&mut rollout, START), [Step::Open { phase: 0 }]);
    assert_eq!(advance(&mut rollout, START + 9 * DAY), []);
    rollout.phases[0].clients = 5;
    assert_eq!(advance(&mut rollout, START + 10 * DAY), []);
}

#[test]
fn nothing_opens_while_the_site_does_not_know_who_is_in() {
    let mut rollout = rollout();
    rollout.settled = false;
    rollout.phases[0].clients = 0;
    assert_eq!(advance(&mut rollout, START), []);
    rollout.settled = true;
    rollout.phases[0].clients = 10;
    assert_eq!(advance(&mut rollout, START + 1), [Step::Open { phase: 0 }]);
}

#[test]
fn everybodys_time_is_known_beforehand_where_there_is_a_deadline() {
    let mut rollout = rollout();
    for phase in &mut rollout.phases {
        phase.deadline_after_seconds = Some(2 * DAY);
    }
    advance(&mut rollout, START - HOUR);
    let expected = |rollout: &Rollout| rollout.phases.iter().map(|phase| phase.expected_at).collect::<Vec<_>>();
    assert_eq!(expected(&rollout), [Some(START), Some(START + 3 * DAY), Some(START + 6 * DAY)]);
    advance(&mut rollout, START);
    rollout.phases[0].succeeded = 10;
    advance(&mut rollout, START + DAY);
    assert_eq!(expected(&rollout), [None, Some(START + 2 * DAY), Some(START + 5 * DAY)]);

    rollout.phases[0].succeeded = 0;
    advance(&mut rollout, START + 4 * DAY);
    assert_eq!(expected(&rollout), [None, None, None], "what is overdue has no time");
}

#[test]
fn a_clock_that_goes_back_opens_nothing_twice() {
    let mut rollout = rollout();
    advance(&mut rollout, START);
    rollout.phases[0].succeeded = 10;
    advance(&mut rollout, START + HOUR);
    advance(&mut rollout, START + HOUR + DAY);
    let before = rollout.clone();
    advance(&mut rollout, START - 30 * DAY);
    let opened = |rollout: &Rollout| rollout.phases.iter().map(|phase| phase.opened_at).collect::<Vec<_>>();
    assert_eq!(opened(&rollout), opened(&before));
}

#[test]
fn what_happens_is_told_in_words() {
    let mut rollout = rollout();
    rollout.phases[0].succeeded = 9;
    let told = |step: Step| step.event(&rollout);
    assert_eq!(told(Step::Open { phase: 1 }).as_deref(), Some("Phase 2 of 3 (Early) opened: 100 clients."));
    assert_eq!(
        told(Step::Succeeded { phase: 0 }).as_deref(),
        Some("Phase 1 of 3 (Pilot) reached its threshold: 9 of 10 clients succeeded; it is watched for 1 day.")
    );
    assert_eq!(told(Step::Expect { phase: 0, at: None }), None);
}
