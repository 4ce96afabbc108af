//! An endpoint that records what an installer plugin does to it.

use super::FakeRoot;
use crate::{Blob, Command, Error, Exit, Facts, File, Host, RestartKind, host::Argument};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a fake program does: it sees the command and may change the files, and says how it ended.
type Programs = dyn FnMut(&Ran, &mut FakeRoot) -> Exit + Send;

/// An endpoint in memory, and everything an installer plugin did to it.
///
/// Programs are a closure of the test. Grants are not checked: they are the agent's.
pub struct FakeEndpoint {
    state: Mutex<State>,
}

struct State {
    root: FakeRoot,
    programs: Box<Programs>,
    ran: Vec<Ran>,
    changes: Vec<String>,
    reports: Vec<String>,
    restarts: Vec<(RestartKind, String)>,
    paused: u64,
    time: u64,
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
        let state = State { root, programs, ran, changes, reports, restarts, paused: 0, time: 3_600_000 };
        Self { state: Mutex::new(state) }
    }

    /// The same where programs do this.
    #[must_use]
    pub fn with_programs(self, programs: impl FnMut(&Ran, &mut FakeRoot) -> Exit + Send + 'static) -> Self {
        self.state().programs = Box::new(programs);
        self
    }

    /// The same where a plugin may pause for so long altogether.
    #[must_use]
    pub fn with_milliseconds(self, milliseconds: u64) -> Self {
        self.state().time = milliseconds;
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
    pub fn restarts(&self) -> Vec<(RestartKind, String)> {
        self.state().restarts.clone()
    }

    /// How many milliseconds were spent waiting.
    #[must_use]
    pub fn paused(&self) -> u64 {
        self.state().paused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts for FakeEndpoint {
    fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
        self.state().root.open_file(path)
    }

    fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
        self.state().root.list_folder(path)
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

    fn replace_file(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        self.state().change(format!("replace {path} {mode:o}"), |root| Ok(root.with_file(path, bytes)))
    }

    fn replace_file_with_blob(&self, path: &str, blob: &Blob<'_>, mode: u32) -> Result<(), Error> {
        self.replace_file(path, &whole(blob)?, mode)
    }

    fn rename_file(&self, old: &str, new: &str) -> Result<(), Error> {
        self.state().change(format!("rename {old} {new}"), |root| {
            let content = root.read_file(old)?;
            Ok(root.without_file(old).with_file(new, content))
        })
    }

    fn remove_file(&self, path: &str) -> Result<(), Error> {
        self.state().change(format!("remove {path}"), |root| {
            root.open_file(path)?;
            Ok(root.without_file(path))
        })
    }

    fn set_mode(&self, path: &str, mode: u32) -> Result<(), Error> {
        self.state().change(format!("mode {path} {mode:o}"), |root| root.open_file(path).map(|_| root))
    }

    fn make_folder(&self, path: &str, mode: u32) -> Result<(), Error> {
        self.state().change(format!("folder {path} {mode:o}"), Ok)
    }

    fn report(&self, text: &str) {
        self.state().reports.push(text.to_owned());
    }

    fn request_restart(&self, kind: RestartKind, reason: &str) {
        self.state().restarts.push((kind, reason.to_owned()));
    }
}

impl State {
    fn change(&mut self, change: String, make: impl FnOnce(FakeRoot) -> Result<FakeRoot, Error>) -> Result<(), Error> {
        self.root = make(self.root.clone())?;
        self.changes.push(change);
        Ok(())
    }
}

fn whole(blob: &Blob<'_>) -> Result<Vec<u8>, Error> {
    blob.read(0, u32::MAX)
}

/// A file of an update, for native tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeBlob {
    label: String,
    digest: String,
    bytes: Vec<u8>,
}

impl FakeBlob {
    /// A file with this label and these bytes. Its digest is all zeros unless [`with_digest`](Self::with_digest) says else.
    #[must_use]
    pub fn new(label: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { label: label.to_owned(), digest: "0".repeat(64), bytes: bytes.into() }
    }

    /// The same with this digest.
    #[must_use]
    pub fn with_digest(mut self, digest: &str) -> Self {
        self.digest = digest.to_owned();
        self
    }

    /// As a plugin sees it.
    #[must_use]
    pub fn as_blob(&self) -> Blob<'_> {
        Blob::of_fake(self)
    }

    /// Several, as a plugin sees them.
    #[must_use]
    pub fn as_blobs(blobs: &[Self]) -> Vec<Blob<'_>> {
        blobs.iter().map(Blob::of_fake).collect()
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn read(&self, offset: u64, max: u32) -> Vec<u8> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let rest = &self.bytes[from..];
        rest[..rest.len().min(max as usize)].to_vec()
    }
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
