//! What the demo shows in the end.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The part of `farrier status --json` that the demo shows.
#[derive(Debug, Deserialize)]
pub struct Status {
    clients: u64,
    updates: Counts,
    required_packages: Vec<String>,
    most_urgent: Vec<Urgent>,
}

/// Updates by compliance state.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    total: u64,
    #[serde(rename = "Required")]
    required: u64,
    #[serde(rename = "Installed")]
    installed: u64,
    #[serde(rename = "NotRequired")]
    not_required: u64,
    #[serde(rename = "Unknown")]
    unknown: u64,
}

#[derive(Debug, Deserialize)]
struct Urgent {
    title: String,
    classification: String,
    reason: String,
}

#[derive(Serialize)]
struct Report<'a> {
    updates: &'a Counts,
    clients: u64,
    required_packages: &'a [String],
    console: &'a str,
}

/// One JSON object.
pub fn json(status: &Status, console: &str) -> anyhow::Result<String> {
    let Status { clients, updates, required_packages, .. } = status;
    serde_json::to_string(&Report { updates, clients: *clients, required_packages, console }).context("no JSON")
}

/// A short table for people.
pub fn text(status: &Status, console: &str) -> String {
    let Counts { total, required, installed, not_required, unknown } = &status.updates;
    let mut text = String::new();
    let _ = writeln!(text, "\n{total:>8} updates known, {} client(s) scanned", status.clients);
    for (count, state) in
        [(required, "Required"), (installed, "Installed"), (not_required, "NotRequired"), (unknown, "Unknown")]
    {
        let _ = writeln!(text, "{count:>8} {state}");
    }
    if !status.most_urgent.is_empty() {
        let _ = writeln!(text, "\nThe most urgent required updates:");
    }
    for Urgent { title, classification, reason } in &status.most_urgent {
        let _ = writeln!(text, "  {title:<44} {classification:<17} {reason}");
    }
    let _ = writeln!(text, "\nConsole: {console}  (its certificate is the site's own)");
    text
}
