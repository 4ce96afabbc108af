//! What the site hears of a scan.
#![allow(clippy::unwrap_used)]

use farrier_agent_core::enforcement::Job;
use farrier_agent_core::report::{Profile, Recorded, everything, report, states_of};
use farrier_agent_core::shadow::ShadowReport;
use farrier_agent_core::{Finding, Messages, PluginTag, Report, Verdict, Verdicts};
use farrier_protocol::state_message::{Abilities, Facts, FallBack, Inventory, ScanResult, StateMessage, bounded};
use farrier_protocol::{ComplianceState, DeploymentId, UpdateId};
use std::collections::BTreeMap;
use std::rc::Rc;

const INSTALLED: ComplianceState = ComplianceState::Installed;
const REQUIRED: ComplianceState = ComplianceState::Required;
const UNKNOWN: ComplianceState = ComplianceState::Unknown;

fn update(number: u8) -> UpdateId {
    UpdateId([number; 16])
}

fn scan_result() -> ScanResult {
    let plugins = std::iter::empty().collect();
    ScanResult { scanned_at: 1_000, assignment_version: 1, evaluated: 9, plugins }
}

fn reason(detail: &str) -> Rc<[Finding]> {
    Rc::new([Finding { subject: "libssl3".into(), state: REQUIRED, detail: detail.into() }])
}

fn verdicts(states: &[(u8, ComplianceState, &str)]) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for (number, state, detail) in states {
        let findings = if detail.is_empty() { Rc::default() } else { reason(detail) };
        verdicts.add(update(*number), Verdict { state: *state, plugin: PluginTag::of("dpkg"), findings });
    }
    verdicts
}

/// A spool in memory.
#[derive(Default)]
struct Spool(BTreeMap<UpdateId, Box<[u8]>>);

impl Spool {
    fn recorded(&self) -> Vec<Recorded> {
        self.0.iter().map(|(update, record)| (*update, record.clone())).collect()
    }

    fn scan(&mut self, verdicts: &Verdicts) -> Vec<String> {
        let Report { changes, messages, .. } =
            report(&self.recorded(), verdicts, Profile::default(), scan_result()).unwrap();
        for (update, record) in changes {
            match record {
                Some(record) => drop(self.0.insert(update, record.into())),
                None => drop(self.0.remove(&update)),
            }
        }
        words(&messages)
    }
}

/// Each message as a few words; the closing `Scan` is checked and left out.
fn words(messages: &Messages) -> Vec<String> {
    let word = |message| match message {
        StateMessage::Reset => "Reset".to_owned(),
        StateMessage::Inventory(inventory) => format!("Inventory {}", inventory.hostname),
        StateMessage::Compliance(compliance) => format!("{} {}", compliance.update.0[0], compliance.state),
        StateMessage::Finding(finding) => format!("{} {}", finding.update.0[0], finding.detail),
        StateMessage::Scan(scan) => format!("Scan {}", scan.scanned_at),
        StateMessage::Facts(facts) => format!("Facts {}", facts.release),
        StateMessage::Enforcement(job) => {
            format!("{} of deployment {} {}", job.update.0[0], job.deployment.0[0], job.state)
        }
        StateMessage::Abilities(abilities) => format!("Abilities {}", abilities.wit),
        StateMessage::Shadow(shadow) => format!("Shadow of {}", shadow.plugin),
        StateMessage::Difference(difference) => format!("Difference {}", difference.update.0[0]),
        StateMessage::FallBack(fall_back) => format!("FallBack of {}", fall_back.plugin),
    };
    let mut words: Vec<_> = messages.iter().map(|bytes| word(farrier_protocol::decode(bytes).unwrap())).collect();
    assert_eq!(words.len(), messages.len());
    assert_eq!(words.pop().as_deref(), Some("Scan 1000"));
    words
}

#[test]
fn the_first_scan_reports_everything_but_not_required() {
    let said = Spool::default().scan(&verdicts(&[(1, INSTALLED, ""), (2, REQUIRED, "older")]));
    assert_eq!(said, ["1 Installed", "2 Required", "2 older"]);
}

#[test]
fn an_unchanged_scan_reports_nothing_but_that_it_was() {
    let mut spool = Spool::default();
    let verdicts = verdicts(&[(1, INSTALLED, ""), (2, REQUIRED, "older")]);
    spool.scan(&verdicts);
    assert!(spool.scan(&verdicts).is_empty());
}

#[test]
fn a_changed_state_or_a_changed_reason_is_reported() {
    let mut spool = Spool::default();
    spool.scan(&verdicts(&[(1, REQUIRED, "1 is older"), (2, REQUIRED, "1 is older")]));
    let said = spool.scan(&verdicts(&[(1, INSTALLED, ""), (2, REQUIRED, "2 is older")]));
    assert_eq!(said, ["1 Installed", "2 Required", "2 2 is older"]);
}

#[test]
fn an_update_that_is_in_no_catalog_any_more_is_not_required() {
    let mut spool = Spool::default();
    spool.scan(&verdicts(&[(1, REQUIRED, "older"), (2, INSTALLED, "")]));
    assert_eq!(spool.scan(&verdicts(&[(2, INSTALLED, "")])), ["1 NotRequired"]);
    assert_eq!(spool.recorded().len(), 1);
}

