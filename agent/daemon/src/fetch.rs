//! A poll: asks how things stand, and follows what is new once all of it is verified and on disk.

use crate::clock::now;
use crate::notes::{Notes, Remark, remark};
use crate::policy::{Policy, StoredPolicy, decode};
use crate::repository::{Mismatch, Repository};
use crate::session::Session;
use crate::settled::Held;
use crate::site::{Site, is_unreachable};
use crate::statement::{ask, is_of_other_keys};
use crate::supply::Supply;
use anyhow::bail;
use farrier_agent_core::assignment::Refusal;
use farrier_agent_core::clock::Refreshed;
use farrier_protocol::poll::Statement;
use std::time::Duration;
use tokio::time::timeout;

/// How long one look at the repository may take, whatever its single requests may: a site that is merely slow does not
/// keep a client for days. What it took of new roots until then stays.
const LOOK: Duration = Duration::from_secs(3600);

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing new.
    Unchanged,
    /// Something new, which is followed from now on.
    Adopted,
}

/// Polls the site. On an error the client goes on with what it has.
pub(crate) async fn poll(session: &mut Session<'_>, site: &Site) -> anyhow::Result<Polled> {
    let mut polled = follow(session, site).await;
    if polled.as_ref().is_err_and(is_between_publications) {
        // The site published between two of the requests: ask for everything again, once.
        polled = follow(session, site).await;
    }
    match &polled {
        Ok(_) => note_refusal(session, None),
        Err(error) if is_unreachable(error) => {}
        Err(error) => note_refusal(session, Some(format!("{error:#}"))),
    }
    polled
}

/// Whether it may be that the repository is simply newer than the statement, or the other way round.
fn is_between_publications(error: &anyhow::Error) -> bool {
    let is_absent = matches!(error.downcast_ref(), Some(Refusal::NotInRepository(_)));
    is_absent || error.is::<Mismatch>() || is_of_other_keys(error)
}

async fn follow(session: &mut Session<'_>, site: &Site) -> anyhow::Result<Polled> {
    // One question; and no other for a client that has everything.
    let followed = session.policy();
    let reply = ask(session.agent, site, followed.as_ref().map(|policy| policy.digest)).await?;
    session.agent.note_contact();
    match reply.statement(&session.accepted.director()?, session.accepted.trusted_now()) {
        Ok(statement) if has_everything(session, &statement)? => return Ok(Polled::Unchanged),
        Ok(_) => {}
        // Other keys may sign assignments by now: a newer root says so.
        Err(error) if is_of_other_keys(&error) => {}
        Err(error) => return Err(error),
    }

    // The repository as it is now, and with it whose word counts.
    let mut repository = session.accepted.repository()?;
    refresh(session, site, &mut repository).await?;
    let statement = reply.statement(&session.accepted.director()?, session.accepted.trusted_now())?;
    repository.is_the_one_of(&statement)?;

    // The assignment, every entry of which is a target of the repository.
    let bytes = reply.assignment(&statement, session.accepted.assignment())?;
    let assignment = decode(bytes, &statement)?;
    let now = session.accepted.trusted_now();
    let selection =
        in_time(repository.select(site, &assignment, session.agent.engine(), followed.as_deref(), now)).await?;
    let policy = Policy::new(&statement, assignment, selection.targets, repository.standing()?)?;
    let stored = StoredPolicy { metadata: repository.metadata(), reply: reply.complete(bytes)?, held: selection.held };

    // Everything that it needs, unless that is here.
    let is_new = !followed.is_some_and(|followed| followed.has_all_of(&policy));
    let is_new = is_new || Notes::load(&session.spool)?.content_missing;
    let keep = if is_new { Supply::new(session, site, &policy).everything().await? } else { None };

    // From now on it counts.
    let notes = notes(session, &statement, &selection.doubts)?;
    session.accepted.follow(&session.spool, stored, policy, &notes.encode()?)?;
    if !is_new {
        return Ok(Polled::Unchanged);
    }
    tracing::info!(assignment.version = statement.version, "Assignment adopted");
    if let Some(keep) = keep
        && let Err(error) = session.content.retain(&keep)
    {
        tracing::warn!(%error, "Old content could not be removed");
    }
    Ok(Polled::Adopted)
}

/// Whether the client has everything that the site has.
fn has_everything(session: &Session<'_>, statement: &Statement) -> anyhow::Result<bool> {
    let held = Held::of(session)?;
    Ok(held.is_some_and(|held| held.is_all_of(statement, session.accepted.trusted_now(), now())))
}

/// Brings the repository up to date. A newer root counts from then on, whatever becomes of the rest.
async fn refresh(session: &mut Session<'_>, site: &Site, repository: &mut Repository) -> anyhow::Result<()> {
    let refreshed = in_time(repository.refresh(site, session.accepted.trusted_now())).await;
    let kept = session.accepted.keep_root(&session.spool, repository);
    refreshed.and(kept)
}

async fn in_time<T>(look: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match timeout(LOOK, look).await {
        Ok(done) => done,
        Err(_) => bail!("the site takes more than {} s to show its repository", LOOK.as_secs()),
    }
}

/// The notes once this poll succeeded, with everything verified and on disk.
fn notes(session: &Session<'_>, statement: &Statement, doubts: &[String]) -> anyhow::Result<Notes> {
    let mut notes = Notes::load(&session.spool)?;
    notes.refreshed = Some(Refreshed::at(now(), statement.issued_at));
    notes.engine = session.agent.engine().map(|engine| engine.to_string());
    notes.content_missing = false;
    remark(&mut notes.loss, None, now());
    remark(&mut notes.refusal, None, now());
    let doubts = (!doubts.is_empty()).then(|| doubts.join("; "));
    if remark(&mut notes.doubt, doubts, now())
        && let Some(Remark { words, stands: true, .. }) = &notes.doubt
    {
        tracing::warn!(reason = words, "A part of the repository is not used");
    }
    Ok(notes)
}

/// Notes why polls fail, or that they do not any more.
fn note_refusal(session: &Session<'_>, words: Option<String>) {
    let noted = Notes::change(&session.spool, |notes| {
        remark(&mut notes.refusal, words, now());
    });
    if let Err(error) = noted {
        tracing::warn!(error = format!("{error:#}"), "How the poll went could not be noted");
    }
}
