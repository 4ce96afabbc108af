//! What the plugin does to Debian endpoints: in memory, and with this machine's dpkg.
#![allow(clippy::unwrap_used)] // What is missing is a failed test.

mod debian;
mod installing;
mod plans;
mod real_dpkg;
mod selection;
mod support;
