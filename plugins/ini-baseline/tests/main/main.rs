//! The plugin beside files as they are on endpoints, and beside the programs that read them.
#![allow(clippy::unwrap_used)] // What is missing is a failed test.

mod ini;
mod key_value;
mod real_sshd;
mod rules;
mod samples;
mod sshd;
mod support;
mod sysctl;