#[test]
fn what_a_plugin_said_before_it_failed_is_unknown_and_other_plugins_are_unaffected() {
    let mut spool = Spool::default();
    let mut both = verdicts(&[(1, REQUIRED, "older"), (2, INSTALLED, "")]);
    let other = PluginTag::of("rpm");
    both.add(update(3), Verdict { state: REQUIRED, plugin: other, findings: Rc::default() });
    spool.scan(&both);

    let mut failed = Verdicts::default();
    failed.fail_blindly(PluginTag::of("dpkg"), &reason("trapped"));
    assert_eq!(spool.scan(&failed), ["1 Unknown", "1 trapped", "2 Unknown", "2 trapped", "3 NotRequired"]);
    assert!(spool.scan(&failed).is_empty(), "an unchanged failure is not reported again");
}

fn inventory() -> Inventory {
    Inventory {
        hostname: bounded("web-1"),
        operating_system: bounded("Debian"),
        machine: bounded("x86_64"),
        agent_version: bounded("0.1.0"),
    }
}

fn abilities() -> Abilities {
    Abilities { wit: bounded("1.0.0"), ..Abilities::default() }
}

fn fall_back() -> FallBack {
    FallBack {
        plugin: bounded("dpkg"),
        installer: false,
        failed_version: bounded("0.2.0"),
        version: bounded("0.1.0"),
        since: 900,
        reason: bounded("trapped"),
    }
}

fn facts() -> Facts {
    Facts { release: bounded("bookworm"), ..Facts::default() }
}

#[test]
fn a_new_stream_says_everything_that_is_recorded() {
    let mut spool = Spool::default();
    spool.scan(&verdicts(&[(1, INSTALLED, ""), (2, REQUIRED, "older"), (3, UNKNOWN, "trapped")]));
    let (inventory, facts, abilities, fall_backs) = (inventory(), facts(), abilities(), [fall_back()]);
    let profile = Profile {
        inventory: Some(&inventory),
        facts: Some(&facts),
        abilities: Some(&abilities),
        fall_backs: &fall_backs,
    };
    let shadows = [ShadowReport::gone("rpm")];
    let jobs = [7, 8].map(|deployment| Job::new((DeploymentId([deployment; 16]), update(2)), 0, 0));
    let messages = everything(&spool.recorded(), profile, &jobs, &shadows, Some(scan_result())).unwrap();
    let expected = [
        "Inventory web-1",
        "Facts bookworm",
        "Abilities 1.0.0",
        "FallBack of dpkg",
        "1 Installed",
        "2 Required",
        "2 older",
        "3 Unknown",
        "3 trapped",
        "2 of deployment 7 Waiting",
        "2 of deployment 8 Waiting",
        "Shadow of rpm",
    ];
    assert_eq!(words(&messages), expected);
}

#[test]
fn what_changed_of_the_client_itself_comes_first() {
    let (inventory, facts) = (inventory(), facts());
    let said = |profile| {
        let Report { messages, .. } = report(&[], &verdicts(&[(1, INSTALLED, "")]), profile, scan_result()).unwrap();
        words(&messages)
    };
    let (inventory, facts) = (Some(&inventory), Some(&facts));
    let (abilities, fall_backs) = (abilities(), [fall_back()]);
    let both = Profile { inventory, facts, ..Profile::default() };
    assert_eq!(said(both), ["Inventory web-1", "Facts bookworm", "1 Installed"]);
    assert_eq!(said(Profile { facts, ..Profile::default() }), ["Facts bookworm", "1 Installed"]);
    let plugins = Profile { abilities: Some(&abilities), fall_backs: &fall_backs, ..Profile::default() };
    assert_eq!(said(plugins), ["Abilities 1.0.0", "FallBack of dpkg", "1 Installed"]);
}

#[test]
fn the_states_of_one_plugin_are_in_the_records() {
    let mut spool = Spool::default();
    let mut both = verdicts(&[(1, REQUIRED, "older"), (2, INSTALLED, "")]);
    let other = PluginTag::of("rpm");
    both.add(update(3), Verdict { state: REQUIRED, plugin: other, findings: Rc::default() });
    spool.scan(&both);
    let states = states_of(&spool.recorded(), PluginTag::of("dpkg")).unwrap();
    assert_eq!(states, [(update(1), REQUIRED), (update(2), INSTALLED)].into());
    assert!(states_of(&[(update(1), [9].into())], other).is_err());
}

#[test]
fn a_damaged_record_is_an_error_and_not_a_state() {
    for damaged in [&[][..], &[9], &[1, 2], &[1, 0, 0, 0, 0, 0, 0]] {
        let recorded: [Recorded; 1] = [(update(1), damaged.into())];
        assert!(everything(&recorded, Profile::default(), [], [], None).is_err(), "{damaged:?}");
        assert!(report(&recorded, &Verdicts::default(), Profile::default(), scan_result()).is_err(), "{damaged:?}");
    }
}
