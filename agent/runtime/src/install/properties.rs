//! Properties of the host functions that take no path: whatever a guest passes, what comes of it is bounded and harmless.

use super::content::Contents;
use super::files::Writer;
use super::process::Processes;
use super::time::Time;
use super::types::RestartSubject;
use super::watch::{Restarts, Watch};
use super::world::{State, process, progress, restart};
use super::{InstallCall, InstallerGrants};
use crate::endpoint::Endpoint;
use crate::facts::Facts;
use crate::grants::GrantLists;
use crate::limits::{InstanceMeter, Limits};
use crate::log::GuestLog;
use crate::manifest::{Manifest, Request};
use crate::properties::{Numbers, texts};
use crate::text::printable;
use crate::world::{facts, log, types::Error};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The host of a guest that has so much time, and the lines that its watcher sees.
fn host(time: Duration, limits: &Limits) -> (State, Arc<Mutex<Vec<String>>>) {
    let manifest = Manifest { read: Request::all(&["disk-space", "/in/**"]), ..Manifest::sample() };
    let lists = GrantLists::from(&manifest);
    let InstallerGrants { read, write, run } = InstallerGrants::new(&manifest, &lists, &lists).unwrap();
    let (endpoint, call) = (Endpoint::open(Path::new("/")).unwrap(), InstallCall::Install);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_watcher = Arc::clone(&seen);
    let watcher = move |line: &str| seen_by_watcher.lock().unwrap().push(line.to_owned());
    let time = Time::starting_now(time, limits);
    let mut facts = Facts::new(&endpoint, read, limits);
    facts.set_deadline(time.last_end());
    let state = State {
        facts,
        log: GuestLog::new("test", &endpoint, limits),
        contents: Contents::open(&[]).unwrap(),
        writer: Writer::new(&endpoint, write, call, limits),
        processes: Processes::new(&endpoint, run, call, limits),
        watch: Watch::new(Arc::new(Mutex::new(watcher)), limits),
        restarts: Restarts::new(limits),
        time,
        limits: limits.clone(),
        meter: InstanceMeter::new(limits),
        endpoint,
    };
    (state, seen)
}

const LONG: Duration = Duration::from_secs(3_600);

/// Nothing that controls a terminal, and no more than so many bytes.
fn is_harmless(text: &str, most: usize) -> bool {
    text.len() <= most && printable(text, most) == text.trim_end()
}

#[test]
fn a_query_is_answered_of_what_is_granted_and_told_in_few_words_else() {
    let (mut host, _) = host(LONG, &Limits::default());
    let names = [texts(11), ["disk-space", "registry", "disk-spac"].map(str::to_owned).to_vec()].concat();
    let mut numbers = Numbers(12);
    let mut answered = 0;
    for argument in texts(13) {
        let name = if numbers.below(2) == 0 { "disk-space" } else { numbers.one_of(&names) };
        match facts::Host::query(&mut host, name.to_owned(), argument.clone()).unwrap() {
            Ok(answer) => {
                answered += 1;
                assert!(name == "disk-space" && argument.starts_with('/') && answer.starts_with('{'), "{name:?}");
            }
            Err(Error::Denied(words)) => assert!(name != "disk-space" && words.len() < 1_000, "{name:?}"),
            Err(Error::Invalid(words) | Error::NotFound(words) | Error::TooLarge(words) | Error::Other(words)) => {
                assert!(words.len() < 16_000, "{name:?} {argument:?}: {words:?}");
            }
        }
    }
    assert!(answered > 10, "{answered}: the texts are too wild to find anything");
}

#[test]
fn a_name_that_is_none_is_never_kept() {
    let (mut host, _) = host(LONG, &Limits::default());
    for name in ["x".repeat(1 << 20), "X".to_owned(), String::new(), "disk space".to_owned()] {
        let answer = facts::Host::query(&mut host, name, String::new()).unwrap();
        assert!(matches!(&answer, Err(Error::Invalid(words)) if words.len() < 200), "{answer:?}");
    }
}

#[test]
fn what_is_logged_is_few_lines_and_the_last_words_are_short() {
    let (mut host, _) = host(LONG, &Limits::default());
    let levels = [log::Level::Debug, log::Level::Info, log::Level::Warning, log::Level::Error];
    let mut numbers = Numbers(14);
    for text in texts(15) {
        let level = *numbers.one_of(&levels);
        log::Host::write(&mut host.log, level, text.clone()).unwrap();
        let words = host.log.last_words().unwrap_or_default();
        assert!(is_harmless(words, 120), "{words:?}");
        assert!(level != log::Level::Error || printable(&text, 120) == words, "{text:?}");
    }
}

#[test]
fn progress_is_shown_in_few_short_lines() {
    let limits = Limits { progress_lines: 500, ..Limits::default() };
    let (mut host, seen) = host(LONG, &limits);
    texts(16).into_iter().for_each(|text| progress::Host::report(&mut host, text).unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 500);
    for line in seen.iter() {
        assert!(is_harmless(line, limits.progress_line_bytes) && !line.trim().is_empty(), "{line:?}");
    }
}

#[test]
fn restarts_are_few_and_each_is_asked_for_once() {
    let limits = Limits::default();
    let mut numbers = Numbers(17);
    for round in 0..50 {
        let (mut host, _) = host(LONG, &limits);
        let mut wants_machine = false;
        for text in texts(100 + round).into_iter().take(100) {
            let subject = match numbers.below(40) {
                0 => restart::Subject::Machine,
                1..20 => restart::Subject::Service(text.clone()),
                _ => restart::Subject::Other(text.clone()),
            };
            wants_machine |= matches!(subject, restart::Subject::Machine);
            restart::Host::request(&mut host, subject, text).unwrap();
        }
        let requests = host.restarts.into_requests();
        assert!(requests.len() <= limits.restart_requests + 1);
        assert_eq!(requests.iter().any(|request| request.subject == RestartSubject::Machine), wants_machine);
        for (at, request) in requests.iter().enumerate() {
            let words = match &request.subject {
                RestartSubject::Service(words) | RestartSubject::Other(words) => words,
                RestartSubject::Machine => "",
            };
            assert!(is_harmless(words, limits.sentence_bytes) && is_harmless(&request.reason, limits.sentence_bytes));
            assert!(requests[..at].iter().all(|earlier| earlier.subject != request.subject), "{request:?}");
        }
    }
}

/// Nobody waits here: the time is up, or the pause is none.
#[test]
fn no_pause_is_longer_than_the_time_of_the_call() {
    let mut numbers = Numbers(18);
    for _ in 0..1_000 {
        let milliseconds = numbers.next() as u32;
        let (mut late, _) = host(Duration::ZERO, &Limits::default());
        let answer = process::Host::pause(&mut late, milliseconds).unwrap();
        assert!(matches!(&answer, Err(Error::Other(words)) if words.contains("is up")), "{milliseconds}: {answer:?}");
    }
    let (mut host, _) = host(LONG, &Limits::default());
    assert_eq!(process::Host::pause(&mut host, 0).unwrap(), Ok(()));
}
