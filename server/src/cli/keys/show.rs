//! `farrier keys show`, and what the other commands say at their end.

use crate::cli::say;
use crate::cli::status::say_notice;
use crate::database::now;
use crate::deployment::words::time;
use crate::keys::{
    KeyError, MetadataStanding, Outcome, RoleStanding, SiteKeys, Standing, UnusedKey, WaitingStanding, short,
};
use anyhow::bail;

pub(super) async fn run(site: &SiteKeys, json: bool) -> anyhow::Result<()> {
    let standing = site.standing(now()).await?;
    if json {
        return say(serde_json::to_string(&standing)?);
    }
    if standing.roles.is_empty() && standing.waiting.is_empty() {
        bail!(KeyError::NoRoot);
    }
    table(&standing)?;
    standing.waiting.iter().try_for_each(say_waiting)?;
    for UnusedKey { role, id, file } in &standing.unused {
        let id = short(id);
        say(format_args!("\nThe {role} key {id} is on the site and nothing names it any more: delete {file}."))?;
    }
    standing.notices.iter().try_for_each(say_notice)
}

fn table(standing: &Standing) -> anyhow::Result<()> {
    if standing.roles.is_empty() {
        return Ok(());
    }
    say(format_args!("{:<11} {:<16} {:<11} {:<7} METADATA", "ROLE", "KEY", "WHERE", "SIGN"))?;
    for standing in &standing.roles {
        let RoleStanding { role, keys, threshold, metadata } = standing;
        let rows = keys.len().max(metadata.len());
        for row in 0..rows {
            let role = if row == 0 { role.as_str() } else { "" };
            let signs = if row == 0 { format!("{threshold} of {}", keys.len()) } else { String::new() };
            let (key, place) = keys.get(row).map_or(("", ""), |key| (key.short(), standing.place(key)));
            let metadata = metadata.get(row).map(described).unwrap_or_default();
            say(format_args!("{role:<11} {key:<16} {place:<11} {signs:<7} {metadata}"))?;
        }
    }
    Ok(())
}

fn described(metadata: &MetadataStanding) -> String {
    let MetadataStanding { role, version, expires_at, .. } = metadata;
    format!("{role} version {version}, expires {}", time(*expires_at))
}

fn say_waiting(waiting: &WaitingStanding) -> anyhow::Result<()> {
    let WaitingStanding { role, version, reason, missing, .. } = waiting;
    say(format_args!("\n{role} version {version} ({reason}) waits: {}.", missing.join(", ")))
}

/// What came into force, and what waits.
pub(super) fn say_outcome(outcome: &Outcome) -> anyhow::Result<()> {
    for (role, version) in &outcome.in_force {
        say(format_args!("{role} version {version} is in force: a running site publishes with it at once."))?;
    }
    outcome.waiting.iter().try_for_each(say_waiting)?;
    for (role, ids) in &outcome.to_sign_again {
        let ids: Vec<&str> = ids.iter().map(|id| short(id)).collect();
        say(format_args!(
            "\n{role} says something else than before: {} had signed it, and has to again.",
            ids.join(", ")
        ))?;
    }
    match outcome.waiting.is_empty() {
        true => Ok(()),
        false => say("\nNext: `farrier keys request --out FILE`, and carry the file to the keys."),
    }
}
