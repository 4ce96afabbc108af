//! Plugins on a terminal.

use crate::cli::say;
use crate::database::Database;
use crate::database::views::{
    CannotRunRow, FailureRow, FallBackRow, PluginDetail, PluginRow, PluginVersionRow, ShadowSummary, TopDifference,
    TrialRow,
};
use crate::deployment::words::{bytes, counted, time};
use crate::plugins::{Approval, AskedGrant, FARRIER, GrantStanding, Pushed};
use anyhow::Context as _;

pub(super) fn pushed(pushed: &Pushed) -> anyhow::Result<()> {
    let Pushed { name, version, world, publisher, was_there, asks, warnings } = pushed;
    let signed = if publisher.is_empty() { "unsigned".to_owned() } else { format!("signed by {publisher}") };
    let done = if *was_there { "was there already" } else { "is pushed" };
    say(format_args!("{name} {version} ({world}, {signed}) {done}."))?;
    warnings.iter().try_for_each(|warning| say(format_args!("Warning: {warning}")))?;
    grants(asks)?;
    let undecided = asks.iter().filter(|grant| grant.standing == GrantStanding::Undecided).count();
    if undecided > 0 {
        say(format_args!("Approve it before it is used: `farrier plugin approve {name} --version {version} --all`."))
    } else {
        say(format_args!("Everything it asks for is decided. `farrier plugin shadow {name} {version}` tries it."))
    }
}

pub(super) fn approval(approval: &Approval) -> anyhow::Result<()> {
    let Approval { name, version, grants: asks, others, undecided } = approval;
    if asks.is_empty() {
        return say(format_args!("{name} {version} asks for nothing."));
    }
    say(format_args!("{name} {version} asks for:"))?;
    grants(asks)?;
    if !others.is_empty() {
        say(format_args!("Also approved, for other versions or as a part: {}.", others.join(", ")))?;
    }
    if *undecided > 0 {
        let count = i64::try_from(*undecided)?;
        return say(format_args!(
            "{} not decided: it is not used before that. --all approves everything, --read, --write and --run a part, \
             and --partial refuses the rest.",
            if count == 1 { "1 grant is".to_owned() } else { format!("{count} grants are") }
        ));
    }
    say("Everything it asks for is decided.")
}

fn grants(asks: &[AskedGrant]) -> anyhow::Result<()> {
    asks.iter().try_for_each(|asked| {
        let new = if asked.is_new { ", new" } else { "" };
        let AskedGrant { access, grant, reason, standing, .. } = asked;
        say(format_args!("  {:<5} {grant}  ({}{new})\n        {reason}", access.list(), standing.as_str()))
    })
}

pub(super) async fn all(database: &Database, json: bool) -> anyhow::Result<()> {
    let plugins = database.plugins().await?;
    if json {
        return say(serde_json::to_string(&plugins)?);
    }
    plugins.iter().try_for_each(|plugin| say(line(plugin)))
}

fn line(plugin: &PluginRow) -> String {
    let current = plugin.current.as_deref().unwrap_or("-");
    let mut notes = Vec::new();
    if let Some(canary) = &plugin.canary {
        notes.push(format!("canary {} for {}", canary.version, canary.collection_name));
    }
    if let Some(shadow) = &plugin.shadow {
        let (differing, compared) = (plugin.differing, plugin.compared);
        notes.push(format!("shadow {}: {differing} of {compared} differ", shadow.version));
    }
    let is_used = [&plugin.canary, &plugin.shadow]
        .iter()
        .any(|trial| trial.as_ref().is_some_and(|trial| trial.version == plugin.newest));
    if plugin.undecided > 0 {
        notes.push(format!("{} waits for approval", plugin.newest));
    } else if plugin.current.as_deref() != Some(&plugin.newest) && !is_used {
        notes.push(format!("{} is there", plugin.newest));
    }
    for (clients, what) in [
        (plugin.failing, "fails on"),
        (plugin.fallen_back, "has fallen back on"),
        (plugin.cannot_run, "cannot be run by"),
    ] {
        if clients > 0 {
            notes.push(format!("{what} {}", counted(clients, "client")));
        }
    }
    let notes = if notes.is_empty() { String::new() } else { format!("  {}", notes.join("; ")) };
    format!("{:<24} {:<13} {current:<12}{notes}", plugin.name, plugin.world)
}

