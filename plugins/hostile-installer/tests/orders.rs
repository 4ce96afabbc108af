//! The guest does what it is told and nothing else; what it does to an agent is the agent's tests' business.
#![allow(clippy::unwrap_used)] // What is missing is a failed test.

use farrier_plugin_hostile_installer::{Deed, HostileInstaller, Order, Phase};
use farrier_plugin_sdk::{
    Error, Exit, Facts, FakeBlob, FakeEndpoint, FakeRoot, Installer, Options, RestartSubject, Update,
};

const OPTIONS: Options = Options { allow_removals: false, more: Vec::new() };

fn root() -> FakeRoot {
    FakeRoot::new().with_folder("/opt").with_folder("/var/lib/dpkg")
}

fn told(order: &str) -> FakeEndpoint {
    FakeEndpoint::new(root().with_file("/etc/hostile", format!("{order}\n")))
}

fn update() -> Update {
    let entry = |label: &str| FakeBlob::new(label, "new").entry();
    let (contents, previous) = (vec![entry("a"), entry("b")], vec![entry("c")]);
    Update { name: "u".to_owned(), instructions: Vec::new(), contents, previous }
}

fn blobs() -> [FakeBlob; 2] {
    [FakeBlob::new("a", "one"), FakeBlob::new("b", "two")]
}

#[test]
fn without_an_order_it_is_honest() {
    let (host, blobs) = (FakeEndpoint::new(root()), blobs());
    let blobs = FakeBlob::as_blobs(&blobs);
    let selection = HostileInstaller::select(&host, &update(), &()).unwrap();
    assert_eq!((selection.contents, selection.previous), (vec![0, 1], vec![0]));
    let plan = HostileInstaller::plan(&host, &update(), &(), &blobs, &OPTIONS).unwrap();
    assert_eq!(plan.iter().map(|change| change.subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(host.changes().is_empty());
    let outcome = HostileInstaller::install(&host, &update(), &(), &blobs, &OPTIONS).unwrap();
    assert!(outcome.notes.is_empty());
    assert_eq!(host.root().read_text("/opt/hostile/b").unwrap(), "two");
    assert_eq!(host.changes(), ["folder /opt/hostile 755", "replace /opt/hostile/a 644", "replace /opt/hostile/b 644"]);
    assert_eq!(host.reports(), ["Putting a", "Putting b"]);
}

#[test]
fn a_deed_is_done_in_its_phase_only() {
    let (host, blobs) = (told("plan:refuse"), blobs());
    let blobs = FakeBlob::as_blobs(&blobs);
    assert!(HostileInstaller::select(&host, &update(), &()).is_ok());
    assert!(matches!(HostileInstaller::plan(&host, &update(), &(), &blobs, &OPTIONS), Err(Error::Other(_))));
    assert!(HostileInstaller::install(&host, &update(), &(), &blobs, &OPTIONS).is_ok());
    let host = told("roll-back:replace-status");
    HostileInstaller::roll_back(&host, &update(), &(), &blobs[..1]).unwrap();
    assert_eq!(host.root().read_text("/var/lib/dpkg/status").unwrap(), "one");
}

#[test]
fn restarts_are_asked_for() {
    let host = told("ask-for-restarts");
    HostileInstaller::install(&host, &update(), &(), &[], &OPTIONS).unwrap();
    assert_eq!(
        host.restarts(),
        [
            (RestartSubject::Service("hostile.service".to_owned()), "its files are new".to_owned()),
            (RestartSubject::Machine, "it was told to".to_owned()),
            (RestartSubject::Other("the shift".to_owned()), "it begins anew".to_owned()),
        ]
    );
}

#[test]
fn what_is_let_through_is_told() {
    let host = told("ungranted-program");
    let error = HostileInstaller::install(&host, &update(), &(), &[], &OPTIONS).unwrap_err();
    assert_eq!(error, Error::Other("sh was let through".to_owned()));
    assert_eq!(host.ran_lines(), ["/bin/sh -c echo pwned > /opt/hostile/pwned"]);
}

#[test]
fn waiting_ends_with_the_time() {
    let host = told("pause-forever").with_milliseconds(1000);
    let error = HostileInstaller::install(&host, &update(), &(), &[], &OPTIONS).unwrap_err();
    assert!(error.message().contains("the time of the installation is up"));
    assert_eq!(host.paused(), 1000);
}

#[test]
fn a_program_that_is_killed_is_told_from_one_that_ends() {
    let exit = Exit { status: None, timed_out: true, ..Exit::successful("") };
    let host = told("sleepy-program").with_programs(move |_, _| exit.clone());
    let error = HostileInstaller::install(&host, &update(), &(), &[], &OPTIONS).unwrap_err();
    assert_eq!(error.message(), "the program was killed");
}

#[test]
fn every_order_can_be_given() {
    for deed in Deed::ALL {
        let usual = Order::parse(deed.as_str()).unwrap();
        assert_eq!(Order::parse(&String::from(usual)), Some(usual));
        for phase in Phase::ALL {
            let order = Order::parse(&format!("{}:{}", phase.as_str(), deed.as_str()));
            assert_eq!(order.is_some(), deed.phases().contains(&phase), "{phase:?} {deed:?}");
        }
    }
    for order in ["be nice", "later:loop", "select:huge-plan"] {
        assert!(matches!(HostileInstaller::select(&told(order), &update(), &()), Err(Error::Invalid(_))));
    }
}
