//! A shadow's scan: another version of a plugin is asked about the same catalogs, in a store of its own, after the scan
//! that counts. Nothing it does changes a state, and no two versions are in memory at once.

use super::plugin::{Guest, Trouble};
use super::{Chunks, Scanner};
use crate::clock::now;
use crate::policy::Policy;
use farrier_agent_core::shadow::{Compared, Comparison, Explained, Explanations, Pair, ShadowReport, States};
use farrier_agent_core::versions::Health;
use farrier_protocol::assignment::{AssignedCatalog, AssignedPlugin};
use farrier_protocol::catalog::Chunk;
use farrier_protocol::{ComplianceState, UpdateId};
use std::collections::BTreeSet;

/// Chunks that a shadow may fail on before it is not asked about more.
const MAX_FAILED_CHUNKS: u32 = 5;

/// What counts for one plugin, as the last scan found it.
#[derive(Debug)]
pub(crate) struct Counting {
    /// The states of its updates.
    pub(crate) states: States,
    /// Whether it failed on some.
    pub(crate) failed: bool,
}

/// One shadow's scan.
struct ShadowScan<'a, 'c> {
    scanner: &'a Scanner<'a>,
    policy: &'a Policy,
    shadow: &'a AssignedPlugin,
    /// The version that counts.
    version: &'a AssignedPlugin,
    chunks: &'a mut Chunks<'c>,
    failures: Failures,
}

/// What went wrong on the way.
#[derive(Debug, Default)]
struct Failures {
    asked: u32,
    failed: u32,
    first: Option<String>,
}

/// A catalog that concerns this client, as at least one of the versions says.
struct Concerned<'a> {
    catalog: &'a AssignedCatalog,
    by_version: bool,
    by_shadow: bool,
}

impl Scanner<'_> {
    /// Has a shadow of the policy scan.
    pub(crate) fn scan_shadow(
        &self,
        policy: &Policy,
        health: &Health,
        shadow: &AssignedPlugin,
        counting: Counting,
    ) -> anyhow::Result<ShadowReport> {
        let assigned = policy.assignment.assessment.plugins.iter().find(|plugin| plugin.name == shadow.name);
        let chosen = assigned.map(|assigned| health.choose(assigned, &policy.assignment.fallbacks, now()).version());
        let mut chunks = Chunks::new(self.content)?;
        let (version, error) = match chosen {
            Some(Ok(version)) => (version, None),
            Some(Err(reason)) => (assigned.unwrap_or(shadow), Some(reason)),
            None => (shadow, Some("the plugin is not assigned".to_owned())),
        };
        let chunks = &mut chunks;
        let mut scan = ShadowScan { scanner: self, policy, shadow, version, chunks, failures: Failures::default() };
        let scanned = match error {
            None => scan.run(counting),
            Some(reason) => Err(anyhow::anyhow!("there is nothing to compare it with: {reason}")),
        };
        Ok(scanned.unwrap_or_else(|error| scan.report_failure(&format!("{error:#}"))))
    }
}

impl ShadowScan<'_, '_> {
    /// One after the other: which catalogs count, what the shadow says of them, and what the version that counts says of
    /// the updates on which they differ.
    fn run(&mut self, counting: Counting) -> anyhow::Result<ShadowReport> {
        let scopes = match self.scanner.guest(self.policy, self.version).and_then(|mut guest| Ok(guest.scopes()?)) {
            Ok(scopes) => scopes,
            Err(error) => anyhow::bail!("there is nothing to compare it with: {error:#}"),
        };
        let mut guest = self.scanner.guest(self.policy, self.shadow)?;
        let shadow_scopes = farrier_runtime::Scan::scopes(&mut guest)?;
        let concerned = concerned(self.policy, self.shadow, &scopes, &shadow_scopes);
        let compared = self.compare(&mut guest, &concerned, counting);
        let asked_about: BTreeSet<_> = compared.asked_about().collect();
        let (mut reasons, mut shadow_reasons) = (Explanations::new(), Explanations::new());
        if !asked_about.is_empty() {
            shadow_reasons = self.explain(&mut guest, &concerned, |it| it.by_shadow, &asked_about);
            drop(guest);
            let mut guest = self.scanner.guest(self.policy, self.version)?;
            reasons = self.explain(&mut guest, &concerned, |it| it.by_version, &asked_about);
        }
        let error = std::mem::take(&mut self.failures).words();
        Ok(ShadowReport::new(self.pair(), &compared, &reasons, &shadow_reasons, &error, now()))
    }

    fn report_failure(&self, error: &str) -> ShadowReport {
        ShadowReport::failed(self.pair(), error, now())
    }

