//! An assessment: scan with the policy at hand, and record what it found.

use crate::health;
use crate::report::{self, Noted};
use crate::scan::{Outcome, Scanner, Tally};
use crate::session::Session;
use anyhow::Context as _;

/// What an assessment found.
pub(crate) struct Assessment {
    /// The scan.
    pub(crate) outcome: Outcome,
    /// How many updates are `Unknown` only because their plugin could not be asked.
    pub(crate) blind: u32,
    /// How often in a row a plugin failed that failed now and is not given up yet; of several, the least.
    pub(crate) trial: Option<u8>,
}

/// Scans, collects into `tally`, and records. Nothing is sent.
pub(crate) fn assess(session: &mut Session<'_>, tally: Tally) -> anyhow::Result<Assessment> {
    let policy = session.policy().context(
        "there is no assignment to scan by yet: the site was not reached, or had nothing, since the enrolment",
    )?;
    let scanner = Scanner::open(session.agent, &session.identity, &session.content, &policy)?;
    let health = health::load(&session.spool, &policy.assignment)?;
    let outcome = scanner.scan(&policy, &health, tally)?;
    let Noted { blind, fell_back, trial } = report::record(session, &outcome, &policy.assignment, health)?;
    // Another version may name other scopes.
    if outcome.tally.incomplete || fell_back {
        session.note_missing_content()?;
    }
    Ok(Assessment { outcome, blind, trial })
}
