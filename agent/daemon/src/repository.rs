//! The signed repository as the site serves it: `farrier-trust` says which file is needed and what may be believed of
//! it, and this fetches.

use crate::policy::{Policy, Target, Targets, artefact_names};
use crate::site::{Site, SiteError};
use anyhow::Context as _;
use farrier_agent_core::assignment::{Refusal, entries};
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::{Statement, Tenant};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::EngineId;
use farrier_trust::{Answer, AssignmentKeys, Client, Floors, TrustError};
use std::collections::BTreeMap;

/// The repository, as far as it is verified.
#[derive(Debug)]
pub(crate) struct Repository {
    client: Client,
}

/// How the repository stood when a policy was verified by it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// The version of its root.
    pub(crate) root: u64,
    /// The version of its snapshot, which grows with everything that is published.
    pub(crate) snapshot: u64,
    /// SHA-256 of its timestamp.
    pub(crate) timestamp: Digest,
    /// When the first of its root, timestamp, snapshot and targets expires.
    pub(crate) expires: UnixTime,
    /// What may be accepted after it.
    pub(crate) floors: Floors,
    /// Which keys sign assignments.
    pub(crate) assignment_keys: Digest,
}

/// The repository is not the one of the statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    /// It ends at an earlier root.
    #[error("the site shows root version {shown} as its newest, but its statement names version {stated}")]
    Root {
        /// The version in the statement.
        stated: u64,
        /// The newest that was to be had.
        shown: u64,
    },
    /// It has another timestamp.
    #[error("the site shows another timestamp than its statement names: an old one, or its servers differ")]
    Timestamp,
}

/// What an assignment selects of the repository.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Its targets.
    pub(crate) targets: Targets,
    /// Those of them that stay in force although their role cannot be used.
    pub(crate) held: Targets,
    /// Why not: one sentence for each role.
    pub(crate) doubts: Vec<String>,
}

/// Files that were refused in one look at the repository, as they came: they are not fetched again for the next target.
type Refused = BTreeMap<String, Option<Vec<u8>>>;

impl Repository {
    /// The repository under a root that is trusted already.
    pub(crate) fn under(root: &[u8], floors: &Floors) -> Result<Self, TrustError> {
        Ok(Self { client: Client::new(root, floors.clone())? })
    }

    /// The repository that was verified before, by the same metadata: its root and what that leads to.
    pub(crate) fn restored(metadata: &[(String, Vec<u8>)], floors: &Floors) -> anyhow::Result<Self> {
        let ((_, root), others) = metadata.split_first().context("the stored policy has no root")?;
        // Its own root is the one it was verified by, also where there is a newer one by now.
        let mut repository = Self::under(root, floors)?;
        for (role, bytes) in others {
            repository.client.restore(role, bytes)?;
        }
        Ok(repository)
    }

    /// Takes what of this metadata still counts under the root at hand, so that it is not fetched again. What is from before
    /// versions began anew may have been signed by a key that was taken away, too.
    pub(crate) fn reuse(&mut self, metadata: &[(String, Vec<u8>)]) {
        let Some(((_, root), others)) = metadata.split_first() else { return };
        let since_root = self.client.floors().since_root;
        if !Client::new(root, Floors::default()).is_ok_and(|then| then.root_version() >= since_root) {
            return;
        }
        for (role, bytes) in others {
            // What does not count now is tried again before it is fetched.
            let _ = self.client.restore(role, bytes);
        }
    }

    /// Brings root, timestamp, snapshot and targets up to date. What was accepted before an error stays accepted.
    pub(crate) async fn refresh(&mut self, site: &Site, now: UnixTime) -> anyhow::Result<()> {
        let mut refresh = self.client.refresh(now);
        while let Some(request) = refresh.next()? {
            let file = site.metadata(&request.file, request.max_bytes).await?;
            refresh.receive(answer(&file))?;
        }
        Ok(())
    }

    /// Whether it is as far as the statement says that the site's is: news are not to be hidden by whoever answers.
    pub(crate) fn is_the_one_of(&self, statement: &Statement) -> Result<(), Mismatch> {
        let (stated, shown) = (statement.root, self.root_version());
        if shown < stated {
            return Err(Mismatch::Root { stated, shown });
        }
        match self.client.timestamp_digest() == Some(statement.timestamp) {
            true => Ok(()),
            false => Err(Mismatch::Timestamp),
        }
    }