    fn pair(&self) -> Pair<'_> {
        let (plugin, version, shadow_version) = (&self.shadow.name, &self.version.version, &self.shadow.version);
        Pair { plugin, version, shadow_version }
    }

    /// Chunk by chunk.
    fn compare(&mut self, guest: &mut impl Guest, concerned: &[Concerned<'_>], counting: Counting) -> Compared {
        let mut comparison = Comparison::new(counting.states, counting.failed, concerned.len() > 1);
        for Concerned { catalog, by_shadow, .. } in concerned {
            let entries = match self.chunks.catalog(&catalog.digest) {
                Ok(catalog) => catalog.chunks,
                Err(error) => {
                    self.failures.note(format!("{}: {error}", catalog.target));
                    continue;
                }
            };
            for entry in &entries {
                let chunk = match self.chunks.chunk(entry) {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        self.failures.note(format!("{}: {error}", catalog.target));
                        continue;
                    }
                };
                if !by_shadow {
                    // Who does not name the scope is not asked: the rules of others are not required.
                    chunk.updates().for_each(|update| comparison.answer(update, ComplianceState::NotRequired));
                    continue;
                }
                self.failures.asked += 1;
                match guest.evaluate(chunk.rules, chunk.updates().len()) {
                    Ok(states) => {
                        chunk.updates().zip(states).for_each(|(update, state)| comparison.answer(update, state));
                    }
                    Err(Trouble { reason, .. }) => {
                        comparison.no_answer(chunk.updates());
                        self.failures.failed += 1;
                        self.failures.note(reason);
                        if self.failures.failed >= MAX_FAILED_CHUNKS {
                            return comparison.end();
                        }
                    }
                }
            }
        }
        comparison.end()
    }

    /// The reasons that one of the versions gives for these updates; none for those about which it cannot be asked.
    fn explain(
        &mut self,
        guest: &mut impl Guest,
        concerned: &[Concerned<'_>],
        names: impl Fn(&Concerned<'_>) -> bool,
        wanted: &BTreeSet<UpdateId>,
    ) -> Explanations {
        let (mut explanations, mut unanswered) = (Explanations::new(), BTreeSet::new());
        for concerned in concerned {
            let Ok(catalog) = self.chunks.catalog(&concerned.catalog.digest) else { continue };
            for entry in &catalog.chunks {
                let Ok(chunk) = self.chunks.chunk(entry) else { continue };
                for (update, rule) in wanted_of(&chunk, wanted) {
                    let explained = match names(concerned) {
                        true => explain(guest, rule),
                        false => {
                            let reason = format!("it does not name the scope {}", concerned.catalog.scope);
                            Some(Explained::because(ComplianceState::NotRequired, &reason))
                        }
                    };
                    match (explained, explanations.get_mut(&update)) {
                        (None, _) => drop(unanswered.insert(update)),
                        (Some(explained), Some(known)) => known.merge(explained),
                        (Some(explained), None) => drop(explanations.insert(update, explained)),
                    }
                }
            }
        }
        explanations.retain(|update, _| !unanswered.contains(update));
        explanations
    }
}

impl Failures {
    fn note(&mut self, reason: String) {
        self.first.get_or_insert(reason);
    }

    fn words(self) -> String {
        match self.first {
            Some(reason) if self.failed > 1 => format!("{} of {} chunks: {reason}", self.failed, self.asked),
            Some(reason) => reason,
            None => String::new(),
        }
    }
}

/// The catalogs that concern this client, as one of the versions says.
fn concerned<'a>(
    policy: &'a Policy,
    shadow: &AssignedPlugin,
    scopes: &[String],
    shadow_scopes: &[String],
) -> Vec<Concerned<'a>> {
    let names = |scopes: &[String], catalog: &AssignedCatalog| scopes.iter().any(|scope| *scope == *catalog.scope);
    let catalogs = policy.assignment.assessment.catalogs.iter().filter(|catalog| catalog.plugin == shadow.name);
    let concerned = catalogs.map(|catalog| Concerned {
        catalog,
        by_version: names(scopes, catalog),
        by_shadow: names(shadow_scopes, catalog),
    });
    concerned.filter(|concerned| concerned.by_version || concerned.by_shadow).collect()
}

/// The rules of the updates that are wanted.
fn wanted_of<'a>(chunk: &Chunk<'a>, wanted: &BTreeSet<UpdateId>) -> Vec<(UpdateId, &'a [u8])> {
    chunk.updates().zip(chunk.rules()).filter(|(update, _)| wanted.contains(update)).collect()
}

fn explain(guest: &mut impl Guest, rule: &[u8]) -> Option<Explained> {
    let (state, findings) = guest.evaluate_and_explain(rule).ok()?;
    Some(match findings {
        Ok(findings) => Explained::new(state, &findings),
        Err(trouble) => Explained::because(state, &trouble.reason),
    })
}
