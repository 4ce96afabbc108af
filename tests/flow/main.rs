//! The line, hop by hop, with the programs as they are.

mod dependencies;
mod enrollment;
mod examples;
mod killed_agent;
mod offline;
mod whole_line;
