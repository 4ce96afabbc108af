//! One plugin's part of a scan. Whatever it does, its updates get a state, and the next plugin does not notice.

use super::{ChunkError, Chunks, conduct};
use crate::content::Unavailable;
use farrier_agent_core::versions::Conduct;
use farrier_agent_core::{Finding, PluginTag, Verdict, Verdicts};
use farrier_protocol::assignment::AssignedCatalog;
use farrier_protocol::catalog::Chunk;
use farrier_protocol::state_message::bounded;
use farrier_protocol::{ComplianceState, UpdateId};
use farrier_runtime::ScanError;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In words.
    pub(crate) reason: String,
    /// Whether the plugin itself is to blame.
    pub(crate) is_own_fault: bool,
}

impl From<ScanError> for Trouble {
    fn from(error: ScanError) -> Self {
        Self { reason: error.to_string(), is_own_fault: error.is_trap() }
    }
}

/// A plugin that can be asked. After a failure the next question goes to a fresh one, up to a limit.
pub(crate) trait Guest {
    /// The catalogs that concern this client.
    fn scopes(&mut self) -> Result<Vec<String>, Trouble>;
    /// Exactly one state for each of these rules.
    fn evaluate(&mut self, rules: &[u8], expected: usize) -> Result<Vec<ComplianceState>, Trouble>;
    /// Why the update of this rule has its state.
    fn explain(&mut self, rule: &[u8]) -> Result<Vec<Finding>, Trouble>;

    /// The state of this one rule and the reasons for it, or why it gives none.
    fn evaluate_and_explain(
        &mut self,
        rule: &[u8],
    ) -> Result<(ComplianceState, Result<Vec<Finding>, Trouble>), Trouble> {
        // A chunk of one rule: its length, as rules have it, and the rule.
        let length = u16::try_from(rule.len()).unwrap_or(u16::MAX).to_le_bytes();
        let state = self.evaluate(&[&length, rule].concat(), 1)?[0];
        Ok((state, self.explain(rule)))
    }
}

impl Guest for farrier_runtime::Scan {
    fn scopes(&mut self) -> Result<Vec<String>, Trouble> {
        Ok(farrier_runtime::Scan::scopes(self)?)
    }

    fn evaluate(&mut self, rules: &[u8], expected: usize) -> Result<Vec<ComplianceState>, Trouble> {
        Ok(farrier_runtime::Scan::evaluate(self, rules, expected)?)
    }

    fn explain(&mut self, rule: &[u8]) -> Result<Vec<Finding>, Trouble> {
        let findings = farrier_runtime::Scan::explain(self, rule)?;
        let finding = |finding: farrier_runtime::Finding| Finding {
            subject: finding.subject.into(),
            state: finding.state,
            detail: finding.detail.into(),
        };
        Ok(findings.into_iter().map(finding).collect())
    }
}

/// How a plugin fared in a scan.
#[derive(Debug)]
pub(crate) struct Faring {
    /// What went wrong, empty if nothing did.
    pub(crate) error: String,
    /// What that says of the plugin.
    pub(crate) conduct: Conduct,
}

/// What all plugins of a scan found together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The verdicts.
    pub(crate) verdicts: Verdicts,
    /// How many updates were looked at.
    pub(crate) evaluated: u32,
    /// Content was missing: it has to be fetched again.
    pub(crate) incomplete: bool,
    /// The names of all updates that are not `NotRequired`, if somebody wants to read them.
    pub(crate) names: Option<BTreeMap<UpdateId, Box<str>>>,
    /// Updates that somebody wants to be sure of, and whether a plugin was asked about them: what has no verdict is
    /// `NotRequired` only then.
    pub(crate) watched: BTreeMap<UpdateId, bool>,
}

impl Tally {
    /// Collects names, for people.
    pub(crate) fn with_names() -> Self {
        Self { names: Some(BTreeMap::new()), ..Self::default() }
    }

    /// Keeps an eye on these updates.
    pub(crate) fn watching(updates: impl Iterator<Item = UpdateId>) -> Self {
        Self { watched: updates.map(|update| (update, false)).collect(), ..Self::default() }
    }

    fn watch(&mut self, asked_about: impl Iterator<Item = UpdateId>) {
        if !self.watched.is_empty() {
            for update in asked_about {
                if let Some(met) = self.watched.get_mut(&update) {
                    *met = true;
                }
            }
        }
    }
}

/// One plugin's part of a scan.
pub(crate) struct PluginScan<'a, 'c> {
    name: &'a str,
    tag: PluginTag,
    chunks: &'a mut Chunks<'c>,
    tally: &'a mut Tally,
    asked: u32,
    failed: u32,
    first_failure: Option<String>,
    conduct: Conduct,
    /// With several scopes an update can be in several catalogs, and is to be counted once.
    seen: Option<Vec<UpdateId>>,
}

impl<'a, 'c> PluginScan<'a, 'c> {
    /// The part of the plugin with this name.
    pub(crate) fn new(name: &'a str, chunks: &'a mut Chunks<'c>, tally: &'a mut Tally) -> Self {
        let tag = PluginTag::of(name);
        let (asked, failed, first_failure, seen) = (0, 0, None, None);
        Self { name, tag, chunks, tally, asked, failed, first_failure, conduct: Conduct::Unproven, seen }
    }

