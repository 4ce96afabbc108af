//! Artefacts of plugins for clients that cannot compile: `native/{engine}/{component}`.
//!
//! They are compiled before the plugins are published, and published with them where the keys of both are on the site: such
//! a client then never gets a plugin that it cannot run.

use super::{Publisher, Target, Wish};
use crate::database::{Database, NativeArtefact, StoredArtefact};
use crate::repository::RepositoryFolder;
use anyhow::Context as _;
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::{EngineId, Limits, artefact_target};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When to try again what could not be compiled: a newer site may be able to.
const RETRY_SECONDS: i64 = 24 * 60 * 60;

/// What is wanted: each component that is in use, for each engine.
type Wanted = BTreeSet<(String, Digest)>;

/// Names the artefacts of the plugins for the engines of clients, and compiles those that are not compiled yet. What cannot
/// be compiled is left out.
pub(super) async fn publish(publisher: &Publisher, wish: &mut Wish, now: UnixTime) -> anyhow::Result<()> {
    let Publisher { database, repository, .. } = publisher;
    let wanted = wanted(database, &wish.components()).await?;
    let known = compiled(database, &wanted).await?;
    for key in wanted {
        let known = known.get(&key);
        let outcome = match (known, key.0.parse()) {
            (Some(known), Ok(_)) if is_settled(repository, known, now).await => known.outcome.clone(),
            (_, Ok(engine)) => {
                let artefact = compile_one(publisher, (engine, key.1), now).await?;
                database.record_native_artefact(&artefact).await.context("noting what was compiled")?;
                artefact.outcome
            }
            // Agents of another version keep what was compiled for them while the site was of theirs.
            (Some(known), Err(_)) if is_settled(repository, known, now).await => known.outcome.clone(),
            (_, Err(_)) => continue,
        };
        if let Ok(StoredArtefact { digest, length }) = outcome {
            wish.targets.push(Target { name: artefact_target(&key.0, &key.1), digest, length });
        }
    }
    Ok(())
}

/// Whether there is nothing to compile again.
async fn is_settled(repository: &RepositoryFolder, known: &NativeArtefact, now: UnixTime) -> bool {
    match &known.outcome {
        Ok(artefact) => is_stored(repository, artefact).await,
        Err(_) => now < known.compiled_at + RETRY_SECONDS,
    }
}

/// Resolves when a client needs artefacts for an engine that none needed when this was called.
pub(super) async fn new_engine(database: &Database, look_every: Duration) -> impl Future<Output = ()> {
    let known = engines(database).await.unwrap_or_default();
    async move {
        loop {
            tokio::time::sleep(look_every).await;
            if engines(database).await.is_ok_and(|engines| !engines.is_subset(&known)) {
                return;
            }
        }
    }
}

/// The engines of clients that this site compiles for. What a client made up is none.
async fn engines(database: &Database) -> Result<BTreeSet<EngineId>, sqlx::Error> {
    Ok(database.engines_in_use().await?.iter().filter_map(|engine| engine.parse().ok()).collect())
}

async fn wanted(database: &Database, components: &[Digest]) -> anyhow::Result<Wanted> {
    let engines = database.engines_in_use().await.context("reading the engines of clients")?;
    let wanted = engines.iter().flat_map(|engine| components.iter().map(|component| (engine.clone(), *component)));
    Ok(wanted.collect())
}

/// What became of compiling these. Of everything else it is forgotten.
async fn compiled(database: &Database, wanted: &Wanted) -> anyhow::Result<BTreeMap<(String, Digest), NativeArtefact>> {
    let mut compiled = BTreeMap::new();
    for artefact in database.native_artefacts().await.context("reading what was compiled")? {
        let key = (artefact.engine.clone(), artefact.component);
        match wanted.contains(&key) {
            true => drop(compiled.insert(key, artefact)),
            false => database.forget_native_artefact(&artefact.engine, &artefact.component).await?,
        }
    }
    Ok(compiled)
}

async fn is_stored(repository: &RepositoryFolder, artefact: &StoredArtefact) -> bool {
    let stored = tokio::fs::read(repository.path(&artefact.digest)).await;
    stored.is_ok_and(|bytes| Digest::of(&bytes) == artefact.digest)
}

/// Not on a thread that answers clients: it takes a second or so.
async fn compile_one(
    publisher: &Publisher,
    (engine, component): (EngineId, Digest),
    now: UnixTime,
) -> anyhow::Result<NativeArtefact> {
    let (repository, compiler) = (publisher.repository.clone(), publisher.compiler.clone());
    let outcome = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(repository.path(&component)).context("the component cannot be read")?;
        match compiler.precompile(engine, &bytes, &Limits::default()) {
            Ok(artefact) => {
                let digest = repository.put(&artefact).context("the artefact cannot be stored")?;
                anyhow::Ok(Ok(StoredArtefact { digest, length: artefact.len() as u64 }))
            }
            Err(error) => Ok(Err(format!("{:#}", anyhow::Error::new(error)))),
        }
    });
    let outcome = outcome.await.context("compiling panicked")??;
    match &outcome {
        Ok(artefact) => {
            tracing::info!(%engine, %component, artefact.length, "A plugin was compiled for clients without a compiler");
        }
        Err(error) => tracing::error!(
            %engine, %component, error,
            "A plugin cannot be compiled: clients with this engine and without a compiler do not get it"
        ),
    }
    Ok(NativeArtefact { engine: engine.to_string(), component, outcome, compiled_at: now })
}