pub(super) async fn one(database: &Database, name: &str, json: bool) -> anyhow::Result<()> {
    let detail = database.plugin(name).await?;
    let detail = detail.with_context(|| format!("there is no plugin {name:?}: `farrier plugin status` lists them"))?;
    if json {
        return say(serde_json::to_string(&detail)?);
    }
    let PluginRow { world, description, canary, shadow, pinned, .. } = &detail.row;
    say(format_args!("{name} ({world}): {description}"))?;
    if *pinned && detail.version_rows.iter().any(|version| version.publisher == FARRIER) {
        say("  An administrator chose the current version: a newer one of Farrier's does not replace it by itself.")?;
    }
    trial("canary", canary.as_ref())?;
    trial("shadow", shadow.as_ref())?;
    say("\nVersions, the newest first:")?;
    detail.version_rows.iter().try_for_each(version)?;
    if let Some(shadow) = &detail.shadow_summary {
        summary(shadow)?;
    }
    trouble(&detail)?;
    say("\nWhat was done, the newest first:")?;
    detail.events.iter().try_for_each(|event| say(format_args!("  {}  {}", time(event.at), event.text)))
}

fn trial(word: &str, trial: Option<&TrialRow>) -> anyhow::Result<()> {
    let Some(TrialRow { version, collection_name, since, .. }) = trial else { return Ok(()) };
    say(format_args!("  {word} {version} for {collection_name}, since {}", time(*since)))
}

fn version(version: &PluginVersionRow) -> anyhow::Result<()> {
    let PluginVersionRow { version: number, roles, publisher, component_bytes, wit, clients, undecided, .. } = version;
    let signed = if publisher.is_empty() { "unsigned".to_owned() } else { format!("by {publisher}") };
    let roles = if roles.is_empty() { "not used".to_owned() } else { roles.join(", ") };
    let clients = counted(*clients, "client");
    let size = bytes(*component_bytes);
    say(format_args!("  {number:<12} {roles:<18} run by {clients}, {signed}, {size}, for farrier:policy {wit}"))?;
    if *undecided > 0 {
        let missing: Vec<String> = version
            .grants
            .iter()
            .filter(|grant| grant.standing == GrantStanding::Undecided)
            .map(|grant| format!("{} {}", grant.access.list(), grant.grant))
            .collect();
        say(format_args!("               not used before it is approved: {}", missing.join(", ")))?;
    }
    Ok(())
}

fn summary(summary: &ShadowSummary) -> anyhow::Result<()> {
    let ShadowSummary { version, clients, compared, differing, differing_on, failures, top } = summary;
    say(format_args!(
        "\nShadow {version}: {} compared {compared} answers; {differing} differ, on {}.",
        counted(*clients, "client"),
        counted(*differing_on, "client")
    ))?;
    failures.iter().try_for_each(failure)?;
    top.iter().try_for_each(|top| {
        let TopDifference { title, state, shadow_state, clients, hostname, detail, shadow_detail, .. } = top;
        say(format_args!("  {title}: {state:?} becomes {shadow_state:?} on {}", counted(*clients, "client")))?;
        say(format_args!("    now, on {hostname}: {}", or_dash(detail)))?;
        say(format_args!("    {version} there: {}", or_dash(shadow_detail)))
    })
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn failure(failure: &FailureRow) -> anyhow::Result<()> {
    let FailureRow { version, error, clients, hostname } = failure;
    let hostname = or_dash(hostname);
    say(format_args!("  {version} failed on {} ({hostname}): {error}", counted(*clients, "client")))
}

/// Who does not run what it should, and why.
fn trouble(detail: &PluginDetail) -> anyhow::Result<()> {
    if !detail.failures.is_empty() {
        say("\nFailed in the last scan:")?;
        detail.failures.iter().try_for_each(failure)?;
    }
    if !detail.fallbacks.is_empty() {
        say("\nFallen back:")?;
    }
    detail.fallbacks.iter().try_for_each(|row| {
        let FallBackRow { failed_version, version, reason, clients, hostname, since } = row;
        let used = if version.is_empty() { "nothing is used".to_owned() } else { format!("{version} is used") };
        let (clients, since, hostname) = (counted(*clients, "client"), time(*since), or_dash(hostname));
        say(format_args!("  {failed_version} failed on {clients} ({hostname}, {since}), {used}: {reason}"))
    })?;
    if !detail.unable.is_empty() {
        say("\nCannot be run; these clients keep another version, or say so where they can run none:")?;
    }
    detail.unable.iter().try_for_each(|row| {
        let CannotRunRow { version, reason, clients } = row;
        say(format_args!("  {version} by {}: {reason}", counted(*clients, "client")))
    })?;
    if detail.silent > 0 {
        let clients = counted(detail.silent, "client");
        say(format_args!("\n{clients} did not say yet which plugins they can run."))?;
    }
    Ok(())
}