    /// Asks the plugin about every catalog that concerns this client.
    pub(crate) fn run<'b>(
        mut self,
        guest: &mut impl Guest,
        catalogs: impl Iterator<Item = &'b AssignedCatalog>,
    ) -> Faring {
        let scopes = match guest.scopes() {
            Ok(scopes) => scopes,
            Err(trouble) => {
                self.blame(&trouble);
                self.lose(&trouble.reason);
                return self.finish();
            }
        };
        self.conduct = Conduct::Sound;
        self.seen = (scopes.len() > 1).then(Vec::new);
        let mut concerned = catalogs.filter(|catalog| scopes.iter().any(|scope| *scope == *catalog.scope)).peekable();
        if concerned.peek().is_none() {
            self.first_failure = Some(format!("the site has no catalog for {}", scopes.join(", ")));
        }
        for catalog in concerned {
            self.catalog(guest, catalog);
        }
        self.finish()
    }

    /// The plugin cannot even be asked which updates concern this client; perhaps because content is missing.
    pub(crate) fn fail(mut self, error: &anyhow::Error) -> Faring {
        self.tally.incomplete |= error.is::<Unavailable>();
        self.conduct = conduct(error);
        self.lose(&format!("{error:#}"));
        self.finish()
    }

    /// The plugin is not used.
    pub(crate) fn leave_out(mut self, reason: &str) -> Faring {
        self.lose(reason);
        self.finish()
    }

    fn catalog(&mut self, guest: &mut impl Guest, catalog: &AssignedCatalog) {
        let chunks = match self.chunks.catalog(&catalog.digest) {
            Ok(catalog) => catalog.chunks,
            Err(error) => return self.lose_part(catalog, &error),
        };
        for entry in &chunks {
            let chunk = match self.chunks.chunk(entry) {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.lose_part(catalog, &error);
                    continue;
                }
            };
            self.asked += 1;
            match self.seen.as_mut() {
                Some(seen) => seen.extend(chunk.updates()),
                None => self.tally.evaluated += chunk.updates().len() as u32,
            }
            let failure = ask(guest, &chunk, self.name, self.tag, self.tally);
            if let Some(trouble) = failure {
                self.failed += 1;
                self.blame(&trouble);
                self.first_failure.get_or_insert(trouble.reason);
            }
        }
    }

    /// One failure of its own is enough for the whole scan; the first has the reason.
    fn blame(&mut self, trouble: &Trouble) {
        if trouble.is_own_fault && !matches!(self.conduct, Conduct::AtFault(_)) {
            self.conduct = Conduct::AtFault(bounded(&trouble.reason));
        } else if self.conduct == Conduct::Unproven {
            self.conduct = Conduct::Sound;
        }
    }

    fn lose_part(&mut self, catalog: &AssignedCatalog, error: &ChunkError) {
        self.tally.incomplete |= matches!(error, ChunkError::Unavailable(_));
        self.lose(&format!("{}: {error}", catalog.target));
    }

    /// The rest of the plugin's updates cannot be named.
    fn lose(&mut self, reason: &str) {
        self.tally.verdicts.fail_blindly(self.tag, &why(self.name, reason));
        self.first_failure.get_or_insert_with(|| reason.to_owned());
    }

    fn finish(self) -> Faring {
        if let Some(mut seen) = self.seen {
            seen.sort_unstable();
            seen.dedup();
            self.tally.evaluated += seen.len() as u32;
        }
        let error = match self.first_failure {
            Some(reason) if self.failed > 1 => format!("{} of {} chunks: {reason}", self.failed, self.asked),
            Some(reason) => reason,
            None => String::new(),
        };
        Faring { error, conduct: self.conduct }
    }
}

/// Asks about one chunk. Returns why the plugin failed, if it did; then every update of the chunk is `Unknown`.
fn ask(guest: &mut impl Guest, chunk: &Chunk<'_>, name: &str, tag: PluginTag, tally: &mut Tally) -> Option<Trouble> {
    let count = chunk.updates().len();
    let states = match guest.evaluate(chunk.rules, count) {
        Ok(states) => states,
        Err(trouble) => {
            tally.verdicts.fail(tag, chunk.updates(), &why(name, &trouble.reason));
            collect_names(tally, chunk, |_| true);
            return Some(trouble);
        }
    };
    let mut failure = None;
    for ((update, rule), state) in chunk.updates().zip(chunk.rules()).zip(&states) {
        let findings = match state {
            ComplianceState::NotRequired => continue,
            ComplianceState::Installed => Rc::default(),
            ComplianceState::Required | ComplianceState::Unknown => match guest.explain(rule) {
                Ok(findings) => findings.into(),
                Err(trouble) => {
                    let findings = why(name, &trouble.reason);
                    worst(&mut failure, trouble);
                    findings
                }
            },
        };
        tally.verdicts.add(update, Verdict { state: *state, plugin: tag, findings });
    }
    tally.watch(chunk.updates());
    collect_names(tally, chunk, |index| states[index] != ComplianceState::NotRequired);
    failure
}

/// Of several failures the first of its own counts, else the first.
fn worst(known: &mut Option<Trouble>, trouble: Trouble) {
    match known {
        Some(known) if known.is_own_fault || !trouble.is_own_fault => {}
        _ => *known = Some(trouble),
    }
}

fn collect_names(tally: &mut Tally, chunk: &Chunk<'_>, wanted: impl Fn(usize) -> bool) {
    if let Some(names) = &mut tally.names {
        // Not `lines()`, which looks at the end of each of 66,000 names twice.
        let all = chunk.updates().zip(chunk.names.split('\n')).enumerate();
        names.extend(all.filter(|(index, _)| wanted(*index)).map(|(_, (update, name))| (update, name.into())));
    }
}

/// The finding of updates that a plugin failed on.
fn why(plugin: &str, reason: &str) -> Rc<[Finding]> {
    Rc::new([Finding { subject: plugin.into(), state: ComplianceState::Unknown, detail: reason.into() }])
}
