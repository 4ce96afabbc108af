//! What this client has accepted and goes on from: the newest root, the policy that it follows, and the floors. The
//! first two are in the spool, the floors in a file of their own: what is lost of one is made good by the other, and what
//! cannot be is said.

use crate::clock::{BUILT_AT, now};
use crate::floors::Floors;
use crate::identity::Identity;
use crate::policy::{Policy, StoredPolicy};
use crate::repository::Repository;
use crate::statement::Director;
use anyhow::{Context as _, ensure};
use farrier_agent_core::clock::{last_accepted, trusted_now};
use farrier_protocol::UnixTime;
use farrier_runtime::EngineId;
use farrier_spool::{Blob, RecordError, Spool, set_aside};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The floors.
    pub(crate) floors: Floors,
    floors_file: PathBuf,
    root: Vec<u8>,
    root_version: u64,
    followed: Option<(StoredPolicy, Rc<Policy>)>,
}

impl Accepted {
    /// Reads and verifies what was accepted before, by an agent that compiles its plugins or has artefacts for `engine`. What is damaged or missing is made good as far as possible; the
    /// sentences say what was lost.
    pub(crate) fn load(
        identity: &Identity,
        floors_file: &Path,
        spool: &Spool,
        engine: Option<EngineId>,
    ) -> anyhow::Result<(Self, Option<String>)> {
        let enrolled = Repository::under(&identity.root, &farrier_trust::Floors::default()).context(
            "the enrolled root of trust cannot be used: enrol again with `farrier-agent enroll --force TOKEN`",
        )?;
        let tenant = enrolled.tenant()?;
        let mut lost = Vec::new();
        let floors = match read_floors(floors_file) {
            Ok(floors) => floors.of_enrollment(tenant, identity.client),
            Err(Unread::Lost(what)) => {
                lost.push(what);
                Floors::new(tenant, identity.client)
            }
            Err(Unread::Error(error)) => return Err(error),
        };
        let floors_before = lost.is_empty().then(|| floors.clone());
        let (root, root_version) = (identity.root.clone(), enrolled.root_version());
        let mut accepted = Self { floors, floors_file: floors_file.to_owned(), root, root_version, followed: None };
        if let Err(error) = accepted.restore_root(spool) {
            lost.push(format!("the newest root is not used ({error:#}), the enrolled one is"));
        }
        match accepted.restore_policy(spool, engine) {
            Ok(()) if accepted.followed.is_none() && accepted.floors.has_followed() => {
                lost.push("the policy that was followed is gone".to_owned());
            }
            Ok(()) => {}
            Err(error) => lost.push(format!("the stored policy is not used ({error:#})")),
        }
        // Also after a power cut between the policy and its floors.
        if floors_before.as_ref() != Some(&accepted.floors) {
            accepted.store_floors();
        }
        Ok((accepted, (!lost.is_empty()).then(|| lost.join("; "))))
    }

    /// The policy that is followed, if there is one.
    pub(crate) fn policy(&self) -> Option<Rc<Policy>> {
        self.followed.as_ref().map(|(_, policy)| policy.clone())
    }

    /// The encoded assignment that is followed.
    pub(crate) fn assignment(&self) -> Option<&[u8]> {
        self.followed.as_ref().and_then(|(stored, _)| stored.assignment().ok())
    }

    /// When the metadata expires that the policy was verified by, by role.
    pub(crate) fn expiries(&self) -> Vec<(String, String)> {
        self.followed.as_ref().map(|(stored, _)| stored.expiries()).unwrap_or_default()
    }

    /// The version of the newest root.
    pub(crate) fn root_version(&self) -> u64 {
        self.root_version
    }

    /// The time to judge expiry by.
    pub(crate) fn trusted_now(&self) -> UnixTime {
        trusted_now(now(), BUILT_AT, self.floors.accepted_time)
    }

    /// The repository to go on from: the newest root, and what is held under it.
    pub(crate) fn repository(&self) -> anyhow::Result<Repository> {
        let mut repository = Repository::under(&self.root, &self.floors.repository)?;
        if let Some((stored, _)) = &self.followed {
            repository.reuse(&stored.metadata);
        }
        Ok(repository)
    }

