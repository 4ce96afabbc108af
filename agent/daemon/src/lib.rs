//! The agent: fetches its assignment, scans in the sandbox, reports.
//!
//! This crate is the shell: it has the clock, the network, the disk and the processes. What it decides by is in
//! `farrier-agent-core`, what it runs is run by `farrier-runtime`, what it must not forget is in `farrier-spool`. It
//! knows no package manager and no catalog's rules, and it never uses a byte of a site before `farrier-trust` has
//! verified it.

#![warn(missing_docs)]

#[cfg(not(any(feature = "full", feature = "lite")))]
compile_error!(
    "an agent either compiles plugins on the device (the default feature `full`) or does not: add `--features lite` to \
     `--no-default-features`"
);

mod accepted;
mod agent;
mod artefacts;
mod assess;
mod certificate;
pub mod cli;
mod clock;
pub mod config;
mod content;
mod deployments;
mod download;
mod enforce;
mod enroll;
mod explain;
mod fetch;
mod floors;
mod hardware;
mod health;
mod hooks;
mod identity;
mod inventory;
mod layout;
mod local_time;
mod lock;
mod notes;
mod output;
mod policy;
mod progress;
mod renewal;
mod report;
mod repository;
mod run;
mod scan;
mod session;
mod settled;
mod shadows;
mod site;
mod statement;
mod status;
mod supply;
mod tls;
mod user;

#[cfg(test)]
mod tests;
