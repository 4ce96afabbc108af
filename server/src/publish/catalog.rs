//! One suite, one architecture: a catalog of rules.

use super::Target;
use super::chunks::ChunkWriter;
use crate::database::{CatalogPackage, CatalogUpdate, Follow, Suite};
use crate::repository::RepositoryFolder;
use anyhow::{Context as _, anyhow};
use farrier_dpkg_rules::{Binary, EncodeError, RuleBuilder};
use farrier_protocol::Digest;
use farrier_protocol::assignment::AssignedCatalog;
use farrier_protocol::catalog::{Catalog, MAX_CHUNKS};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Where the catalogs are among the targets.
pub(super) const TARGETS: &str = "catalogs/";
/// The plugin that understands the rules of Debian suites.
pub(crate) const PLUGIN: &str = "dpkg";
const ALL: &str = "all";

/// Stores the catalogs of a suite and its updates, which are sorted: one per architecture, as targets and as what
/// clients are assigned. `ordinary` is what the ordinary suites of the release offer, if the suite is none of them.
pub(super) fn of_suite(
    repository: &RepositoryFolder,
    suite: &Suite,
    updates: &[CatalogUpdate],
    ordinary: &[CatalogUpdate],
) -> anyhow::Result<Vec<(Target, AssignedCatalog)>> {
    let of_architecture = |architecture: &String| {
        let ordinary = (suite.follow != Follow::Always).then(|| OrdinaryVersions::of(ordinary, architecture));
        let catalog = build(repository, architecture, updates, suite.follow, ordinary.as_ref())
            .with_context(|| format!("the catalog of {}, {architecture} cannot be stored", suite.name))?;
        name(suite, architecture, &catalog)
    };
    suite.architectures.iter().map(of_architecture).collect()
}

/// A stored catalog.
pub(super) struct StoredCatalog {
    digest: Digest,
    length: u64,
}

/// The highest version of each package that the ordinary suites of a release offer on one architecture.
struct OrdinaryVersions<'a>(HashMap<&'a str, &'a str>);

impl<'a> OrdinaryVersions<'a> {
    fn of(updates: &'a [CatalogUpdate], architecture: &str) -> Self {
        let mut highest = HashMap::<&str, &str>::new();
        for package in updates.iter().flat_map(|update| &update.packages) {
            if concerns(package, architecture) {
                let version = highest.entry(&package.name).or_insert(&package.version);
                if compare(version, &package.version) == Ordering::Less {
                    *version = &package.version;
                }
            }
        }
        Self(highest)
    }
}

/// Stores the chunks and the catalog of these updates, which are sorted.
fn build(
    repository: &RepositoryFolder,
    architecture: &str,
    updates: &[CatalogUpdate],
    follow: Follow,
    ordinary: Option<&OrdinaryVersions<'_>>,
) -> anyhow::Result<StoredCatalog> {
    let mut chunks = ChunkWriter::new(repository);
    for update in updates {
        match rules(update, architecture, follow, ordinary) {
            Ok(rules) => {
                for rule in &rules {
                    chunks.push(update.id, &update.name, rule)?;
                }
            }
            Err(error) => {
                tracing::warn!(update.name, %error, "An update has no rule: no client will be assessed for it");
            }
        }
    }
    store(repository, chunks)
}

/// Stores what is left of the chunks, and the catalog of them.
pub(super) fn store(repository: &RepositoryFolder, chunks: ChunkWriter<'_>) -> anyhow::Result<StoredCatalog> {
    let chunks = chunks.finish()?;
    if chunks.len() > MAX_CHUNKS {
        return Err(anyhow!("it has {} chunks, more than {MAX_CHUNKS}", chunks.len()));
    }
    let bytes = farrier_protocol::encode(&Catalog { chunks })?;
    Ok(StoredCatalog { digest: repository.put(&bytes)?, length: bytes.len() as u64 })
}

/// The catalog as a target, and as what clients are assigned.
fn name(suite: &Suite, architecture: &str, catalog: &StoredCatalog) -> anyhow::Result<(Target, AssignedCatalog)> {
    let target = format!("{TARGETS}{}/{architecture}", suite.name);
    catalog.assigned(target, PLUGIN, &format!("{}/{}/{architecture}", suite.distribution, suite.release))
}

impl StoredCatalog {
    /// The catalog as this target, and as what clients are assigned.
    pub(super) fn assigned(
        &self,
        target: String,
        plugin: &str,
        scope: &str,
    ) -> anyhow::Result<(Target, AssignedCatalog)> {
        let assigned = AssignedCatalog {
            plugin: bounded(plugin)?,
            scope: bounded(scope)?,
            target: bounded(&target)?,
            digest: self.digest,
        };
        Ok((Target { name: target, digest: self.digest, length: self.length }, assigned))
    }
}

fn bounded<const N: usize>(text: &str) -> anyhow::Result<heapless::String<N>> {
    heapless::String::try_from(text)
        .map_err(|_| anyhow!("{text:?} is longer than {N} bytes"))
        .context("a name is too long")
}

/// The rules of an update: none where it has no package for the architecture, more than one where its packages do not
/// fit into one. A client takes the greatest state of them.
fn rules(
    update: &CatalogUpdate,
    architecture: &str,
    follow: Follow,
    ordinary: Option<&OrdinaryVersions<'_>>,
) -> Result<Vec<Vec<u8>>, EncodeError> {
    let packages = update.packages.iter().filter(|package| concerns(package, architecture));
    let binaries: Vec<_> = packages
        .map(|package| Binary {
            name: package.name.as_bytes(),
            version: package.version.as_bytes(),
            all: package.architecture == ALL,
            above: above(package, follow, ordinary).map(str::as_bytes),
        })
        .collect();
    let mut rules = Vec::new();
    let mut rest = &binaries[..];
    while !rest.is_empty() {
        let mut rule = RuleBuilder::new(&update.version, architecture)?;
        let mut taken = 0;
        for binary in rest {
            match rule.push(binary) {
                Err(EncodeError::RuleTooLarge(_)) if taken > 0 => break,
                pushed => pushed?,
            }
            taken += 1;
        }
        rules.push(rule.finish());
        rest = &rest[taken..];
    }
    Ok(rules)
}

/// How apt treats a suite that is not followed by itself: its packages concern only whoever has something newer than
/// the ordinary suites offer, or, where even that is not wanted, nobody who has something older.
fn above<'a>(package: &'a CatalogPackage, follow: Follow, ordinary: Option<&OrdinaryVersions<'a>>) -> Option<&'a str> {
    match follow {
        Follow::Always => None,
        Follow::WhereInstalled => ordinary.map(|ordinary| ordinary.0.get(&*package.name).copied().unwrap_or("")),
        Follow::Never => Some(&package.version),
    }
}

fn concerns(package: &CatalogPackage, architecture: &str) -> bool {
    package.architecture == architecture || package.architecture == ALL
}

fn compare(a: &str, b: &str) -> Ordering {
    farrier_dpkg_rules::compare(a.as_bytes(), b.as_bytes())
}
