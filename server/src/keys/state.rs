//! What is in force, and what waits for signatures.

use super::context::{Context, SIGNED_ELSEWHERE};
use super::{KeyError, KeyRole, Keys};
use crate::database::{Database, PendingMetadata, StoredMetadata};
use crate::repository::roles;
use farrier_protocol::UnixTime;
use farrier_trust::{Draft, Root, Signed, Snapshot, Targets, Timestamp, TrustError};
use std::collections::{BTreeMap, BTreeSet};

/// All metadata of a site, but for delegated roles that it does not know.
const ALL: [&str; 8] = [
    roles::ROOT,
    roles::TARGETS,
    roles::PLUGINS,
    roles::NATIVE,
    roles::CATALOGS,
    roles::POLICIES,
    roles::SNAPSHOT,
    roles::TIMESTAMP,
];

/// The newest metadata that is signed, and what is to come after it, by role.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) in_force: BTreeMap<String, Version>,
    pub(super) waiting: BTreeMap<String, Waiting>,
    /// Roles of which something waits in the database that was overtaken.
    overtaken: BTreeSet<String>,
}

/// One version of a role's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) draft: Draft,
    pub(super) version: u64,
    pub(super) expires: UnixTime,
}

/// What waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) version: Version,
    pub(super) created_at: UnixTime,
    pub(super) reason: String,
}

impl Version {
    /// Reads it.
    pub(super) fn read(role: &str, bytes: &[u8]) -> Result<Self, TrustError> {
        let draft = Draft::from_bytes(role, bytes)?;
        let (version, expires) = match role {
            roles::ROOT => head(&draft.content::<Root>()?),
            roles::SNAPSHOT => head(&draft.content::<Snapshot>()?),
            roles::TIMESTAMP => head(&draft.content::<Timestamp>()?),
            _ => head(&draft.content::<Targets>()?),
        };
        Ok(Self { draft, version, expires })
    }

    /// One that nobody has signed.
    pub(super) fn new<S: Signed>(content: &S) -> Self {
        Self { draft: Draft::new(content), version: content.version(), expires: content.expires() }
    }

    fn stored(&self, role: &str) -> StoredMetadata {
        StoredMetadata {
            role: role.to_owned(),
            version: self.version,
            expires_at: self.expires,
            bytes: self.draft.to_bytes(),
        }
    }
}

fn head(content: &impl Signed) -> (u64, UnixTime) {
    (content.version(), content.expires())
}

impl State {
    pub(super) async fn read(database: &Database) -> Result<Self, KeyError> {
        let mut state = Self::default();
        for role in ALL {
            if let Some(stored) = database.current_metadata(role).await? {
                state.in_force.insert(role.to_owned(), Version::read(role, &stored.bytes)?);
            }
        }
        for PendingMetadata { role, bytes, created_at, reason } in database.pending_metadata().await? {
            let version = Version::read(&role, &bytes)?;
            if state.follows(&role, version.version) {
                state.waiting.insert(role, Waiting { version, created_at, reason });
            } else {
                state.overtaken.insert(role);
            }
        }
        Ok(state)
    }

    /// Whether a version of a role can come after the one in force.
    pub(super) fn follows(&self, role: &str, version: u64) -> bool {
        let last = self.last_version(role);
        if role == roles::ROOT { version == last + 1 } else { version > last }
    }

    /// The version in force of a role; 0 if there is none.
    pub(super) fn last_version(&self, role: &str) -> u64 {
        self.in_force.get(role).map_or(0, |version| version.version)
    }

    /// What waits of a role, or else what is in force.
    pub(super) fn newest(&self, role: &str) -> Option<&Version> {
        self.waiting.get(role).map(|waiting| &waiting.version).or(self.in_force.get(role))
    }

    /// What is in force but for these roles, of which it is what waits.
    pub(super) fn effective(&self, role: &str, new: &[&str]) -> Option<&Version> {
        if new.contains(&role) {
            self.waiting.get(role).map(|waiting| &waiting.version)
        } else {
            self.in_force.get(role)
        }
    }

    /// Whose signatures count when what waits of these roles comes into force.
    pub(super) fn context(&self, new: &[&str]) -> Result<Context, KeyError> {
        let root = self.effective(roles::ROOT, new).map(|version| version.draft.content());
        let targets = self.effective(roles::TARGETS, new).map(|version| version.draft.content());
        Ok(Context { root: root.transpose()?, targets: targets.transpose()? })
    }