    /// Whose word counts: whoever signs assignments under the newest root.
    pub(crate) fn director(&self) -> anyhow::Result<Director> {
        Director::new(&Repository::under(&self.root, &self.floors.repository)?, &self.floors)
    }

    /// Keeps the root that the repository has reached, whatever becomes of the rest: a key that was replaced is not to be
    /// believed again.
    pub(crate) fn keep_root(&mut self, spool: &Spool, repository: &Repository) -> anyhow::Result<()> {
        let version = repository.root_version();
        if version <= self.root_version {
            return Ok(());
        }
        spool.store(&[(Blob::Root, repository.root())])?;
        (self.root, self.root_version) = (repository.root().to_vec(), version);
        tracing::info!(root.version = version, "Root accepted");
        self.raise(self.floors.clone().raised_to_root(version));
        Ok(())
    }

    /// Follows a policy from now on, and keeps it with these notes. Everything in it is on disk.
    pub(crate) fn follow(
        &mut self,
        spool: &Spool,
        stored: StoredPolicy,
        policy: Policy,
        notes: &[u8],
    ) -> anyhow::Result<()> {
        // In this order: floors above what is stored would leave an offline client with nothing to scan by.
        spool.store(&[(Blob::Policy, &farrier_protocol::encode(&stored)?), (Blob::Polls, notes)])?;
        let floors = self.floors_of(&policy);
        self.followed = Some((stored, Rc::new(policy)));
        self.raise(floors);
        Ok(())
    }

    /// The newest root in the spool. It was verified from root to root when it was accepted.
    fn restore_root(&mut self, spool: &Spool) -> anyhow::Result<()> {
        let Some(root) = spool.blob(Blob::Root)? else { return Ok(()) };
        let repository = Repository::under(&root, &farrier_trust::Floors::default())?;
        ensure!(repository.tenant()? == self.floors.tenant, "it is of another site");
        // Whoever enrols again may have been given a newer one.
        if repository.root_version() > self.root_version {
            (self.root, self.root_version) = (root, repository.root_version());
        }
        self.floors = self.floors.clone().raised_to_root(self.root_version);
        Ok(())
    }

    /// The policy in the spool.
    fn restore_policy(&mut self, spool: &Spool, engine: Option<EngineId>) -> anyhow::Result<()> {
        let Some(stored) = StoredPolicy::load(spool)? else { return Ok(()) };
        let policy = stored.verify(&self.floors, engine)?;
        self.floors = self.floors_of(&policy);
        self.followed = Some((stored, Rc::new(policy)));
        Ok(())
    }

    /// The floors once this policy is followed.
    fn floors_of(&self, policy: &Policy) -> Floors {
        let (before, expires) = (self.floors.accepted_time, policy.repository.expires);
        let accepted_time = last_accepted(before, now(), BUILT_AT, policy.issued_at, expires);
        self.floors.clone().raised_to(policy, accepted_time)
    }

    fn raise(&mut self, raised: Floors) {
        if raised != self.floors {
            self.floors = raised;
            self.store_floors();
        }
    }

    /// Those that cannot be written count nevertheless, and are written by the next session that can: they follow from
    /// what is in the spool.
    fn store_floors(&self) {
        if let Err(error) = self.floors.store(&self.floors_file) {
            tracing::warn!(error = format!("{error:#}"), "The version floors could not be written");
        }
    }
}

/// Why there are no floors to begin with.
enum Unread {
    /// They are gone, for this reason.
    Lost(String),
    /// They may be there.
    Error(anyhow::Error),
}

/// The floors. Damaged ones are set aside: a client that nobody visits is to go on, from what else it has.
fn read_floors(file: &Path) -> Result<Floors, Unread> {
    match Floors::read(file) {
        Ok(Some(floors)) => Ok(floors),
        Ok(None) => Err(Unread::Lost("there is no record of the versions that were accepted".to_owned())),
        Err(RecordError::Damaged { .. }) => {
            let aside = set_aside(file).with_context(|| format!("the damaged {} cannot be set aside", file.display()));
            let aside = aside.map_err(Unread::Error)?;
            let aside = aside.display();
            Err(Unread::Lost(format!("the record of the versions that were accepted was damaged, and is now {aside}")))
        }
        Err(error) => Err(Unread::Error(error.into())),
    }
}
