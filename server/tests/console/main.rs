//! The console, asked the way a browser asks.

// Clippy knows only test functions as tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod collections;
mod deployments;
#[path = "../fleet/mod.rs"]
mod fleet;
mod identity;
mod keys;
mod pages;
mod plugin_pages;
mod plugins;
mod rules;
mod site;
mod wizard;