    /// Whose signatures count now.
    pub(super) fn present(&self) -> Result<Context, KeyError> {
        self.context(&[])
    }

    /// Whose signatures count when all that waits is in force.
    pub(super) fn future(&self) -> Result<Context, KeyError> {
        let waiting: Vec<&str> = self.waiting.keys().map(String::as_str).collect();
        self.context(&waiting)
    }

    /// Whose signatures of what waits of a role are worth having: those of the keys that are to come. A root is signed by
    /// those that it replaces, too (TUF 1.0.34, section 5.3.4).
    pub(super) fn signing(&self, role: &str) -> Result<Vec<Context>, KeyError> {
        let future = self.future()?;
        Ok(if role == roles::ROOT { vec![self.present()?, future] } else { vec![future] })
    }

    /// Forgets what waited too long: it would put something that clients refuse in the place of what they take.
    pub(super) fn drop_expired(&mut self, now: UnixTime) {
        self.waiting.retain(|_, waiting| waiting.version.expires > now);
    }

    /// The keys whose signatures do not count any more, because what waits of a role says something else than before.
    pub(super) fn signatures_lost_since(&self, before: &Self) -> BTreeMap<String, Vec<String>> {
        let lost = |(role, waiting): (&String, &Waiting)| {
            let now = &self.waiting.get(role)?.version.draft;
            let is_lost = |id: &&str| now.signers().all(|signer| signer != *id);
            let lost: Vec<String> = waiting.version.draft.signers().filter(is_lost).map(str::to_owned).collect();
            (!lost.is_empty()).then(|| (role.clone(), lost))
        };
        before.waiting.iter().filter_map(lost).collect()
    }

    /// Has this wait, in the place of what waits of the role.
    pub(super) fn wait(&mut self, role: &str, version: Version, reason: String, now: UnixTime) {
        let reason = match self.waiting.remove(role) {
            Some(before) if !before.reason.contains(&reason) => format!("{}; {reason}", before.reason),
            Some(before) => before.reason,
            None => reason,
        };
        self.waiting.insert(role.to_owned(), Waiting { version, created_at: now, reason });
    }

    /// Signs what waits with the keys that are here.
    pub(super) fn sign_with(&mut self, keys: &Keys) -> Result<(), KeyError> {
        for role in waiting_roles(self) {
            let contexts = self.signing(role)?;
            let Some(key_role) = KeyRole::of_metadata(role) else { continue };
            let Some(waiting) = self.waiting.get_mut(role) else { continue };
            for key in keys.signers(key_role)? {
                let public = key.public();
                let signers = contexts.iter().filter_map(|context| context.of_metadata(role));
                for id in signers.flat_map(|signers| signers.ids_of(&public)) {
                    let signature = key.sign(&waiting.version.draft.signed_bytes());
                    waiting.version.draft.add_signature(id, &signature);
                }
            }
        }
        Ok(())
    }

    /// Brings what waits of these roles into force.
    pub(super) fn bring_into_force(&mut self, chosen: &[&str]) {
        for role in chosen {
            if let Some(waiting) = self.waiting.remove(*role) {
                self.in_force.insert((*role).to_owned(), waiting.version);
            }
        }
    }

    /// Writes down what differs from `before`. What comes into force does so as one.
    pub(super) async fn write(&self, before: &Self, database: &Database) -> Result<(), KeyError> {
        let new = self.in_force.iter().filter(|(role, version)| before.in_force.get(*role) != Some(version));
        let new: Vec<StoredMetadata> = new.map(|(role, version)| version.stored(role)).collect();
        if !new.is_empty() {
            database.record_metadata(&new).await?;
        }
        let settled = before.waiting.keys().filter(|role| !self.waiting.contains_key(*role));
        for role in settled.chain(&self.overtaken) {
            database.remove_pending(role).await?;
        }
        for (role, Waiting { version, created_at, reason }) in &self.waiting {
            if before.waiting.get(role) != self.waiting.get(role) {
                let bytes = version.draft.to_bytes();
                let (role, reason) = (role.clone(), reason.clone());
                database.store_pending(&PendingMetadata { role, bytes, created_at: *created_at, reason }).await?;
            }
        }
        Ok(())
    }
}

/// The roles of this state's drafts that may wait, in the order in which they sign for each other.
pub(super) fn waiting_roles(state: &State) -> Vec<&'static str> {
    SIGNED_ELSEWHERE.into_iter().filter(|role| state.waiting.contains_key(*role)).collect()
}
