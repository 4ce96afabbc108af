//! What this client is to do: the assignment it took, below the index that holds everything in it.

use crate::site::Document;
use anyhow::{Context as _, anyhow};
use farrier_agent_core::assignment;
use farrier_agent_core::versions::Version;
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
        let bytes = &documents.assignment.bytes;
        let assignment = match accept_at {
            Some(_) => decode(bytes),
            None => decode(bytes).or_else(|error| decode_of_version_2(bytes).ok_or(error)),
        };
        let assignment =
            assignment.map_err(|error| anyhow!("the assignment is not of this protocol version ({error})"))?;
        assignment::check(&assignment, client, floor, |name, digest| repository.target(name, digest).is_some())?;
        Ok(Self { assignment, repository, index_version, index_expires })
    }

    /// How many bytes a component has, if they are more than `most`.
    pub(crate) fn too_large(&self, component: &impl Version, most: usize) -> Option<u64> {
        let target = self.repository.target(component.target(), &component.digest())?;
        (target.length > most as u64).then_some(target.length)
    }
}

/// The assignment in these bytes.
fn decode(bytes: &[u8]) -> Result<Box<Assignment>, postcard::Error> {
    farrier_protocol::decode(bytes)
}

/// The assignment that an agent stored which knew of no other versions of plugins: there are none then. It is followed
/// until the site sends another.
fn decode_of_version_2(bytes: &[u8]) -> Option<Box<Assignment>> {
    // What is missing are three lists, and an empty list is a zero.
    decode(&[bytes, &[0; 3]].concat()).ok()
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
        let document = |bytes: &[u8]| farrier_protocol::decode(bytes).context("the spool's policy is damaged");
        let mut stored = Self { assignment: document(&assignment)?, index: document(&index)? };
        if decode(&stored.assignment.bytes).is_err() {
            // Of another version of the agent: the next poll is to bring it in this one's form.
            stored.assignment.tag.clear();
        }
        Ok(Some(stored))
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
