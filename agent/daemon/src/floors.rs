//! The floors: the versions below which nothing is accepted any more, of one enrolment.

use crate::policy::Policy;
use farrier_protocol::poll::Tenant;
use farrier_protocol::{ClientId, Digest, UnixTime};
use farrier_spool::{RecordError, read_record, store_record};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The floors. None of them ever sinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floors {
    /// Whose repository they are of.
    pub(crate) tenant: Tenant,
    /// The client whose assignment they are of.
    pub(crate) client: ClientId,
    /// The versions of the accepted metadata.
    pub(crate) repository: farrier_trust::Floors,
    /// The version of the root under which a policy was followed last; 0 if none ever was.
    policy_root: u64,
    /// The keys of the last accepted statement.
    assignment_keys: Option<Digest>,
    /// The version of the last accepted assignment. It counts while those are the keys of assignments: whoever stole one
    /// and went to the highest version there is, loses that with the key.
    assignment_version: u64,
    /// The latest time that an accepted statement proves to have passed.
    pub(crate) accepted_time: UnixTime,
}

impl Floors {
    /// The floors of a client that has accepted nothing yet.
    pub(crate) fn new(tenant: Tenant, client: ClientId) -> Self {
        let repository = farrier_trust::Floors::default();
        let accepted_time = UnixTime::MIN;
        Self { tenant, client, repository, policy_root: 0, assignment_keys: None, assignment_version: 0, accepted_time }
    }

    /// The floors in `file`, of whichever enrolment they are, if there are any.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, RecordError> {
        let Some(record) = read_record(file)? else { return Ok(None) };
        let floors = farrier_protocol::decode(&record);
        floors.map(Some).map_err(|_| RecordError::Damaged { file: file.to_owned() })
    }

    /// Writes the floors, durably and whole.
    pub(crate) fn store(&self, file: &Path) -> anyhow::Result<()> {
        Ok(store_record(file, &farrier_protocol::encode(self)?)?)
    }

    /// What of these floors counts for this enrolment.
    pub(crate) fn of_enrollment(self, tenant: Tenant, client: ClientId) -> Self {
        match self {
            floors if floors.tenant != tenant => Self::new(tenant, client),
            floors if floors.client != client => {
                Self { client, policy_root: 0, assignment_keys: None, assignment_version: 0, ..floors }
            }
            floors => floors,
        }
    }

    /// The version below which no assignment under these keys is taken.
    pub(crate) fn of_assignments(&self, keys: Digest) -> u64 {
        if self.assignment_keys == Some(keys) { self.assignment_version } else { 0 }
    }

    /// Whether a policy was ever followed.
    pub(crate) fn has_followed(&self) -> bool {
        self.policy_root > 0
    }

    /// Whether a policy under this version of the root can be the one that was followed last. Under an earlier one it
    /// cannot; and under the same one the other floors count.
    pub(crate) fn admit(&self, policy: &Policy) -> bool {
        policy.repository.root >= self.policy_root
    }

    /// Raised to a root of this version.
    pub(crate) fn raised_to_root(self, root: u64) -> Self {
        let repository = farrier_trust::Floors { root: self.repository.root.max(root), ..self.repository };
        Self { repository, ..self }
    }

    /// Raised to a policy that is followed, and to the time that its statement proves to have passed.
    pub(crate) fn raised_to(self, policy: &Policy, accepted_time: UnixTime) -> Self {
        let (keys, version) = (policy.repository.assignment_keys, policy.assignment.assessment.version);
        Self {
            assignment_version: self.of_assignments(keys).max(version),
            assignment_keys: Some(keys),
            policy_root: self.policy_root.max(policy.repository.root),
            repository: self.repository.raised(&policy.repository.floors),
            accepted_time: self.accepted_time.max(accepted_time),
            ..self
        }
    }
}
