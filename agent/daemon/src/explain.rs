//! Why an update has its state: the component is asked again, about one update or about all of one source.

use crate::health;
use crate::scan::{ChunkError, Chunks, Guest, Scanner};
use crate::session::Session;
use anyhow::{Context as _, bail};
use farrier_agent_core::Finding;
use farrier_protocol::assignment::AssignedPlugin;
use farrier_protocol::catalog::Chunk;
use farrier_protocol::{ComplianceState, UpdateId};
use std::collections::{BTreeMap, BTreeSet};

/// Similar names that are offered, at most.
const MAX_SUGGESTIONS: usize = 5;
/// Letters a suggestion may differ in.
const MAX_DISTANCE: usize = 2;

/// One update with its reasons.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// The update's name.
    pub(crate) name: String,
    /// Its state.
    pub(crate) state: ComplianceState,
    /// What the plugin says of it.
    pub(crate) findings: Vec<Finding>,
}

/// What a person asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query<'a> {
    /// One update, by its name or id.
    Update(UpdateId),
    /// All updates of a source.
    Source(&'a str),
}

impl<'a> Query<'a> {
    /// Reads what was typed.
    pub(crate) fn parse(text: &'a str) -> Self {
        match text.parse() {
            Ok(id) => Self::Update(id),
            Err(_) if text.contains('/') => Self::Update(UpdateId::of_name(text)),
            Err(_) => Self::Source(text),
        }
    }

    /// Whether this update, of this name, was meant.
    pub(crate) fn matches(self, update: UpdateId, name: &str) -> bool {
        match self {
            Self::Update(wanted) => wanted == update,
            Self::Source(wanted) => source(name) == Some(wanted),
        }
    }
}

/// The updates that `text` names: by full name, by source or by id.
pub(crate) fn explain(session: &mut Session<'_>, text: &str) -> anyhow::Result<Vec<Explanation>> {
    let policy = session.policy().context("there is no assignment yet: run `farrier-agent scan` first")?;
    let scanner = Scanner::open(session.agent, &session.identity, &session.content, &policy)?;
    let health = health::load(&session.spool, &policy.assignment)?;
    let mut chunks = Chunks::new(&session.content)?;
    let query = Query::parse(text.trim());
    let mut explanations = BTreeMap::new();
    let mut sources = BTreeSet::new();
    for plugin in &policy.assignment.assessment.plugins {
        let failed = || format!("the plugin {} cannot be asked", plugin.name);
        let mut guest = scanner.guest_in_use(&policy, &health, plugin).with_context(failed)?;
        let scopes = guest.scopes().with_context(failed)?;
        for catalog in &policy.assignment.assessment.catalogs {
            if catalog.plugin == plugin.name && scopes.iter().any(|scope| *scope == *catalog.scope) {
                let explain = |chunk: &Chunk<'_>| {
                    explain_matches(&mut guest, plugin, chunk, query, &mut explanations, &mut sources);
                };
                each_chunk(&mut chunks, &catalog.digest, explain)
                    .with_context(|| format!("the catalog {} cannot be read", catalog.target))?;
            }
        }
    }
    if explanations.is_empty() {
        bail!("no software update that concerns this client is called {text:?}{}", suggestions(text, &sources));
    }
    Ok(explanations.into_values().collect())
}

fn each_chunk(
    chunks: &mut Chunks<'_>,
    catalog: &farrier_protocol::Digest,
    mut visit: impl FnMut(&Chunk<'_>),
) -> Result<(), ChunkError> {
    for entry in &chunks.catalog(catalog)?.chunks {
        visit(&chunks.chunk(entry)?);
    }
    Ok(())
}

fn explain_matches(
    guest: &mut impl Guest,
    plugin: &AssignedPlugin,
    chunk: &Chunk<'_>,
    query: Query<'_>,
    explanations: &mut BTreeMap<String, Explanation>,
    sources: &mut BTreeSet<Box<str>>,
) {
    for ((update, name), rule) in chunk.updates().zip(chunk.names.lines()).zip(chunk.rules()) {
        if query.matches(update, name) {
            let new = explain_rule(guest, plugin, name, rule);
            let known = explanations.entry(name.to_owned()).or_insert_with(|| Explanation {
                name: name.to_owned(),
                state: ComplianceState::NotRequired,
                findings: Vec::new(),
            });
            known.state = known.state.max(new.state);
            known.findings.extend(new.findings);
        } else if let Some(source) = source(name).filter(|source| !sources.contains(*source)) {
            sources.insert(source.into());
        }
    }
}

fn explain_rule(guest: &mut impl Guest, plugin: &AssignedPlugin, name: &str, rule: &[u8]) -> Explanation {
    let answer = guest.evaluate_and_explain(rule).and_then(|(state, findings)| Ok((state, findings?)));
    let (state, findings) = answer.unwrap_or_else(|trouble| {
        let state = ComplianceState::Unknown;
        let finding = Finding { subject: plugin.name.as_str().into(), state, detail: trouble.reason.into() };
        (state, vec![finding])
    });
    Explanation { name: name.to_owned(), state, findings }
}

/// `openssl` of `bookworm-security/openssl/3.0.17-1~deb12u2`.
fn source(name: &str) -> Option<&str> {
    name.split('/').nth(1)
}

/// Sources whose name is about what was typed.
fn suggestions(text: &str, sources: &BTreeSet<Box<str>>) -> String {
    let wanted = source(text).unwrap_or(text);
    let mut near: Vec<_> = sources
        .iter()
        .filter_map(|source| {
            let distance = distance(wanted, source);
            let contained = wanted.len() > MAX_DISTANCE && source.contains(wanted);
            (distance <= MAX_DISTANCE || contained).then_some((distance, &**source))
        })
        .collect();
    near.sort_unstable();
    near.truncate(MAX_SUGGESTIONS);
    if near.is_empty() {
        return ": write its full name, its source package or its id".to_owned();
    }
    let near: Vec<_> = near.into_iter().map(|(_, source)| source).collect();
    format!("; there is {}", near.join(", "))
}

/// How many letters have to be changed, added or removed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_found_by_name_by_source_and_by_id() {
        let name = "bookworm-security/openssl/3.0.17-1~deb12u2";
        let id = UpdateId::of_name(name);
        for text in [name, "openssl", &id.to_string()] {
            assert!(Query::parse(text).matches(id, name), "{text}");
        }
        assert!(!Query::parse("ssl").matches(id, name));
    }

    #[test]
    fn a_typing_mistake_gets_the_names_that_were_meant() {
        let sources = ["openssl", "openssh", "libreoffice", "zlib", "openssl-extras"].map(Into::into).into();
        assert_eq!(suggestions("opensl", &sources), "; there is openssl, openssh");
        assert_eq!(suggestions("bookworm/office/1", &sources), "; there is libreoffice");
        assert!(suggestions("xyzzy", &sources).contains("write its full name"));
    }

    #[test]
    fn distances_count_letters() {
        for (a, b, expected) in [("", "", 0), ("zlib", "", 4), ("zlib", "zlib1", 1), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
