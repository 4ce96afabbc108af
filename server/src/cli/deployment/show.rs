//! Deployments on a terminal.

use super::super::say;
use crate::database::views::{
    CSV_HEAD, DeploymentClientFilter, DeploymentDetail, DeploymentFilter, DeploymentRow, EnforcementCounts, PhaseRow,
};
use crate::database::{Database, now};
use crate::deployment::Review;
use crate::deployment::words::{bytes, counted, time};
use anyhow::Context as _;
use farrier_protocol::DeploymentId;
use std::io::{Write as _, stdout};

pub(super) async fn list(database: &Database, json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for page in 1.. {
        let rows = database.deployments(&DeploymentFilter { page, ..DeploymentFilter::default() }).await?;
        all.extend(rows.items);
        if page >= rows.pages {
            break;
        }
    }
    if json {
        return say(serde_json::to_string(&all)?);
    }
    if all.is_empty() {
        return say("Nothing is deployed yet: `farrier deployment create` deploys updates.");
    }
    all.iter().try_for_each(|row| say(line(row)))
}

fn line(row: &DeploymentRow) -> String {
    let DeploymentRow { id, name, status, collection_name, open_phases, phases, clients, updates, .. } = row;
    let percent = row.percent_succeeded.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0} %"));
    format!(
        "{id}  {:<9} {percent:>5} of {:>6} clients  {updates:>4} updates  phase {open_phases}/{phases}  \
         {name} to {collection_name}",
        status.as_str(),
        clients.total(),
    )
}

pub(super) async fn one(database: &Database, id: DeploymentId, json: bool) -> anyhow::Result<()> {
    let detail = database.deployment(id).await?.context("the deployment is gone")?;
    if json {
        return say(serde_json::to_string(&detail)?);
    }
    print(&detail)
}

fn print(detail: &DeploymentDetail) -> anyhow::Result<()> {
    let DeploymentRow { id, name, status, status_reason, collection_name, purpose, deadline, problem, .. } =
        &detail.row;
    say(format_args!("{name} ({id})"))?;
    let because = if status_reason.is_empty() { String::new() } else { format!(": {status_reason}") };
    say(format_args!("  {}{because}", status.as_str()))?;
    say(format_args!("  {purpose:?} for {collection_name}, updates of the group {}", detail.update_group_name))?;
    if !deadline.is_empty() {
        say(format_args!("  deadline {deadline}"))?;
    }
    if let Some(problem) = problem {
        say(format_args!("  NOT PUBLISHED: {problem}"))?;
    }
    say(format_args!("  {}", counts(&detail.row.clients)))?;
    for phase in &detail.phase_rows {
        say(format_args!("\nPhase {}, {}: {}", phase.position + 1, phase.name, standing(phase)))?;
        say(format_args!("  {}", counts(&phase.clients)))?;
    }
    say("\nUpdates:")?;
    for update in &detail.update_rows {
        let dropped = if update.superseded || update.expired { "  (dropped out)" } else { "" };
        say(format_args!("  {:<44} {}{dropped}", update.title, counts(&update.clients)))?;
    }
    say("\nWhat happened, the newest first:")?;
    detail.events.iter().try_for_each(|event| say(format_args!("  {}  {}", time(event.at), event.text)))
}

fn standing(phase: &PhaseRow) -> String {
    let opens = match (phase.opened_at, phase.expected_at) {
        (Some(opened), _) => format!("open since {}", time(opened)),
        (None, Some(expected)) => format!("expected to open {}", time(expected)),
        (None, None) => "not open".to_owned(),
    };
    match (phase.waits_for_approval, phase.soaks_until) {
        (true, _) => format!("{opens}, waits for `farrier deployment approve`"),
        (false, Some(until)) => format!("{opens}, watched until {}", time(until)),
        (false, None) => opens,
    }
}

fn counts(counts: &EnforcementCounts) -> String {
    let silent = (counts.silent > 0).then(|| format!("{} Unreported", counts.silent));
    let states =
        counts.by_state().filter(|(_, clients)| *clients > 0).map(|(state, clients)| format!("{clients} {state}"));
    let words: Vec<String> = states.chain(silent).collect();
    if words.is_empty() { "no clients".to_owned() } else { words.join(", ") }
}

pub(super) async fn clients(
    database: &Database,
    id: DeploymentId,
    state: Option<&str>,
    phase: Option<i64>,
    page: i64,
    json: bool,
) -> anyhow::Result<()> {
    let state = state.map(str::parse).transpose();
    let state = state.context("--state: write Unreported or a state that `farrier deployment show` names")?;
    let filter = DeploymentClientFilter { state, phase: phase.map(|phase| phase - 1), page, ..Default::default() };
    let clients = database.deployment_clients(id, &filter, now()).await?;
    if json {
        return say(serde_json::to_string(&clients)?);
    }
    for client in &clients.items {
        say(format_args!("{:<24} {:<17} {}", client.hostname, client.state, client.why))?;
    }
    say(format_args!("Page {} of {}, {} clients.", clients.page, clients.pages, clients.total))
}

pub(super) async fn export(database: &Database, id: DeploymentId) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    write!(out, "{CSV_HEAD}\r\n")?;
    let mut after = Some(0);
    while let Some(row) = after {
        let (rows, last) = database.deployment_csv(id, row).await?;
        for row in rows {
            out.write_all(row.line().as_bytes())?;
        }
        after = last;
    }
    Ok(())
}

pub(super) fn review(review: &Review, json: bool) -> anyhow::Result<()> {
    if json {
        return say(serde_json::to_string(review)?);
    }
    say(format_args!("It would deploy {}.", in_a_line(review)))?;
    for phase in &review.phases {
        let opens = phase.expected_at.map_or_else(|| "when the phase before it succeeded".to_owned(), time);
        say(format_args!("  {:<24} {:>6} clients, opens {opens}", phase.name, phase.clients))?;
    }
    for dropped in &review.dropped {
        say(format_args!("  not deployed, because it is superseded or expired: {dropped}"))?;
    }
    review.problems.iter().try_for_each(|problem| say(format_args!("  cannot be: {problem}")))
}

pub(super) fn in_a_line(review: &Review) -> String {
    let Review { updates, clients, needing, content_bytes, transfer_bytes, .. } = review;
    format!(
        "{} to {}, of which {needing} need some: {} of content, {} of downloads",
        counted(*updates, "update"),
        counted(*clients, "client"),
        bytes(*content_bytes),
        bytes(*transfer_bytes)
    )
}
