//! Downloads of content: some at a time, each verified before it is kept.

use super::ContentStore;
use crate::config::SuiteConfig;
use crate::database::{ContentSourceRow, Database, now};
use crate::upstream::{Expected, Source};
use anyhow::{Context as _, bail};
use farrier_protocol::{Digest, UnixTime};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Downloads at the same time.
const DOWNLOADS_AT_ONCE: usize = 4;

/// The downloads under way. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Downloads {
    database: Database,
    store: ContentStore,
    /// The mirrors of the configured suites, with their passwords.
    mirrors: Arc<HashMap<String, String>>,
    tasks: JoinSet<Digest>,
    under_way: HashSet<Digest>,
}

impl Downloads {
    pub(super) fn new(database: Database, store: ContentStore, suites: &[SuiteConfig]) -> Self {
        let mirrors = suites.iter().map(|suite| (suite.name.clone(), suite.mirror.clone())).collect();
        Self { database, store, mirrors: Arc::new(mirrors), tasks: JoinSet::new(), under_way: HashSet::new() }
    }

    /// Starts as many downloads as may run at once.
    pub(super) async fn start(&mut self, now: UnixTime) -> anyhow::Result<()> {
        if self.under_way.len() >= DOWNLOADS_AT_ONCE {
            return Ok(());
        }
        let most = i64::try_from(2 * DOWNLOADS_AT_ONCE)?;
        let wanted = self.database.contents_to_download(now, most).await.context("reading what is wanted")?;
        for content in wanted {
            if self.under_way.len() < DOWNLOADS_AT_ONCE && self.under_way.insert(content.digest) {
                let (database, store, mirrors) = (self.database.clone(), self.store.clone(), self.mirrors.clone());
                self.tasks.spawn(async move { download(&database, &store, &mirrors, content).await });
            }
        }
        Ok(())
    }

    pub(super) fn are_any(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits until a download ends; for ever where there is none.
    pub(super) async fn one_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(digest)) => _ = self.under_way.remove(&digest),
            // A task that panicked does not say which it was: what is still under way is found again.
            Some(Err(_)) if self.tasks.is_empty() => self.under_way.clear(),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// Downloads one content and notes how that went.
async fn download(
    database: &Database,
    store: &ContentStore,
    mirrors: &HashMap<String, String>,
    content: ContentSourceRow,
) -> Digest {
    let digest = content.digest;
    let noted = match fetch(store, mirrors, &content).await {
        Ok(()) => {
            tracing::info!(content.digest = %digest, content.file, "Content is mirrored");
            database.mark_content_stored(&digest, now()).await
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(content.digest = %digest, content.file, error, "Content cannot be mirrored");
            database.mark_content_failed(&digest, &error, now()).await
        }
    };
    if let Err(error) = noted {
        // It is still wanted, and so it is downloaded again.
        tracing::error!(content.digest = %digest, %error, "What became of a content cannot be noted");
    }
    digest
}

async fn fetch(
    store: &ContentStore,
    mirrors: &HashMap<String, String>,
    content: &ContentSourceRow,
) -> anyhow::Result<()> {
    if content.suite == crate::authored::SUITE {
        bail!("a policy brought it, and no upstream has it: `farrier policy import` brings it again");
    }
    let source = Source::open(mirrors.get(&content.suite).unwrap_or(&content.mirror))?;
    let expected = Expected { size: content.size, sha256: content.digest };
    let file = source.download(&content.file, expected, |_| {}).await?;
    Ok(store.put(&content.digest, file).await?)
}
