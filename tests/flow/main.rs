//! The line, hop by hop, with the programs as they are.

#![allow(clippy::unwrap_used)]

mod dependencies;
mod enrollment;
mod examples;
mod killed_agent;
mod offline;
mod whole_line;
