//! The site: synchronizes software updates from upstreams, publishes signed catalogs, listens to clients and shows their
//! compliance.
//!
//! The roles are modules that never call each other. They meet in [`database`], and what they do to it wakes the next one
//! ([`signals`]). The console never talks to an agent, and nothing but [`database`] knows SQL.

#![warn(missing_docs)]

pub mod architecture;
pub mod cli;
pub mod collections;
pub mod config;
pub mod console;
pub mod content;
pub mod database;
pub mod deployment;
pub mod distribution_point;
pub mod identity;
pub mod management_point;
pub mod publish;
pub mod repository;
pub mod serve;
pub mod signals;
pub mod sync;
pub mod tls;
pub mod windows;
