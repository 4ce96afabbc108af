//! What this client is to do: the assignment it took, and what of the signed repository that selects.

use crate::artefacts::ArtefactTargets;
use crate::floors::Floors;
use crate::repository::{Repository, Standing};
use crate::statement::Director;
use anyhow::{Context as _, anyhow};
use farrier_agent_core::assignment::{Refusal, check, components, entries};
use farrier_agent_core::versions::Version;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::{PollReply, Statement};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::EngineId;
use farrier_spool::{Blob, Spool};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the repository says of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// SHA-256 of it.
    pub(crate) digest: Digest,
    /// Bytes of it.
    pub(crate) length: u64,
}

/// Targets by name.
pub(crate) type Targets = BTreeMap<String, Target>;

/// An assignment whose entries all are targets of the repository.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The assignment.
    pub(crate) assignment: Box<Assignment>,
    /// SHA-256 of it, encoded.
    pub(crate) digest: Digest,
    /// When the statement was made that names it.
    pub(crate) issued_at: UnixTime,
    /// How the repository stood by which it was verified.
    pub(crate) repository: Standing,
    targets: Targets,
}

impl Policy {
    /// The assignment that `statement` names, in these bytes, if everything in it is one of these targets.
    pub(crate) fn new(
        statement: &Statement,
        assignment: Box<Assignment>,
        targets: Targets,
        repository: Standing,
    ) -> Result<Self, Refusal> {
        let (digest, issued_at) = (statement.assignment, statement.issued_at);
        let policy = Self { assignment, digest, issued_at, repository, targets };
        let missing = entries(&policy.assignment).find(|(name, digest)| policy.target(name, digest).is_none());
        match missing.map(|(name, _)| name.to_owned()) {
            Some(name) => Err(Refusal::NotInRepository(name)),
            None => Ok(policy),
        }
    }

    /// The target of this name and digest.
    pub(crate) fn target(&self, name: &str, digest: &Digest) -> Option<Target> {
        self.named(name).filter(|target| target.digest == *digest)
    }

    /// The target of this name.
    pub(crate) fn named(&self, name: &str) -> Option<Target> {
        self.targets.get(name).copied()
    }

    /// The artefact of this component for an engine, if the site has signed one.
    pub(crate) fn artefact(&self, engine: EngineId, component: &Digest) -> Option<Target> {
        self.named(&engine.target(component))
    }

    /// The artefacts of all components for an engine, as far as the site has signed them.
    pub(crate) fn artefacts(&self, engine: EngineId) -> ArtefactTargets {
        let artefact = |component| Some((component, self.artefact(engine, &component)?));
        components(&self.assignment).filter_map(artefact).collect()
    }

    /// Whether all of it, down to the artefacts, is what it is in this one.
    pub(crate) fn has_all_of(&self, other: &Self) -> bool {
        (self.digest, &self.targets) == (other.digest, &other.targets)
    }

    /// How many bytes a component has, if they are more than `most`.
    pub(crate) fn too_large(&self, component: &impl Version, most: usize) -> Option<u64> {
        let target = self.target(component.target(), &component.digest())?;
        (target.length > most as u64).then_some(target.length)
    }
}

/// The targets that are artefacts of an assignment's components for this engine.
pub(crate) fn artefact_names(assignment: &Assignment, engine: Option<EngineId>) -> impl Iterator<Item = String> {
    let engine = engine.into_iter();
    engine.flat_map(move |engine| components(assignment).map(move |component| engine.target(&component)))
}

/// The assignment in these bytes, which are verified, if it fits together and is for this client.
pub(crate) fn decode(bytes: &[u8], statement: &Statement) -> anyhow::Result<Box<Assignment>> {
    let assignment: Box<Assignment> = farrier_protocol::decode(bytes)
        .map_err(|error| anyhow!("the assignment is not of this protocol version ({error})"))?;
    check(&assignment, statement.client, statement.version)?;
    Ok(assignment)
}

/// What the spool keeps of a policy: everything that it is verified by, as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredPolicy {
    /// The metadata by its role, in the order in which it is verified.
    pub(crate) metadata: Vec<(String, Vec<u8>)>,
    /// The encoded reply to the poll, with its assignment.
    pub(crate) reply: Vec<u8>,
    /// The targets that were found in earlier metadata of a role that cannot be used any more.
    pub(crate) held: Targets,
}

impl StoredPolicy {
    /// The policy in the spool, if one was ever followed.
    pub(crate) fn load(spool: &Spool) -> anyhow::Result<Option<Self>> {
        let Some(bytes) = spool.blob(Blob::Policy)? else { return Ok(None) };
        farrier_protocol::decode(&bytes).map(Some).map_err(|_| anyhow!("the spool's policy is damaged"))
    }

    /// Verifies the policy again: by its own metadata under its own root, not below the floors, without a time. What was
    /// followed once is followed until there is something newer. With it come the artefacts for the engine of an agent that
    /// does not compile.
    pub(crate) fn verify(&self, floors: &Floors, engine: Option<EngineId>) -> anyhow::Result<Policy> {
        let repository = Repository::restored(&self.metadata, &floors.repository)?;
        let director = Director::new(&repository, floors)?;
        let statement = director.verify(&self.reply, None, None)?;
        let assignment = decode(self.assignment()?, &statement)?;
        let held = |name: &str| self.held.get(name).copied().or_else(|| repository.held(name));
        let names = entries(&assignment).map(|(name, _)| name.to_owned());
        let artefacts = artefact_names(&assignment, engine);
        let found = |name: String| held(&name).map(|target| (name, target));
        let targets = names.chain(artefacts).filter_map(found).collect();
        let policy = Policy::new(&statement, assignment, targets, repository.standing()?)?;
        match floors.admit(&policy) {
            true => Ok(policy),
            false => Err(anyhow!("it is older than what was followed last")),
        }
    }

    /// When the metadata of each role expires, as it says: to show, not to decide by.
    pub(crate) fn expiries(&self) -> Vec<(String, String)> {
        let expiry = |bytes: &[u8]| {
            let metadata: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            Some(metadata["signed"]["expires"].as_str()?.to_owned())
        };
        self.metadata.iter().filter_map(|(role, bytes)| Some((role.clone(), expiry(bytes)?))).collect()
    }

    /// The encoded assignment.
    pub(crate) fn assignment(&self) -> anyhow::Result<&[u8]> {
        let reply: PollReply<'_> = farrier_protocol::decode(&self.reply)?;
        reply.assignment.context("the stored reply has no assignment")
    }
}
