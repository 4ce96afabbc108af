//! The line, hop by hop, with the programs as they are.

#![allow(clippy::unwrap_used)]

mod author_guide;
mod dependencies;
mod enrollment;
mod examples;
mod killed_agent;
mod offline;
mod plugin_versions;
mod precompiled;
mod tables;
mod whole_line;
