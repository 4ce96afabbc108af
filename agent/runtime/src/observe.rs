//! Whoever watches what a plugin asks of the host, and whoever stands in for what cannot be had twice: programs.
//!
//! For tests, for recording and for replaying. The agent itself uses none of it.

use std::io;

/// Sees every host call of the plugins that run on an [`Endpoint`](crate::Endpoint), in their order.
///
/// It is called in the thread of the plugin, whose time runs meanwhile.
pub trait Observer: Send + Sync {
    /// A host call, with the answer as the guest gets it.
    fn observe(&self, call: &HostCall<'_>);
}

/// One call of a plugin to the host, and the answer. Denials are answers.
///
/// An error is told as `case: text`, where the case is that of the WIT variant: `not-found: /etc/x: No such file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostCall<'a> {
    /// `facts.open-file`.
    Open {
        /// The path, as the guest named it.
        path: &'a str,
        /// Bytes of the file.
        result: Result<u64, &'a str>,
    },
    /// `file.read` and `file.read-at`.
    Read {
        /// The path of the file.
        path: &'a str,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes; fewer than asked for, or none at the end.
        bytes: &'a [u8],
    },
    /// `file.read` or `file.read-at` that failed.
    ReadFailed {
        /// The path of the file.
        path: &'a str,
        /// Where the bytes would begin.
        offset: u64,
        /// Why.
        error: &'a str,
    },
    /// `facts.list-folder`.
    List {
        /// The path, as the guest named it.
        path: &'a str,
        /// The names.
        result: Result<&'a [String], &'a str>,
    },
    /// `facts.stat`.
    Stat {
        /// The path, as the guest named it.
        path: &'a str,
        /// What is there.
        result: Result<Status, &'a str>,
    },
    /// `facts.digest`.
    Digest {
        /// The path, as the guest named it.
        path: &'a str,
        /// SHA-256 in hexadecimal.
        result: Result<&'a str, &'a str>,
    },
    /// `facts.os`.
    Os {
        /// Names and values.
        facts: &'a [(String, String)],
    },
    /// `facts.query`.
    Query {
        /// The name of the fact.
        name: &'a str,
        /// Its argument.
        argument: &'a str,
        /// The answer, as JSON.
        result: Result<&'a str, &'a str>,
    },
    /// `process.open-program`.
    OpenProgram {
        /// The path, as the guest named it.
        path: &'a str,
        /// Whether some use of it is granted and it is there.
        result: Result<(), &'a str>,
    },
    /// `program.run`.
    Run {
        /// Its path.
        program: &'a str,
        /// Its arguments; a file of the update is `{label}`.
        arguments: &'a [String],
        /// Its variables.
        environment: &'a [(String, String)],
        /// What it read on standard input.
        input: &'a [u8],
        /// How it ended.
        result: Result<&'a ProgramExit, &'a str>,
    },
    /// `process.pause`.
    Pause {
        /// How long.
        milliseconds: u32,
    },
    /// A call of `files`, of a folder or a target: whatever changes a file, and what is read back.
    Changed {
        /// The function: `replace`, `write-blob`.
        action: &'static str,
        /// The path; of a rename the old one.
        path: &'a str,
        /// More of it: the new path, the mode, how many bytes from where.
        detail: &'a str,
        /// Whether it was done.
        result: Result<(), &'a str>,
    },
    /// `restart.request`.
    Restart {
        /// What: `service ssh`, `machine`, or other words.
        subject: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// `progress.report`.
    Progress {
        /// What is being done.
        text: &'a str,
    },
    /// `log.write`.
    Log {
        /// `debug`, `info`, `warning` or `error`.
        level: &'static str,
        /// The line.
        message: &'a str,
    },
}

/// What is at a path, see `facts.stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// `file`, `folder`, `link` or `other`.
    pub kind: &'static str,
    /// Bytes of a regular file, else 0.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// When its content last changed, in seconds since 1970.
    pub modified: i64,
}

/// Stands in for the endpoint's programs.
///
/// What a plugin runs is compared with its grants as always; then this is asked in place of starting it.
pub trait Programs: Send + Sync {
    /// Runs it, in a manner of speaking.
    ///
    /// # Errors
    /// When it cannot be run; the plugin is told so.
    fn run(&self, call: &ProgramCall<'_>) -> io::Result<ProgramExit>;
}

/// A program that a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramCall<'a> {
    /// Its path.
    pub program: &'a str,
    /// Its arguments; a file of the update is `{label}`.
    pub arguments: &'a [String],
    /// Its variables.
    pub environment: &'a [(String, String)],
    /// What it reads on standard input.
    pub input: &'a [u8],
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramExit {
    /// Its exit status; none if a signal ended it, or its time was up.
    pub status: Option<i32>,
    /// What it wrote on standard output.
    pub output: String,
    /// What it wrote on standard error.
    pub error_output: String,
}
