//! Settings as people write them.

use super::*;
use crate::deployment::schedule::Clock;
use jiff::civil::date;

fn fields(settings: &DeploymentSettings) -> Vec<String> {
    settings.problems().into_iter().map(|problem| problem.field).collect()
}

#[test]
fn what_nothing_is_written_of_can_be_deployed() {
    assert_eq!(DeploymentSettings::default().problems(), []);
    assert_eq!(serde_json::from_str::<DeploymentSettings>("{}").unwrap(), DeploymentSettings::default());
}

#[test]
fn settings_survive_their_json() {
    let phases = vec![
        PhaseSettings { manual: true, ..PhaseSettings::of("Pilot", Members::Percent("2.5".parse().unwrap())) },
        PhaseSettings {
            deadline_after_seconds: Some(60),
            ..PhaseSettings::of("Web", Members::Collection(CollectionId(7)))
        },
        PhaseSettings::everybody(),
    ];
    let deadline = When::At { time: date(2026, 11, 24).at(22, 0, 0, 0), clock: Clock::Client };
    let settings = DeploymentSettings { phases, deadline: Some(deadline), ..DeploymentSettings::default() };
    assert_eq!(settings.problems(), []);
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<DeploymentSettings>(&json).unwrap(), settings);
    assert!(json.contains(r#""members":{"percent":2.5}"#) && json.contains(r#""members":{"collection":7}"#), "{json}");
}

#[test]
fn a_word_that_is_not_known_is_no_setting() {
    let error = serde_json::from_str::<DeploymentSettings>(r#"{"deadlin": null}"#).unwrap_err().to_string();
    assert!(error.contains("deadlin"), "{error}");
}

#[test]
fn shares_of_phases_grow() {
    let of = |percents: &[&str]| DeploymentSettings {
        phases: percents
            .iter()
            .map(|percent| PhaseSettings::of("Phase", Members::Percent(percent.parse().unwrap())))
            .collect(),
        ..DeploymentSettings::default()
    };
    assert_eq!(fields(&of(&["5", "25", "100"])), Vec::<String>::new());
    assert_eq!(fields(&of(&["25", "5", "100"])), ["phases[1].members"]);
    assert_eq!(fields(&of(&["100", "100"])), ["phases[1].members"]);
    assert_eq!(fields(&of(&["5"])), ["phases"]);
}

#[test]
fn a_deadline_is_not_before_the_beginning() {
    let settings = DeploymentSettings {
        available: When::After { seconds: 7_200 },
        deadline: Some(When::After { seconds: 3_600 }),
        ..DeploymentSettings::default()
    };
    assert_eq!(fields(&settings), ["deadline"]);
}

#[test]
fn what_is_offered_has_no_deadline_in_the_end() {
    let settings = DeploymentSettings { purpose: Purpose::Available, ..DeploymentSettings::default() };
    assert_eq!(settings.resolved(5).deadline, None);
    let required = DeploymentSettings::default().resolved(1_800_000_000);
    assert_eq!(required.deadline.unwrap().to_string(), "2027-01-22 08:00 UTC");
}

#[test]
fn every_quantity_has_its_bound() {
    type Change = fn(&mut DeploymentSettings);
    let changes: [(Change, &str); 8] = [
        (|settings| settings.random_delay_seconds = u32::MAX, "random_delay_seconds"),
        (|settings| settings.grace_seconds = u32::MAX, "grace_seconds"),
        (|settings| settings.max_run_seconds = 0, "max_run_seconds"),
        (|settings| settings.restart = RestartBehaviour::Force { countdown_seconds: u32::MAX }, "restart"),
        (|settings| settings.notification = "x".repeat(2_000), "notification"),
        (|settings| settings.sources = vec![ContentSource::Upstream; 2], "sources"),
        (|settings| settings.attempts = 11, "attempts"),
        (|settings| settings.phases[0].soak_seconds = u32::MAX, "phases[0].soak_seconds"),
    ];
    for (change, field) in changes {
        let mut settings = DeploymentSettings::default();
        change(&mut settings);
        assert_eq!(fields(&settings), [field]);
    }
}
