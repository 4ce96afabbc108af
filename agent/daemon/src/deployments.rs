//! The deployments of this client, out of the content cache: what the signed policies say, as far as it concerns it.

use crate::content::{Content, Unavailable};
use anyhow::Context as _;
use farrier_protocol::assignment::{AssignedDeployment, Standing};
use farrier_protocol::deployment::{
    ContentEntry, DeployedScope, DeployedUpdate, DeployedUpdates, DeploymentPolicy, MAX_DEPLOYED_BYTES,
    MAX_DEPLOYED_UPDATES, MAX_INSTRUCTION_BYTES, MAX_PHASES, MAX_POLICY_BYTES,
};
use farrier_protocol::{Digest, UpdateId};
use std::collections::BTreeMap;
use zstd::bulk::Decompressor;

/// The scopes of this client, by the name of the plugin that says so.
pub(crate) type Scopes = BTreeMap<String, Vec<String>>;

/// Why a policy or its updates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeploymentError {
    /// It is not there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It is signed, and yet not what it should be.
    #[error("{target} is malformed: {problem}")]
    Malformed {
        /// Which target.
        target: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One update that a deployment installs on this client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Which update.
    pub(crate) update: UpdateId,
    /// Its name.
    pub(crate) name: String,
    /// What it is, in a line.
    pub(crate) summary: String,
    /// How long its installation may take, at most.
    pub(crate) max_run_seconds: u32,
    /// The installer plugin.
    pub(crate) installer: String,
    /// What can be installed of it.
    pub(crate) contents: Vec<OfferedFile>,
    /// What it replaces.
    pub(crate) previous: Vec<OfferedFile>,
    /// What its author tells the installer.
    pub(crate) instructions: Vec<u8>,
}

/// One file of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedFile {
    /// What the installer plugin knows it by.
    pub(crate) label: String,
    /// SHA-256 of it.
    pub(crate) digest: Digest,
    /// Bytes of it.
    pub(crate) length: u64,
    /// Where it is on the upstream's mirror.
    pub(crate) url: Option<String>,
}

/// Reads policies and updates.
pub(crate) struct Policies<'a> {
    content: &'a Content,
    decompressor: Decompressor<'static>,
}

impl<'a> Policies<'a> {
    /// A reader of this content.
    pub(crate) fn new(content: &'a Content) -> anyhow::Result<Self> {
        Ok(Self { content, decompressor: Decompressor::new().context("no memory to decompress with")? })
    }

    /// What a deployment says.
    pub(crate) fn policy(&self, assigned: &AssignedDeployment) -> Result<DeploymentPolicy, DeploymentError> {
        let malformed = |problem| DeploymentError::Malformed { target: assigned.target.to_string(), problem };
        let mut bytes = Vec::new();
        self.content.read(&assigned.digest, MAX_POLICY_BYTES, &mut bytes)?;
        let policy: DeploymentPolicy =
            farrier_protocol::decode(&bytes).map_err(|_| malformed("it is not of this protocol version"))?;
        if policy.deployment != assigned.deployment {
            return Err(malformed("it is another deployment's"));
        }
        if policy.phases.is_empty() || policy.phases.len() > MAX_PHASES {
            return Err(malformed("it has no phases, or too many"));
        }
        if usize::from(assigned.phase) >= policy.phases.len() {
            return Err(malformed("it has no such phase as this client's"));
        }
        match policy.scopes.iter().all(|scope| scope.length as usize <= MAX_DEPLOYED_BYTES) {
            true => Ok(policy),
            false => Err(malformed("its updates are too large")),
        }
    }

    /// The updates of one scope.
    pub(crate) fn updates(&mut self, scope: &DeployedScope) -> Result<DeployedUpdates, DeploymentError> {
        let malformed = |problem| DeploymentError::Malformed { target: scope.digest.to_string(), problem };
        let mut compressed = Vec::new();
        self.content.read(&scope.digest, scope.length as usize, &mut compressed)?;
        let bytes = self.decompressor.decompress(&compressed, MAX_DEPLOYED_BYTES);
        let bytes = bytes.map_err(|_| malformed("it cannot be decompressed within its limit"))?;
        let updates: DeployedUpdates =
            farrier_protocol::decode(&bytes).map_err(|_| malformed("it is not of this protocol version"))?;
        if updates.updates.len() > MAX_DEPLOYED_UPDATES {
            return Err(malformed("it has too many updates"));
        }
        match updates.updates.iter().all(|update| update.instructions.len() <= MAX_INSTRUCTION_BYTES) {
            true => Ok(updates),
            false => Err(malformed("the instructions of an update are too long")),
        }
    }

