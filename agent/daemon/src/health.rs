//! How the versions of plugins fared here, kept in the spool, and what the site hears of it.

use crate::clock::now;
use crate::session::Session;
use anyhow::Context as _;
use farrier_agent_core::Messages;
use farrier_agent_core::versions::{Conduct, Health};
use farrier_protocol::Digest;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::state_message::{FallBack, StateMessage};
use farrier_spool::{Blob, Recording, Spool};

/// What is remembered under this assignment.
pub(crate) fn load(spool: &Spool, assignment: &Assignment) -> anyhow::Result<Health> {
    let Some(bytes) = spool.blob(Blob::Health)? else { return Ok(Health::default()) };
    Ok(Health::decode(&bytes).unwrap_or_else(|error| {
        tracing::error!(%error, "A part of the spool is lost");
        Health::lost(assignment)
    }))
}

/// Takes note of how the version with this digest fared outside a scan. Returns what is remembered then.
pub(crate) fn note(session: &mut Session<'_>, digest: Digest, conduct: Conduct) -> anyhow::Result<Health> {
    let policy = session.policy().context("there is no assignment any more")?;
    let spool = &session.spool;
    let mut health = load(spool, &policy.assignment)?;
    if conduct == Conduct::Unproven || (conduct == Conduct::Sound && !health.remembers(&digest)) {
        return Ok(health);
    }
    let said = health.note(&policy.assignment, [(digest, conduct)], now());
    let mut messages = Messages::default();
    for fall_back in said {
        tell(&fall_back);
        messages.push(&StateMessage::FallBack(Box::new(fall_back)));
    }
    let bytes = health.encode();
    spool.record(&Recording { blobs: &[(Blob::Health, &bytes)], ..Recording::default() }, messages.iter())?;
    Ok(health)
}

/// Tells whoever reads the log.
pub(crate) fn tell(fall_back: &FallBack) {
    let FallBack { plugin, failed_version, version, reason, .. } = fall_back;
    if failed_version.is_empty() {
        tracing::info!(plugin.name = %plugin, "The assigned version of a plugin is used again");
    } else {
        tracing::warn!(
            plugin.name = %plugin,
            %failed_version,
            fallback = %version,
            %reason,
            "A version of a plugin is given up"
        );
    }
}