    /// Finds everything that an assignment names, and what of it is compiled for an engine. An expired role, or one that cannot be had or verified, blocks what is
    /// new of it and nothing else: what is `followed` already goes on to be.
    pub(crate) async fn select(
        &mut self,
        site: &Site,
        assignment: &Assignment,
        engine: Option<EngineId>,
        followed: Option<&Policy>,
        now: UnixTime,
    ) -> anyhow::Result<Selection> {
        let (mut selection, mut refused) = (Selection::default(), Refused::new());
        for (name, digest) in entries(assignment) {
            let known = followed.and_then(|policy| policy.target(name, &digest));
            let target = match (self.find(site, name, now, &mut refused).await?, known) {
                (Ok(Some(target)), _) if target.digest == digest => target,
                (Ok(_), _) => return Err(Refusal::NotInRepository(name.to_owned()).into()),
                (Err(error), None) => {
                    return Err(error).with_context(|| format!("{name} of the assignment cannot be verified"));
                }
                (Err(error), Some(known)) => {
                    selection.doubt(&error);
                    selection.held.insert(name.to_owned(), known);
                    known
                }
            };
            selection.targets.insert(name.to_owned(), target);
        }
        // Without one, only the plugin that it is of cannot be used.
        for name in artefact_names(assignment, engine) {
            let target = match self.find(site, &name, now, &mut refused).await? {
                Ok(target) => target,
                Err(error) => {
                    selection.doubt(&error);
                    let known = followed.and_then(|policy| policy.named(&name));
                    selection.held.extend(known.map(|known| (name.clone(), known)));
                    known
                }
            };
            selection.targets.extend(target.map(|target| (name, target)));
        }
        Ok(selection)
    }

    /// Looks a target up. The inner error is about the role that has to say it, and about no other.
    async fn find(
        &mut self,
        site: &Site,
        name: &str,
        now: UnixTime,
        refused: &mut Refused,
    ) -> Result<Result<Option<Target>, TrustError>, SiteError> {
        let mut search = self.client.search(name, now);
        loop {
            let request = match search.next() {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(search.finish().map(|target| target.as_ref().and_then(Target::of))),
                Err(error) => return Ok(Err(error)),
            };
            let file = match refused.remove(&request.file) {
                Some(file) => file,
                None => site.metadata(&request.file, request.max_bytes).await?,
            };
            if let Err(error) = search.receive(answer(&file)) {
                refused.insert(request.file, file);
                return Ok(Err(error));
            }
        }
    }

    /// What the metadata at hand says of a target, without fetching anything.
    pub(crate) fn held(&self, name: &str) -> Option<Target> {
        self.client.target(name).as_ref().and_then(Target::of)
    }

    /// The metadata at hand, root first, as it came.
    pub(crate) fn metadata(&self) -> Vec<(String, Vec<u8>)> {
        self.client.metadata().map(|(role, bytes)| (role.to_owned(), bytes.to_vec())).collect()
    }

    /// The root at hand.
    pub(crate) fn root(&self) -> &[u8] {
        self.client.metadata().next().map_or(&[], |(_, bytes)| bytes)
    }

    /// Its version.
    pub(crate) fn root_version(&self) -> u64 {
        self.client.root_version()
    }

    /// Whose repository it is.
    pub(crate) fn tenant(&self) -> anyhow::Result<Tenant> {
        self.client
            .tenant()
            .context("the root of trust is of no farrier site: enrol again with `farrier-agent enroll --force TOKEN`")
    }

    /// The keys of assignments.
    pub(crate) fn assignment_keys(&self) -> anyhow::Result<AssignmentKeys> {
        self.client.assignment_keys().context("the root of trust names no key for assignments")
    }

    /// How it stands; an error where it was never verified up to its targets.
    pub(crate) fn standing(&self) -> anyhow::Result<Standing> {
        let incomplete = "the repository is not verified";
        let floors = self.client.floors();
        Ok(Standing {
            root: self.client.root_version(),
            snapshot: floors.snapshot,
            timestamp: self.client.timestamp_digest().context(incomplete)?,
            expires: self.client.expires().context(incomplete)?,
            floors,
            assignment_keys: digest_of_keys(&self.assignment_keys()?),
        })
    }
}

impl Selection {
    fn doubt(&mut self, error: &TrustError) {
        let words = format!("{error}; what is followed of it stays in force");
        if !self.doubts.contains(&words) {
            self.doubts.push(words);
        }
    }
}

impl Target {
    /// The target as content is addressed here, by its SHA-256; nothing where it has none.
    fn of(target: &farrier_trust::Target) -> Option<Self> {
        Some(Self { digest: target.sha256()?, length: target.length })
    }
}

fn answer(file: &Option<Vec<u8>>) -> Answer<'_> {
    file.as_deref().map_or(Answer::Missing, Answer::Found)
}

/// The same for the same keys and threshold, however they are ordered.
pub(crate) fn digest_of_keys(keys: &AssignmentKeys) -> Digest {
    let mut sorted = keys.keys.to_vec();
    sorted.sort_unstable();
    Digest::of(&[&sorted.concat()[..], &[keys.threshold]].concat())
}
