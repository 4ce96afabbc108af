//! Content of updates: mirrors what is deployed from the upstreams to the site, for its distribution point.
//!
//! The role takes no input. It wants the packages that clients of a deployment are known to need, downloads what is
//! wanted (clients that ask for more want it, too), verifies it, and removes what nobody deploys any more. It never
//! looks at what a package does.

mod demand;
mod download;
mod store;
#[cfg(test)]
mod tests;

pub use demand::{Asked, ask};
pub use store::{Bytes, ContentStore, StoreError};

use crate::architecture::kernel_name;
use crate::config::SuiteConfig;
use crate::database::{Database, DeployedPackage, now};
use anyhow::Context as _;
use demand::Deployed;
use download::Downloads;
use farrier_protocol::{Digest, UnixTime};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

/// How often the database is asked for what is wanted: the management point's clients ring no bell here.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is worked out what clients need.
const WORK_OUT_SECONDS: i64 = 60;
/// How soon the clients' needs are looked at again for an update that was looked at.
const LOOK_AGAIN_SECONDS: i64 = 30 * 60;
/// How often what nobody deploys is removed.
const REMOVE_SECONDS: i64 = 60 * 60;
/// How long what nobody deploys is kept: a deployment that is made again finds it.
const KEEP_SECONDS: i64 = 24 * 60 * 60;
/// How long to wait for a database that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Mirrors content for ever. Stopping is dropping the future.
///
/// # Errors
/// Never: when the database or the store fails, the work starts over a little later.
pub async fn run(database: Database, store: ContentStore, suites: Vec<SuiteConfig>) -> anyhow::Result<()> {
    let mut mirroring = Mirroring::new(database, store, &suites);
    loop {
        let Err(error) = mirroring.serve().await;
        tracing::error!(error = format!("{error:#}"), "Mirroring content stopped and starts over");
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

/// The role, with what it works on.
#[derive(Debug)]
pub struct Mirroring {
    database: Database,
    store: ContentStore,
    downloads: Downloads,
    /// When the needs of a deployment's clients were last looked at, by deployment and update.
    looked_at: HashMap<(i64, i64), UnixTime>,
}

impl Mirroring {
    /// Mirrors into this store. The configured suites know the passwords of their mirrors.
    #[must_use]
    pub fn new(database: Database, store: ContentStore, suites: &[SuiteConfig]) -> Self {
        let downloads = Downloads::new(database.clone(), store.clone(), suites);
        Self { database, store, downloads, looked_at: HashMap::new() }
    }

    async fn serve(&mut self) -> Result<Infallible, anyhow::Error> {
        let (mut worked_out_at, mut removed_at) = (None, None);
        let is_due = |last: Option<UnixTime>, seconds: i64, now: UnixTime| {
            last.is_none_or(|last| !(last..last.saturating_add(seconds)).contains(&now))
        };
        loop {
            if is_due(worked_out_at, WORK_OUT_SECONDS, now()) {
                self.want_what_clients_need(now()).await?;
                worked_out_at = Some(now());
            }
            if is_due(removed_at, REMOVE_SECONDS, now()) {
                self.remove_what_nobody_deploys(now()).await?;
                removed_at = Some(now());
            }
            self.downloads.start(now()).await?;
            tokio::select! {
                () = self.downloads.one_ended() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Wants the packages that clients of a deployment are known to need.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn want_what_clients_need(&mut self, now: UnixTime) -> anyhow::Result<()> {
        let deployed = Deployed::of(&self.database).await?;
        self.looked_at.retain(|(deployment, _), _| deployed.mirrored.iter().any(|(known, _)| known == deployment));
        for (deployment, update_group) in deployed.mirrored {
            for update in self.database.group_updates(update_group).await.context("reading an update group")? {
                let looked_at = self.looked_at.get(&(deployment, update));
                if looked_at.is_some_and(|at| (*at..at.saturating_add(LOOK_AGAIN_SECONDS)).contains(&now)) {
                    continue;
                }
                self.want_update(deployment, update, now).await?;
                self.looked_at.insert((deployment, update), now);
            }
        }
        Ok(())
    }

    async fn want_update(&self, deployment: i64, update: i64, now: UnixTime) -> anyhow::Result<()> {
        let needed = self.database.needed_packages(deployment, update).await.context("reading what clients need")?;
        if needed.is_empty() {
            return Ok(());
        }
        let packages = self.database.update_packages(update).await.context("reading the packages of an update")?;
        let is_needed = |package: &DeployedPackage| {
            needed.iter().any(|(name, machine)| {
                *name == package.name
                    && (package.architecture == "all" || kernel_name(&package.architecture) == kernel_name(machine))
            })
        };
        let wanted: Vec<_> = packages.into_iter().filter(is_needed).collect();
        self.database.want_contents(&wanted, now).await.context("writing what is wanted")?;
        Ok(())
    }

    /// Downloads everything that is wanted now, and waits for it.
    ///
    /// # Errors
    /// When the database fails; a content that cannot be had is noted and no error.
    pub async fn download_all(&mut self, now: UnixTime) -> anyhow::Result<()> {
        self.downloads.start(now).await?;
        while self.downloads.are_any() {
            self.downloads.one_ended().await;
            self.downloads.start(now).await?;
        }
        Ok(())
    }

    /// Removes what nobody has deployed for a while.
    ///
    /// # Errors
    /// When the database or the store fails.
    pub async fn remove_what_nobody_deploys(&self, now: UnixTime) -> anyhow::Result<usize> {
        let unneeded = unneeded(&self.database, now.saturating_sub(KEEP_SECONDS)).await?;
        for digest in &unneeded {
            // In this order: what is forgotten is surely gone.
            self.store.remove(digest).await?;
            self.database.forget_content(digest).await.context("forgetting a content")?;
        }
        if !unneeded.is_empty() {
            tracing::info!(contents = unneeded.len(), "Content that nobody deploys is removed");
        }
        Ok(unneeded.len())
    }
}

/// What nobody deploys (any more), of what has not changed since `before`.
///
/// # Errors
/// When the database fails.
pub async fn unneeded(database: &Database, before: UnixTime) -> anyhow::Result<Vec<Digest>> {
    let deployed = Deployed::of(database).await?;
    let unneeded = database.unneeded_contents(&deployed.groups, &deployed.rolling_back, before);
    unneeded.await.context("reading what nobody deploys")
}
