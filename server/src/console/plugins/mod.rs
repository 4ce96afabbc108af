//! Plugins: their versions, what they may do, and how those fare that are tried.

pub(super) mod actions;
pub(super) mod api;
pub(super) mod detail;
pub(super) mod differences;
pub(super) mod list;

use super::problem::Problem;

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("There is no plugin {name:?} on this site."), "Look at the list of plugins.")
}

/// The address of a plugin's page.
fn address(name: &str) -> String {
    format!("/plugins/{name}")
}
