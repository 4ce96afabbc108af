//! What this client is to do: the assignment it took, below the index that holds everything in it.

use crate::site::Document;
use anyhow::{Context as _, anyhow};
use farrier_agent_core::assignment;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::{ClientId, UnixTime};
use farrier_spool::{Blob, Spool};
use farrier_trust::Repository;

/// A trusted index and an assignment of its targets.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The assignment.
    pub(crate) assignment: Box<Assignment>,
    /// The repository with its trusted index.
    pub(crate) repository: Repository,
    /// The index's version.
    pub(crate) index_version: u64,
    /// When the index expires.
    pub(crate) index_expires: UnixTime,
}

impl Policy {
    /// The policy in these documents: of this client, not older than `floor`, everything in it signed. A new one is
    /// taken at a time, `accept_at`, and only if the index has not expired by then; one that was taken before needs no
    /// time.
    pub(crate) fn verify(
        documents: &StoredPolicy,
        mut repository: Repository,
        client: ClientId,
        floor: u64,
        accept_at: Option<UnixTime>,
    ) -> anyhow::Result<Self> {
        let index = match accept_at {
            Some(now) => repository.accept(&documents.index.bytes, now)?,
            None => repository.restore(&documents.index.bytes)?,
        };
        let (index_version, index_expires) = (index.version, index.expires);
        let assignment: Box<Assignment> = farrier_protocol::decode(&documents.assignment.bytes)
            .map_err(|error| anyhow!("the assignment is not of this protocol version ({error})"))?;
        assignment::check(&assignment, client, floor, |name, digest| repository.target(name, digest).is_some())?;
        Ok(Self { assignment, repository, index_version, index_expires })
    }
}

/// What the spool keeps of the policy: both documents as the site sent them.
#[derive(Debug, Clone)]
pub(crate) struct StoredPolicy {
    /// The encoded assignment.
    pub(crate) assignment: Document,
    /// The signed index.
    pub(crate) index: Document,
}

impl StoredPolicy {
    /// The documents in the spool, if a policy was ever taken.
    pub(crate) fn load(spool: &Spool) -> anyhow::Result<Option<Self>> {
        let (Some(assignment), Some(index)) = (spool.blob(Blob::Assignment)?, spool.blob(Blob::Index)?) else {
            return Ok(None);
        };
        let decode = |bytes: &[u8]| farrier_protocol::decode(bytes).context("the spool's policy is damaged");
        Ok(Some(Self { assignment: decode(&assignment)?, index: decode(&index)? }))
    }

    /// Keeps the documents, both or none.
    pub(crate) fn store(&self, spool: &Spool) -> anyhow::Result<()> {
        let (assignment, index) = (farrier_protocol::encode(&self.assignment)?, farrier_protocol::encode(&self.index)?);
        Ok(spool.store(&[(Blob::Assignment, &assignment), (Blob::Index, &index)])?)
    }

    /// Something of what is stored is missing on disk or damaged: the next poll gets everything again.
    pub(crate) fn refetch(spool: &Spool) -> anyhow::Result<()> {
        Self::load(spool)?.map_or(Ok(()), |stored| stored.store_for_refetch(spool))
    }

    /// Keeps the documents without their validators, so that the next poll gets them, and everything in them, again.
    fn store_for_refetch(mut self, spool: &Spool) -> anyhow::Result<()> {
        self.assignment.tag.clear();
        self.index.tag.clear();
        self.store(spool)
    }
}
