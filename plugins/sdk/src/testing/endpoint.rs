//! An endpoint that records what an installer plugin does to it.

use super::{FakeBlob, FakeRoot, folder::FakeFolder, tree::Tree};
use crate::{Blob, Command, Error, Exit, Facts, File, Folder, Host, Os, RestartSubject, Status, host::Argument};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long an installation takes, at most, if a test says nothing else.
const HOUR_MILLISECONDS: u64 = 3_600_000;

/// What a fake program does: it sees the command and may change the files, and says how it ended.
type Programs = dyn FnMut(&Ran, &mut FakeRoot) -> Exit + Send;

/// An endpoint in memory, and everything an installer plugin did to it.
///
/// Programs are a closure of the test. Grants are not checked: they are the agent's.
pub struct FakeEndpoint {
    state: Shared,
}

/// A handle to the state, which folders and open files keep.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct State {
    pub root: FakeRoot,
    programs: Box<Programs>,
    missing: Vec<String>,
    ran: Vec<Ran>,
    changes: Vec<String>,
    reports: Vec<String>,
    restarts: Vec<(RestartSubject, String)>,
    paused: u64,
    time: u64,
    /// How many changes, of files and by programs, succeed.
    changes_left: usize,
}

/// A command that a plugin ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The program's absolute path.
    pub program: String,
    /// Its arguments; a blob is `{label}`.
    pub arguments: Vec<String>,
    /// The blobs among them, with their content.
    pub blobs: Vec<FakeBlob>,
    /// Its variables.
    pub environment: Vec<(String, String)>,
    /// What it read on standard input.
    pub input: Vec<u8>,
    /// Its own time limit.
    pub milliseconds: Option<u32>,
}

