//! The site: synchronizes software updates from upstreams, publishes signed catalogs and policies, listens to clients,
//! rolls deployments out and shows how far they are.
//!
//! The roles are modules that never call each other. They meet in [`database`], and what they do to it wakes the next one
//! ([`signals`]). What several of them need is no role: the repository folder, the content store, an upstream's files, the
//! windows of a client, the words and settings of a deployment. The console never talks to an agent, and nothing but
//! [`database`] knows SQL.

#![warn(missing_docs)]

pub mod architecture;
pub mod authored;
pub mod cli;
pub mod collections;
pub mod config;
pub mod console;
pub mod content;
pub mod database;
pub mod deployment;
pub mod distribution_point;
pub mod identity;
pub mod keys;
pub mod management_point;
pub mod plugins;
pub mod publish;
pub mod repository;
pub mod serve;
pub mod signals;
pub mod sync;
pub mod tls;
mod upstream;
pub mod windows;