    /// What a deployment says, and what it installs in these scopes, in that order.
    pub(crate) fn deployment(
        &mut self,
        assigned: &AssignedDeployment,
        scopes: &Scopes,
    ) -> Result<(DeploymentPolicy, Vec<Offer>), DeploymentError> {
        let policy = self.policy(assigned)?;
        let mut offers = Vec::new();
        for scope in policy.scopes.iter().filter(|scope| concerns(scope, scopes)) {
            let DeployedUpdates { mirrors, updates } = self.updates(scope)?;
            for update in updates {
                add(&mut offers, Offer::new(update, &mirrors, &scope.installer));
            }
        }
        Ok((policy, offers))
    }
}

impl Offer {
    fn new(update: DeployedUpdate, mirrors: &[String], installer: &str) -> Self {
        let file = |entry: ContentEntry| OfferedFile {
            url: address(mirrors, &entry),
            label: entry.label,
            digest: entry.digest,
            length: entry.length,
        };
        Self {
            update: update.update,
            name: update.name,
            summary: update.summary,
            max_run_seconds: update.max_run_seconds,
            installer: installer.to_owned(),
            contents: update.contents.into_iter().map(file).collect(),
            previous: update.previous.into_iter().map(file).collect(),
            instructions: update.instructions,
        }
    }
}

/// An update may be in several scopes of one client (`amd64` and `i386`), each with files of its own: it is one all the
/// same, and its author says the same of it.
fn add(offers: &mut Vec<Offer>, offer: Offer) {
    let Some(known) = offers.iter_mut().find(|known| known.update == offer.update) else { return offers.push(offer) };
    known.max_run_seconds = known.max_run_seconds.max(offer.max_run_seconds);
    for (files, more) in [(&mut known.contents, offer.contents), (&mut known.previous, offer.previous)] {
        for file in more {
            if !files.iter().any(|known| known.label == file.label) {
                files.push(file);
            }
        }
    }
}

/// Where a file is on its mirror. Only HTTP is spoken, whatever the policy says.
fn address(mirrors: &[String], entry: &ContentEntry) -> Option<String> {
    let mirror = mirrors.get(usize::from(entry.mirror))?;
    let url = format!("{}/{}", mirror.trim_end_matches('/'), entry.path.trim_start_matches('/'));
    let is_web = reqwest::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_web.then_some(url)
}

/// Whether the policy of a deployment is needed: of a cancelled one it is not even published.
pub(crate) fn is_published(assigned: &AssignedDeployment) -> bool {
    assigned.standing != Standing::Cancelled
}

/// Whether what is deployed to this scope is for a client of these.
pub(crate) fn concerns(scope: &DeployedScope, scopes: &Scopes) -> bool {
    scopes.get(scope.plugin.as_str()).is_some_and(|scopes| scopes.iter().any(|known| *known == *scope.scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, path: &str) -> ContentEntry {
        ContentEntry {
            label: label.to_owned(),
            digest: Digest::of(label.as_bytes()),
            length: 1,
            mirror: 0,
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_file_is_below_its_mirror_and_only_on_the_web() {
        let mirrors = ["https://mirror.example.org/debian/".to_owned()];
        let url = address(&mirrors, &entry("a", "pool/main/a.deb"));
        assert_eq!(url.as_deref(), Some("https://mirror.example.org/debian/pool/main/a.deb"));
        assert_eq!(address(&["file:///etc".to_owned()], &entry("a", "shadow")), None);
        assert_eq!(address(&[], &entry("a", "pool/main/a.deb")), None);
    }

    #[test]
    fn an_update_in_two_scopes_is_one_with_the_files_of_both() {
        let update = |labels: &[&str], seconds| DeployedUpdate {
            update: UpdateId([1; 16]),
            name: "bookworm/openssl/3".to_owned(),
            summary: String::new(),
            max_run_seconds: seconds,
            contents: labels.iter().map(|label| entry(label, label)).collect(),
            previous: Vec::new(),
            instructions: b"as it is".to_vec(),
        };
        let mut offers = Vec::new();
        add(&mut offers, Offer::new(update(&["doc_all", "lib_amd64"], 60), &[], "dpkg-installer"));
        add(&mut offers, Offer::new(update(&["doc_all", "lib_i386"], 90), &[], "dpkg-installer"));
        let labels: Vec<_> = offers[0].contents.iter().map(|file| file.label.as_str()).collect();
        assert_eq!((offers.len(), offers[0].max_run_seconds), (1, 90));
        assert_eq!(labels, ["doc_all", "lib_amd64", "lib_i386"]);
        assert_eq!(offers[0].instructions, b"as it is");
    }
}
