//! The repository as the thief shows it: what the site published, with what he changed and signed.

use super::http::Reply;
use super::upstream::Upstream;
use anyhow::{Context as _, ensure};
use farrier_protocol::{Digest, paths};
use farrier_trust::{Draft, SigningKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All metadata of one moment, and what was added to it.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The signed part of each role's metadata, by role.
    signed: BTreeMap<String, Value>,
    /// The bytes of each file of metadata, by file name.
    files: BTreeMap<String, Vec<u8>>,
    /// Targets that the site does not have, by digest.
    targets: BTreeMap<Digest, Vec<u8>>,
}

impl Repository {
    /// What the site publishes now.
    pub(super) fn of(site: &Upstream) -> anyhow::Result<Self> {
        let mut repository = Self { signed: BTreeMap::new(), files: BTreeMap::new(), targets: BTreeMap::new() };
        let mut root = 1;
        while let Ok(bytes) = metadata(site, &file_name("root", root)) {
            repository.add("root", bytes)?;
            root += 1;
        }
        repository.add("timestamp", metadata(site, "timestamp.json")?)?;
        let snapshot = repository.signed("timestamp")?["meta"]["snapshot.json"]["version"].clone();
        repository.add("snapshot", metadata(site, &file_name("snapshot", number(&snapshot)?))?)?;
        let meta = repository.signed("snapshot")?["meta"].as_object().context("no meta")?.clone();
        for (name, entry) in &meta {
            let role = name.strip_suffix(".json").context("no metadata")?;
            repository.add(role, metadata(site, &file_name(role, number(&entry["version"])?))?)?;
        }
        Ok(repository)
    }

    /// The signed part of a role's metadata.
    ///
    /// # Errors
    /// When there is none.
    pub fn signed(&self, role: &str) -> anyhow::Result<&Value> {
        self.signed.get(role).with_context(|| format!("the repository has no {role}"))
    }

    /// The version of a role's metadata.
    ///
    /// # Errors
    /// When there is none.
    pub fn version(&self, role: &str) -> anyhow::Result<u64> {
        number(&self.signed(role)?["version"])
    }

    /// The bytes of a role's metadata.
    ///
    /// # Errors
    /// When there is none.
    pub fn file(&self, role: &str) -> anyhow::Result<&[u8]> {
        let file = file_name(role, self.version(role)?);
        self.bytes(&file).with_context(|| format!("the repository has no {file}"))
    }

    /// The bytes of a file of metadata: `3.root.json`.
    #[must_use]
    pub fn bytes(&self, file: &str) -> Option<&[u8]> {
        self.files.get(file).map(Vec::as_slice)
    }

    /// A target that the thief brings.
    #[must_use]
    pub fn target(&self, digest: &Digest) -> Option<&[u8]> {
        self.targets.get(digest).map(Vec::as_slice)
    }

    /// Shows these bytes as the present file of a role, whatever they are.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn replace(&mut self, role: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.files.insert(file_name(role, self.version(role)?), bytes);
        Ok(())
    }

    /// The next version of a role's metadata, changed, and signed by these keys. The change has the last word, also about
    /// the version.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn sign(&mut self, role: &str, keys: &[SigningKey], change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        self.sign_by(role, |draft| keys.iter().for_each(|key| draft.sign(key)), change)
    }

    /// The same, signed in any way.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn sign_by(
        &mut self,
        role: &str,
        sign: impl FnOnce(&mut Draft),
        change: impl FnOnce(&mut Value),
    ) -> anyhow::Result<()> {
        let mut signed = self.signed(role)?.clone();
        signed["version"] = json!(self.version(role)? + 1);
        change(&mut signed);
        let unsigned = json!({ "signed": signed, "signatures": [] }).to_string();
        let mut draft = Draft::from_bytes(role, unsigned.as_bytes())?;
        sign(&mut draft);
        self.add(role, draft.to_bytes())
    }

    /// The next snapshot, which names everything as it is now, and the next timestamp, which names that snapshot.
    ///
    /// # Errors
    /// When the repository has none.
    pub fn publish(&mut self, snapshot_keys: &[SigningKey], timestamp_keys: &[SigningKey]) -> anyhow::Result<()> {
        let mut meta = self.signed("snapshot")?["meta"].clone();
        for (name, entry) in meta.as_object_mut().context("no meta")? {
            let role = name.strip_suffix(".json").context("no metadata")?;
            describe(entry, self.version(role)?, self.file(role)?);
        }
        self.sign("snapshot", snapshot_keys, |snapshot| snapshot["meta"] = meta)?;
        let (version, bytes) = (self.version("snapshot")?, self.file("snapshot")?.to_vec());
        self.sign("timestamp", timestamp_keys, |timestamp| {
            describe(&mut timestamp["meta"]["snapshot.json"], version, &bytes);
        })
    }

    /// Has bytes to give under their digest, and says how metadata describes them.
    pub fn add_target(&mut self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.targets.insert(digest, bytes.to_vec());
        json!({ "length": bytes.len(), "hashes": { "sha256": digest.to_string() } })
    }

    /// The digest of `timestamp.json`, which statements name.
    ///
    /// # Errors
    /// When the repository has none.
    pub fn timestamp_digest(&self) -> anyhow::Result<Digest> {
        Ok(Digest::of(self.file("timestamp")?))
    }

    /// What is at this path, if it is of the thief's.
    #[must_use]
    pub fn answer(&self, path: &str) -> Option<Reply> {
        if let Some(file) = path.strip_prefix(paths::METADATA) {
            return self.files.get(file.trim_start_matches('/')).cloned().map(Reply::found);
        }
        let name = path.strip_prefix(paths::TARGETS)?.rsplit('/').next()?;
        let digest = name.get(..2 * Digest::LENGTH)?.parse().ok()?;
        self.targets.get(&digest).cloned().map(Reply::found)
    }

    fn add(&mut self, role: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let mut metadata: Value = serde_json::from_slice(&bytes).with_context(|| format!("{role} is no metadata"))?;
        let signed = metadata["signed"].take();
        self.files.insert(file_name(role, number(&signed["version"])?), bytes);
        self.signed.insert(role.to_owned(), signed);
        Ok(())
    }
}

/// The name of the file of a role's metadata, with consistent snapshots.
fn file_name(role: &str, version: u64) -> String {
    match role {
        "timestamp" => "timestamp.json".to_owned(),
        role => format!("{version}.{role}.json"),
    }
}

fn metadata(site: &Upstream, file: &str) -> anyhow::Result<Vec<u8>> {
    let reply = site.get(&format!("{}/{file}", paths::METADATA))?;
    ensure!(reply.status == 200, "the site answers {} for {file}", reply.status);
    Ok(reply.bytes()?.to_vec())
}

/// What metadata says of another file of metadata: as much as it said before.
fn describe(entry: &mut Value, version: u64, bytes: &[u8]) {
    entry["version"] = json!(version);
    if entry.get("length").is_some() {
        entry["length"] = json!(bytes.len());
    }
    if entry.get("hashes").is_some() {
        entry["hashes"] = json!({ "sha256": Digest::of(bytes).to_string() });
    }
}

fn number(value: &Value) -> anyhow::Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no version"))
}
