//! Every event in every state.

use farrier_agent_core::enforcement::{Event, Impossible, next};
use farrier_protocol::enforcement::EnforcementState as State;
use std::collections::BTreeSet;

/// A row per event, a column per state in their order; the letters are those of `letter`, a dot is impossible.
const TABLE: &str = "
                 w c d D W I P V S F R U C
Held             w w w w w . . . . . . . .
DownloadBegun    d d d d d . . . . . . . .
ContentMissing   c c c c c . . . . . . . .
ContentReady     D D D D D . . . . . . . .
WindowClosed     . . . W W . . . . . . . .
Refused          w w w w w . . . . . . . .
InstallBegun     . . . I I . . . . . . . .
InstallEnded     . . . . . V . . . . . . .
Interrupted      . . . . . V . . . . . . .
Proven           S S S S S . . S . S S . .
Disproved        . . . . . . . w w . . . .
RestartNeeded    P P P P P . P P . . . . .
Restarted        . . . . . . V . . . . . .
RollBackBegun    I I I I I . . . . . . . .
RolledBack       . . . . . R . . . . . . .
GaveUp           F F F F F F . . . . . . .
Retried          . . . . . . . . . w w . .
Superseded       U U U U U . U U . . . . .
Cancelled        C C C C C . C C . . . . .
Redeployed       . . . . . . . . . . . w w
";

const EVENTS: [Event; 20] = [
    Event::Held,
    Event::DownloadBegun,
    Event::ContentMissing,
    Event::ContentReady,
    Event::WindowClosed,
    Event::Refused,
    Event::InstallBegun,
    Event::InstallEnded,
    Event::Interrupted,
    Event::Proven,
    Event::Disproved,
    Event::RestartNeeded,
    Event::Restarted,
    Event::RollBackBegun,
    Event::RolledBack,
    Event::GaveUp,
    Event::Retried,
    Event::Superseded,
    Event::Cancelled,
    Event::Redeployed,
];

fn letter(state: State) -> char {
    match state {
        State::Waiting => 'w',
        State::WaitingForContent => 'c',
        State::Downloading => 'd',
        State::Downloaded => 'D',
        State::WaitingForWindow => 'W',
        State::Installing => 'I',
        State::PendingRestart => 'P',
        State::Verifying => 'V',
        State::Succeeded => 'S',
        State::Failed => 'F',
        State::RolledBack => 'R',
        State::Superseded => 'U',
        State::Cancelled => 'C',
    }
}

fn leads(event: Event, state: State) -> char {
    next(state, event).map_or('.', letter)
}

fn events_into(to: State) -> BTreeSet<String> {
    let from = |event| State::ALL.into_iter().any(|state| next(state, event) == Ok(to));
    EVENTS.into_iter().filter(|event| from(*event)).map(|event| format!("{event:?}")).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_pair_of_state_and_event_is_as_the_table_says() {
    let mut lines = vec![format!("{:17}{}", "", State::ALL.map(letter).map(String::from).join(" "))];
    for event in EVENTS {
        let row = State::ALL.map(|state| leads(event, state)).map(String::from).join(" ");
        lines.push(format!("{:17}{row}", format!("{event:?}")));
    }
    assert_eq!(lines.join("\n"), TABLE.trim_matches('\n'));
}

#[test]
fn an_impossible_event_names_itself_and_the_state() {
    let impossible = next(State::Installing, Event::Cancelled).unwrap_err();
    assert_eq!(impossible, Impossible { state: State::Installing, event: Event::Cancelled });
    assert_eq!(impossible.to_string(), "Cancelled cannot happen to a job that is Installing");
}

#[test]
fn only_a_scan_leads_to_success_and_only_two_events_to_the_installer() {
    assert_eq!(events_into(State::Succeeded), names(&["Proven"]));
    assert_eq!(events_into(State::Installing), names(&["InstallBegun", "RollBackBegun"]));
    assert_eq!(events_into(State::Verifying), names(&["InstallEnded", "Interrupted", "Restarted"]));
}

#[test]
fn what_is_over_goes_on_only_by_a_scan_or_a_wish() {
    let goes_on = |event: &Event| State::ALL.into_iter().any(|state| state.is_final() && next(state, *event).is_ok());
    let events = EVENTS.into_iter().filter(goes_on).map(|event| format!("{event:?}")).collect::<BTreeSet<_>>();
    assert_eq!(events, names(&["Proven", "Disproved", "Retried", "Redeployed"]));
}

#[test]
fn every_state_can_be_reached_and_every_state_can_reach_an_end() {
    let step = |states: &BTreeSet<State>| {
        let next = states.iter().flat_map(|state| EVENTS.into_iter().filter_map(|event| next(*state, event).ok()));
        next.chain(states.iter().copied()).collect::<BTreeSet<State>>()
    };
    let reached = |from: State| (0..State::ALL.len()).fold(BTreeSet::from([from]), |states, _| step(&states));
    assert_eq!(reached(State::Waiting).len(), State::ALL.len());
    for state in State::ALL {
        assert!(reached(state).contains(&State::Succeeded), "{state}");
    }
}
