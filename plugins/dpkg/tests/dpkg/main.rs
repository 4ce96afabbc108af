//! What the plugin says of Debian endpoints in memory.
#![allow(clippy::unwrap_used)] // In what the tests share, too.

mod explanations;
mod scopes;
mod states;
mod status_file;
mod support;
