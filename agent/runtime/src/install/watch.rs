//! What an installation tells while it runs: lines of progress, and restarts it asks for.

use super::types::{Restart, RestartSubject};
use super::world::{State, progress, restart};
use crate::limits::Limits;
use crate::observe::HostCall;
use crate::text::printable;
use std::sync::{Arc, Mutex, PoisonError};

/// Whoever watches.
pub(super) type Watcher = Arc<Mutex<dyn FnMut(&str) + Send>>;

/// Lines of progress on their way to the watcher, bounded.
pub(crate) struct Watch {
    watcher: Watcher,
    lines_left: u32,
    line_bytes: usize,
}

impl Watch {
    pub(super) fn new(watcher: Watcher, limits: &Limits) -> Self {
        Self { watcher, lines_left: limits.progress_lines, line_bytes: limits.progress_line_bytes }
    }

    /// Shows a line, unless it is empty or there were too many already.
    pub(super) fn line(&mut self, line: &str) {
        let line = printable(line, self.line_bytes);
        if line.trim().is_empty() {
            return;
        }
        if let Some(lines_left) = self.lines_left.checked_sub(1) {
            self.lines_left = lines_left;
            let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
            watcher(&line);
        }
    }
}

impl progress::Host for State {
    fn report(&mut self, text: String) -> wasmtime::Result<()> {
        self.watch.line(&text);
        self.endpoint.observe(|| HostCall::Progress { text: &text });
        Ok(())
    }
}

/// The restarts that were asked for, each once.
pub(crate) struct Restarts {
    requests: Vec<Restart>,
    most: usize,
    reason_bytes: usize,
}

impl Restarts {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { requests: Vec::new(), most: limits.restart_requests, reason_bytes: limits.sentence_bytes }
    }

    pub(super) fn into_requests(self) -> Vec<Restart> {
        self.requests
    }

    fn request(&mut self, subject: restart::Subject, reason: &str) {
        let text = |text: &str| printable(text, self.reason_bytes);
        let subject = match subject {
            restart::Subject::Service(name) => RestartSubject::Service(text(&name)),
            restart::Subject::Machine => RestartSubject::Machine,
            restart::Subject::Other(words) => RestartSubject::Other(text(&words)),
        };
        let is_known = self.requests.iter().any(|known| known.subject == subject);
        // However many services there are: that the machine has to be restarted is never lost.
        if !is_known && (self.requests.len() < self.most || subject == RestartSubject::Machine) {
            let reason = text(reason);
            self.requests.push(Restart { subject, reason });
        }
    }
}

impl restart::Host for State {
    fn request(&mut self, subject: restart::Subject, reason: String) -> wasmtime::Result<()> {
        let words = match &subject {
            restart::Subject::Service(name) => format!("service {name}"),
            restart::Subject::Machine => "machine".to_owned(),
            restart::Subject::Other(words) => words.clone(),
        };
        self.endpoint.observe(|| HostCall::Restart { subject: &words, reason: &reason });
        self.restarts.request(subject, &reason);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(limits: &Limits, lines: &[&str]) -> Vec<String> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seen_by_watcher = Arc::clone(&seen);
        let watcher = move |line: &str| seen_by_watcher.lock().unwrap().push(line.to_owned());
        let mut watch = Watch::new(Arc::new(Mutex::new(watcher)), limits);
        lines.iter().for_each(|line| watch.line(line));
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn lines_are_bounded_in_number_and_length_and_control_no_terminal() {
        let limits = Limits { progress_lines: 2, progress_line_bytes: 5, ..Limits::default() };
        assert_eq!(watched(&limits, &["", "a\x1bb", "123456", "more"]), ["a b", "12345"]);
    }

    #[test]
    fn the_restart_of_the_machine_is_never_lost() {
        let mut restarts = Restarts::new(&Limits { restart_requests: 2, ..Limits::default() });
        for number in [0, 0, 1, 2, 3] {
            restarts.request(restart::Subject::Service(format!("{number}.service")), "a test");
        }
        restarts.request(restart::Subject::Machine, "a kernel");
        restarts.request(restart::Subject::Machine, "another");
        let requests = restarts.into_requests();
        let subjects: Vec<_> = requests.iter().map(|request| request.subject.to_string()).collect();
        assert_eq!(subjects, ["service 0.service", "service 1.service", "machine"]);
        assert_eq!(requests[2].reason, "a kernel");
    }
}
