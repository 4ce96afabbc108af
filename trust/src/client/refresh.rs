//! Bringing the top roles up to date.

use super::{Answer, Client, ROOT, Request, SNAPSHOT, TARGETS, TIMESTAMP, bounded, expired, file_name};
use crate::TrustError;
use crate::limits::{MAX_ROOT_BYTES, MAX_ROOT_ROTATIONS, MAX_SNAPSHOT_BYTES, MAX_TIMESTAMP_BYTES};
use farrier_protocol::UnixTime;

/// An update of the top roles that is under way: fetch what [`next`](Self::next) says and give it to
/// [`receive`](Self::receive), until nothing is next. What was received well before something failed stays.
#[derive(Debug)]
pub struct Refresh<'a> {
    client: &'a mut Client,
    /// The same all the way, so that nothing expires under way (section 5.1).
    now: UnixTime,
    stage: Stage,
    failed: Option<TrustError>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The next root is wanted, after this many new ones.
    Root(u32),
    /// The timestamp is wanted.
    Timestamp,
    /// The snapshot that the timestamp names is wanted, unless it is held.
    Snapshot,
    /// The targets that the snapshot lists are wanted, unless they are held.
    Targets,
    /// All is up to date.
    Done,
}

impl<'a> Refresh<'a> {
    pub(super) fn new(client: &'a mut Client, now: UnixTime) -> Self {
        Self { client, now, stage: Stage::Root(0), failed: None }
    }

    /// The file that is needed next; none when all is up to date.
    ///
    /// # Errors
    /// When the update failed, or cannot go on.
    #[expect(clippy::should_implement_trait, reason = "an iterator is not given answers")]
    pub fn next(&mut self) -> Result<Option<Request>, TrustError> {
        self.remember(Self::advance)
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    /// When it must not be taken; the update has failed then.
    pub fn receive(&mut self, answer: Answer<'_>) -> Result<(), TrustError> {
        self.remember(|update| update.take(answer))
    }

    /// The client as far as it is up to date.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    fn remember<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, TrustError>) -> Result<T, TrustError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        step(self).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn advance(&mut self) -> Result<Option<Request>, TrustError> {
        if matches!(self.stage, Stage::Root(MAX_ROOT_ROTATIONS..)) {
            self.settle_root()?;
        }
        if matches!(self.stage, Stage::Snapshot)
            && (self.holds_snapshot() || self.client.accept_snapshot_at_hand(self.now))
        {
            self.stage = Stage::Targets;
        }
        if matches!(self.stage, Stage::Targets)
            && (self.holds_targets() || self.client.accept_targets_at_hand(TARGETS, ROOT, self.now))
        {
            self.stage = Stage::Done;
        }
        Ok(match self.stage {
            Stage::Root(_) => {
                let next = self.client.root_version().saturating_add(1);
                Some(Request { file: file_name(ROOT, Some(next)), max_bytes: MAX_ROOT_BYTES })
            }
            Stage::Timestamp => Some(Request { file: file_name(TIMESTAMP, None), max_bytes: MAX_TIMESTAMP_BYTES }),
            Stage::Snapshot => Some(self.snapshot_request()?),
            Stage::Targets => Some(self.client.targets_request(TARGETS)?),
            Stage::Done => None,
        })
    }

    fn take(&mut self, answer: Answer<'_>) -> Result<(), TrustError> {
        let missing = |role: &str| Err(TrustError::MissingMetadata { role: role.into() });
        match (self.stage, answer) {
            (Stage::Root(taken), Answer::Found(bytes)) => {
                self.client.accept_root(bytes)?;
                self.stage = Stage::Root(taken.saturating_add(1));
            }
            (Stage::Root(_), Answer::Missing) => self.settle_root()?,
            (Stage::Timestamp, Answer::Found(bytes)) => {
                self.client.accept_timestamp(bytes, Some(self.now))?;
                self.stage = Stage::Snapshot;
            }
            (Stage::Snapshot, Answer::Found(bytes)) => {
                self.client.accept_snapshot(bytes, self.now)?;
                self.stage = Stage::Targets;
            }
            (Stage::Targets, Answer::Found(bytes)) => {
                self.client.accept_targets(TARGETS, ROOT, bytes, Some(self.now))?;
                self.stage = Stage::Done;
            }
            (Stage::Timestamp, Answer::Missing) => return missing(TIMESTAMP),
            (Stage::Snapshot, Answer::Missing) => return missing(SNAPSHOT),
            (Stage::Targets, Answer::Missing) => return missing(TARGETS),
            (Stage::Done, _) => return Err(TrustError::OutOfOrder),
        }
        Ok(())
    }

    fn settle_root(&mut self) -> Result<(), TrustError> {
        self.client.settle_root(self.now)?;
        self.stage = Stage::Timestamp;
        Ok(())
    }

    fn holds_snapshot(&self) -> bool {
        self.client.current_snapshot().is_some_and(|snapshot| !expired(&snapshot.content, Some(self.now)))
    }

    fn holds_targets(&self) -> bool {
        self.client.held(TARGETS, ROOT, Some(self.now)).is_some()
    }

    fn snapshot_request(&self) -> Result<Request, TrustError> {
        let named = &self.client.held_timestamp()?.snapshot;
        let max_bytes = bounded(SNAPSHOT, named.length, MAX_SNAPSHOT_BYTES)?;
        Ok(Request { file: self.client.versioned(SNAPSHOT, named.version), max_bytes })
    }
}

impl Client {
    /// The file of a targets role as the snapshot lists it.
    pub(super) fn targets_request(&self, role: &str) -> Result<Request, TrustError> {
        let file = self.versioned(role, self.listed(role)?.version);
        Ok(Request { file, max_bytes: self.max_targets_bytes(role)? })
    }

    /// The name of a file that has its version in front where the repository has consistent snapshots.
    fn versioned(&self, role: &str, version: u64) -> alloc::string::String {
        file_name(role, self.root.content.consistent_snapshot.then_some(version))
    }
}
