//! The data folder, open and locked: everything one poll or one scan works on.

use crate::agent::Agent;
use crate::clock::{BUILT_AT, now, random};
use crate::content::Content;
use crate::identity::Identity;
use crate::lock::Lock;
use crate::policy::{Policy, StoredPolicy};
use crate::site::Site;
use anyhow::Context as _;
use farrier_agent_core::clock::{last_accepted, trusted_now};
use farrier_protocol::UnixTime;
use farrier_spool::{Floors, Spool, SpoolError};
use farrier_trust::Repository;
use std::path::Path;

/// The open data folder.
pub(crate) struct Session<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) identity: Identity,
    pub(crate) spool: Spool,
    pub(crate) content: Content,
    floors: Floors,
    _lock: Lock,
}

impl<'a> Session<'a> {
    /// Opens the folder of an enrolled client.
    pub(crate) fn open(agent: &'a Agent, lock: Lock) -> anyhow::Result<Self> {
        let identity = agent.identity()?;
        let floors = agent.floors(&identity)?;
        let spool = open_spool(&agent.layout.spool(), &identity)?;
        let content = Content::open(&agent.layout.content())?;
        // Whoever left it was killed: the lock is ours.
        let _ = std::fs::remove_file(agent.layout.at_work());
        Ok(Self { agent, identity, spool, content, floors, _lock: lock })
    }

    /// The site, over TLS; nothing is sent yet.
    pub(crate) fn site(&self) -> anyhow::Result<Site> {
        self.agent.site(&self.identity, &self.floors)
    }

    /// The time to judge expiry by.
    fn trusted_now(&self) -> UnixTime {
        trusted_now(now(), BUILT_AT, self.floors.accepted_time)
    }

    /// The policy in documents that just arrived, if it may be followed.
    pub(crate) fn verify(&self, documents: &StoredPolicy) -> anyhow::Result<Policy> {
        self.verify_at(documents, Some(self.trusted_now()))
    }

    /// The policy that was taken last, verified again. What does not verify is as if it were not there: the next poll
    /// fetches it.
    pub(crate) fn policy(&mut self) -> anyhow::Result<Option<Policy>> {
        let Some(stored) = StoredPolicy::load(&self.spool)? else { return Ok(None) };
        match self.verify_at(&stored, None) {
            Ok(policy) => {
                // The power may have failed between the policy and its floors.
                self.raise_floors(&policy)?;
                Ok(Some(policy))
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "The stored policy is not used");
                Ok(None)
            }
        }
    }

    /// Follows this policy from now on. Everything in it is on disk.
    pub(crate) fn adopt(&mut self, documents: &StoredPolicy, policy: &Policy) -> anyhow::Result<()> {
        // In this order: floors above what is stored would leave an offline client with nothing to scan by.
        documents.store(&self.spool)?;
        self.raise_floors(policy)
    }

    fn verify_at(&self, documents: &StoredPolicy, accept_at: Option<UnixTime>) -> anyhow::Result<Policy> {
        let Floors { index_version, assignment_version, .. } = self.floors;
        let repository = Repository::new(self.identity.repository, index_version);
        Policy::verify(documents, repository, self.identity.client, assignment_version, accept_at)
    }

    fn raise_floors(&mut self, policy: &Policy) -> anyhow::Result<()> {
        let Policy { assignment, index_version, index_expires, .. } = policy;
        let accepted_time = last_accepted(self.floors.accepted_time, assignment.assessment.issued_at, *index_expires);
        let raised = self.floors.raised(*index_version, assignment.assessment.version, accepted_time);
        if raised != self.floors {
            raised.store(&self.agent.layout.floors())?;
            self.floors = raised;
        }
        Ok(())
    }
}

/// Opens the spool. A damaged one is set aside: its stream ends, and the site is told everything again in a new one.
fn open_spool(file: &Path, identity: &Identity) -> anyhow::Result<Spool> {
    let stream = || Ok::<_, anyhow::Error>(u64::from_le_bytes(random()?));
    match Spool::open(file, identity.client, stream()?) {
        Err(error @ SpoolError::Damaged { .. }) => {
            let aside = Spool::set_aside(file)
                .with_context(|| format!("the damaged spool {} cannot be set aside", file.display()))?;
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(error, set_aside = %aside.display(), "State lost: everything is reported again");
            Ok(Spool::open(file, identity.client, stream()?)?)
        }
        opened => Ok(opened?),
    }
}
