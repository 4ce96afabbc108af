//! Authored updates: a catalog for each plugin and scope that policies name, beside those of the suites.

use super::chunks::ChunkWriter;
use super::{Target, Wish, catalog};
use crate::authored::CATALOGS;
use crate::database::{AuthoredRule, Database};
use crate::repository::RepositoryFolder;
use anyhow::Context as _;
use farrier_protocol::assignment::{AssignedCatalog, MAX_CATALOGS, MAX_PLUGINS};
use std::collections::{BTreeMap, BTreeSet};

/// Publishes the catalogs of the policies in force, as many as an assignment holds: more are not imported, but suites
/// may have been configured since.
pub(super) async fn publish(database: &Database, repository: &RepositoryFolder, wish: &mut Wish) -> anyhow::Result<()> {
    let rules = database.authored_rules().await.context("reading the authored updates")?;
    let repository = repository.clone();
    let catalogs = tokio::task::spawn_blocking(move || catalogs(&repository, &rules));
    for (target, assigned) in catalogs.await.context("building a catalog panicked")?? {
        if !fits(&assigned, &wish.content.catalogs) {
            tracing::error!(
                catalog = target.name,
                "A catalog is left out, and its updates are not assessed: the suites and the policies have more than \
                 {MAX_CATALOGS} catalogs or {MAX_PLUGINS} plugins; configure fewer suites, or remove policies"
            );
            continue;
        }
        wish.targets.push(target);
        wish.content.catalogs.push(assigned);
    }
    Ok(())
}

/// Whether an assignment of these catalogs holds this one and its plugin, too.
fn fits(catalog: &AssignedCatalog, others: &[AssignedCatalog]) -> bool {
    let plugins: BTreeSet<&str> = others.iter().chain([catalog]).map(|catalog| catalog.plugin.as_str()).collect();
    others.len() < MAX_CATALOGS && plugins.len() <= MAX_PLUGINS
}

/// Stores the catalogs of these rules, which are sorted by name: one for each plugin and scope, as targets and as what
/// clients are assigned.
fn catalogs(repository: &RepositoryFolder, rules: &[AuthoredRule]) -> anyhow::Result<Vec<(Target, AssignedCatalog)>> {
    let mut of_scopes: BTreeMap<(&str, &str), Vec<&AuthoredRule>> = BTreeMap::new();
    for rule in rules {
        for scope in &rule.scopes {
            of_scopes.entry((&rule.plugin, scope)).or_default().push(rule);
        }
    }
    let catalog = |((plugin, scope), rules): ((&str, &str), Vec<&AuthoredRule>)| {
        let target = format!("{CATALOGS}{plugin}/{scope}");
        let stored = || {
            let mut chunks = ChunkWriter::new(repository);
            for rule in rules {
                chunks.push(rule.id, &rule.name, &rule.rule)?;
            }
            catalog::store(repository, chunks)
        };
        let stored = stored().with_context(|| format!("the catalog {target} cannot be stored"))?;
        stored.assigned(target, plugin, scope)
    };
    of_scopes.into_iter().map(catalog).collect()
}
