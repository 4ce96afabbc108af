//! The agent's decisions, as functions of (state, input, now).
//!
//! What a scan's answers mean for an update ([`Verdicts`]), what of it the site must hear ([`report`]), which assignment
//! is taken ([`assignment`]), which version of a plugin is used ([`versions`]) and how one that does not count would
//! answer ([`shadow`]), what is to be done about a deployed update ([`enforcement`]), when to poll and to scan
//! ([`schedule`]) and what time it is ([`clock`]). This crate never reads a clock, a file or a socket, and makes no
//! random number: it is told.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod assignment;
pub mod clock;
pub mod enforcement;
pub mod report;
pub mod schedule;
pub mod shadow;
mod verdict;
pub mod versions;

pub use report::{Messages, Report};
pub use verdict::{Finding, PluginTag, Verdict, Verdicts};
