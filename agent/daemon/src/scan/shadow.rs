//! A shadow's scan: another version of a plugin is asked about the same catalogs, in a store of its own, after the scan
//! that counts. Nothing it does changes a state, and no two versions are in memory at once.

use super::plugin::{Guest, Trouble};
use super::{Chunks, Scanner};
use crate::clock::now;
use crate::policy::Policy;
use anyhow::Context as _;
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
    /// Has a shadow of the policy scan. Nothing is reported where the version that counts gives nothing to compare it with:
    /// that is no failure of the shadow, and the next scan may.
    pub(crate) fn scan_shadow(
        &self,
        policy: &Policy,
        health: &Health,
        shadow: &AssignedPlugin,
        counting: Counting,
    ) -> anyhow::Result<Option<ShadowReport>> {
        let scopes = self.counting_version(policy, health, &shadow.name).and_then(|version| {
            let scopes = self.guest(policy, version).and_then(|mut guest| Ok(guest.scopes()?))?;
            Ok((version, scopes))
        });
        let (version, scopes) = match scopes {
            Ok(found) => found,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::info!(plugin.name = %shadow.name, error, "There is nothing to compare a shadow with");
                return Ok(None);
            }
        };
        let mut chunks = Chunks::new(self.content)?;
        let (chunks, failures) = (&mut chunks, Failures::default());
        let mut scan = ShadowScan { scanner: self, policy, shadow, version, chunks, failures };
        Ok(scan.run(&scopes, counting).unwrap_or_else(|error| Some(scan.report_failure(&format!("{error:#}")))))
    }

    /// The version of the plugin with this name that counts.
    fn counting_version<'a>(
        &self,
        policy: &'a Policy,
        health: &Health,
        name: &str,
    ) -> anyhow::Result<&'a AssignedPlugin> {
        let assigned = policy.assignment.assessment.plugins.iter().find(|plugin| *plugin.name == *name);
        let assigned = assigned.context("the plugin is not assigned")?;
        health.choose(assigned, &policy.assignment.fallbacks, now()).version().map_err(anyhow::Error::msg)
    }
}

impl ShadowScan<'_, '_> {
    /// One after the other: what the shadow says of the catalogs that count, and what both say of the updates on which they
    /// differ. `scopes` are those of the version that counts.
    fn run(&mut self, scopes: &[String], counting: Counting) -> anyhow::Result<Option<ShadowReport>> {
        let mut guest = self.scanner.guest(self.policy, self.shadow)?;
        let shadow_scopes = farrier_runtime::Scan::scopes(&mut guest)?;
        let concerned = concerned(self.policy, self.shadow, scopes, &shadow_scopes);
        let counting_failed = counting.failed;
        let compared = self.compare(&mut guest, &concerned, counting);
        if counting_failed && compared.updates == 0 && !concerned.is_empty() && self.failures.first.is_none() {
            return Ok(None);
        }
        let asked_about: BTreeSet<_> = compared.asked_about().map(|suspect| suspect.update).collect();
        let (mut reasons, mut shadow_reasons) = (Explanations::default(), Explanations::default());
        if !asked_about.is_empty() {
            let trouble = self.explain(&mut guest, &concerned, |it| it.by_shadow, &asked_about, &mut shadow_reasons);
            trouble.into_iter().for_each(|trouble| self.failures.note(trouble.reason));
            drop(guest);
            // Its trouble is not the shadow's. Without its reasons, what it said in its scan stands.
            if let Ok(mut guest) = self.scanner.guest(self.policy, self.version) {
                self.explain(&mut guest, &concerned, |it| it.by_version, &asked_about, &mut reasons);
            }
        }
        let error = std::mem::take(&mut self.failures).words();
        Ok(Some(ShadowReport::new(self.pair(), &compared, &reasons, &shadow_reasons, &error, now())))
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

    /// The reasons that one of the versions gives for these updates. Returns its first trouble with that.
    fn explain(
        &mut self,
        guest: &mut impl Guest,
        concerned: &[Concerned<'_>],
        names: impl Fn(&Concerned<'_>) -> bool,
        wanted: &BTreeSet<UpdateId>,
        explanations: &mut Explanations,
    ) -> Option<Trouble> {
        let mut first = None;
        for concerned in concerned {
            let Ok(catalog) = self.chunks.catalog(&concerned.catalog.digest) else { continue };
            for entry in &catalog.chunks {
                let Ok(chunk) = self.chunks.chunk(entry) else { continue };
                for (update, rule) in wanted_of(&chunk, wanted) {
                    if !names(concerned) {
                        let reason = format!("it does not name the scope {}", concerned.catalog.scope);
                        explanations.answer(update, Explained::because(ComplianceState::NotRequired, &reason));
                        continue;
                    }
                    let trouble = match guest.evaluate_and_explain(rule) {
                        Ok((state, Ok(findings))) => {
                            explanations.answer(update, Explained::new(state, &findings));
                            continue;
                        }
                        Ok((state, Err(trouble))) => {
                            explanations.answer(update, Explained::because(state, &trouble.reason));
                            trouble
                        }
                        Err(trouble) => {
                            explanations.no_answer(update, &trouble.reason);
                            trouble
                        }
                    };
                    first.get_or_insert(trouble);
                }
            }
        }
        first
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