/// The command as one line: `DEBIAN_FRONTEND=noninteractive /usr/bin/dpkg --install {libssl3_3.0.17_amd64.deb}`.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={value} ")?;
        }
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl FakeEndpoint {
    /// An endpoint with these files. Its programs all succeed and do nothing; it has an hour.
    #[must_use]
    pub fn new(root: FakeRoot) -> Self {
        let programs = Box::new(|_: &Ran, _: &mut FakeRoot| Exit::successful(""));
        let (ran, changes, reports, restarts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let state = State {
            root,
            programs,
            missing: Vec::new(),
            ran,
            changes,
            reports,
            restarts,
            paused: 0,
            time: HOUR_MILLISECONDS,
            changes_left: usize::MAX,
        };
        Self { state: Shared(Arc::new(Mutex::new(state))) }
    }

    /// The same where programs do this.
    #[must_use]
    pub fn with_programs(self, programs: impl FnMut(&Ran, &mut FakeRoot) -> Exit + Send + 'static) -> Self {
        self.state().programs = Box::new(programs);
        self
    }

    /// The same where there is no such program.
    #[must_use]
    pub fn without_program(self, path: &str) -> Self {
        self.state().missing.push(path.to_owned());
        self
    }

    /// The same where a plugin may pause for so long altogether.
    #[must_use]
    pub fn with_milliseconds(self, milliseconds: u64) -> Self {
        self.state().time = milliseconds;
        self
    }

    /// The same where power is cut after so many changes of files and runs of programs: whatever would be the next
    /// fails, and so does all after it. Try every number until a plugin succeeds, and begin again with
    /// [`root`](Self::root).
    #[must_use]
    pub fn with_changes(self, changes: usize) -> Self {
        self.state().changes_left = changes;
        self
    }

    /// The files as they are now.
    #[must_use]
    pub fn root(&self) -> FakeRoot {
        self.state().root.clone()
    }

    /// The commands, in their order.
    #[must_use]
    pub fn ran(&self) -> Vec<Ran> {
        self.state().ran.clone()
    }

    /// The commands as lines, in their order.
    #[must_use]
    pub fn ran_lines(&self) -> Vec<String> {
        self.state().ran.iter().map(ToString::to_string).collect()
    }

    /// The changes of files, in their order: `replace /etc/motd 644`.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.state().changes.clone()
    }

    /// What was said to be done.
    #[must_use]
    pub fn reports(&self) -> Vec<String> {
        self.state().reports.clone()
    }

    /// The restarts that were asked for.
    #[must_use]
    pub fn restarts(&self) -> Vec<(RestartSubject, String)> {
        self.state().restarts.clone()
    }

    /// How many milliseconds were spent waiting.
    #[must_use]
    pub fn paused(&self) -> u64 {
        self.state().paused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Facts for FakeEndpoint {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        self.state().root.open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.state().root.list_folder(path)
    }

    fn stat(&self, path: &str) -> Result<Status, Error> {
        self.state().root.stat(path)
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        self.state().root.digest(path)
    }

    fn os(&self) -> Os {
        self.state().root.os()
    }

    fn query(&self, name: &str, argument: &str) -> Result<String, Error> {
        self.state().root.query(name, argument)
    }
}

impl Host for FakeEndpoint {
    fn run(&self, command: &Command<'_>) -> Result<Exit, Error> {
        let mut ran = Ran {
            program: command.program.to_owned(),
            arguments: Vec::new(),
            blobs: Vec::new(),
            environment: command.environment.clone(),
            input: command.input.clone(),
            milliseconds: command.milliseconds,
        };
        for argument in &command.arguments {
            match argument {
                Argument::Text(text) => ran.arguments.push(text.clone()),
                Argument::Blob(blob) => {
                    ran.arguments.push(format!("{{{}}}", blob.label()));
                    ran.blobs.push(FakeBlob::new(&blob.label(), whole(blob)?));
                }
            }
        }
        let mut state = self.state();
        if state.missing.contains(&ran.program) {
            return Err(Error::NotFound(ran.program));
        }
        state.spend_a_change()?;
        let State { programs, root, .. } = &mut *state;
        let exit = programs(&ran, root);
        state.ran.push(ran);
        Ok(exit)
    }

    fn pause(&self, milliseconds: u32) -> Result<(), Error> {
        let mut state = self.state();
        state.paused = (state.paused + u64::from(milliseconds)).min(state.time);
        if state.paused == state.time {
            return Err(Error::Other("the time of the installation is up".to_owned()));
        }
        Ok(())
    }

    fn folder(&self, path: &str) -> Result<Box<dyn Folder>, Error> {
        Ok(Box::new(FakeFolder::open(self.state.clone(), path)?))
    }

    fn report(&self, text: &str) {
        self.state().reports.push(text.to_owned());
    }

    fn request_restart(&self, subject: RestartSubject, reason: &str) {
        self.state().restarts.push((subject, reason.to_owned()));
    }
}

impl State {
    /// Makes a change and notes it.
    pub fn change(&mut self, change: String, make: impl FnOnce(&mut Tree) -> Result<(), Error>) -> Result<(), Error> {
        self.spend_a_change()?;
        make(&mut self.root.tree)?;
        self.changes.push(change);
        Ok(())
    }

    fn spend_a_change(&mut self) -> Result<(), Error> {
        let left = self.changes_left.checked_sub(1);
        self.changes_left = left.ok_or_else(|| Error::Other("the power was cut".to_owned()))?;
        Ok(())
    }
}

/// All bytes of a blob.
pub(super) fn whole(blob: &Blob<'_>) -> Result<Vec<u8>, Error> {
    blob.read(0, u32::MAX)
}

impl Exit {
    /// A program that succeeded and wrote this.
    #[must_use]
    pub fn successful(output: impl Into<String>) -> Self {
        Self { status: Some(0), output: output.into(), error_output: String::new(), timed_out: false }
    }

    /// A program that failed with this status and wrote this on standard error.
    #[must_use]
    pub fn failed(status: i32, error_output: impl Into<String>) -> Self {
        Self { status: Some(status), output: String::new(), error_output: error_output.into(), timed_out: false }
    }
}
