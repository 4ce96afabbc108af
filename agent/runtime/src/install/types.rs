//! What goes into an installation, and what comes out of it.

use crate::grants::{GrantError, GrantLists, Grants, RunGrants};
use crate::manifest::Manifest;
use farrier_protocol::Digest;
use farrier_protocol::deployment::{ContentEntry, DeployedUpdate};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What one installer plugin may do: asked by its manifest ∩ approved by the site ∩ allowed by the client's own
/// configuration, for files it reads, files it writes and programs it runs.
#[derive(Debug, Clone)]
pub struct InstallerGrants {
    pub(crate) read: Grants,
    pub(crate) write: Grants,
    pub(crate) run: RunGrants,
}

impl InstallerGrants {
    /// What `manifest` asks for, limited to what the site approved and to what this client allows.
    ///
    /// # Errors
    /// When a line of one of the lists is no grant; it is named.
    pub fn new(manifest: &Manifest, approved: &GrantLists, allowed: &GrantLists) -> Result<Self, GrantError> {
        Ok(Self {
            read: Grants::new(manifest, &approved.read, &allowed.read)?,
            write: Grants::to_write(manifest, &approved.write, &allowed.write)?,
            run: RunGrants::new(manifest, &approved.run, &allowed.run)?,
        })
    }
}

/// How long an installation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallLimits {
    /// Time of one call (a plan, an installation, a roll-back). Programs that still run then are killed, each with its
    /// process group: what has left that (`setsid`) goes on, as what a program leaves running does. The plugin has a second
    /// more to say what happened.
    pub max_run: Duration,
}

/// A downloaded file of an update. The host hashes the very bytes that it passes on, so nothing has to be verified before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFile {
    /// What the policy calls it. A plain file name: see [`InstallError::Content`](crate::install::InstallError).
    pub label: String,
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its content, as the signed policy has it.
    pub digest: Digest,
    /// Bytes of its content, as the signed policy has them.
    pub length: u64,
}

/// An update to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its name: `bookworm-security/openssl/3.0.17-1~deb12u2`.
    pub name: String,
    /// What its policy tells the plugin; empty where that is nothing.
    pub instructions: Vec<u8>,
    /// What can be installed of it.
    pub contents: Vec<Entry>,
    /// What it replaces, as far as the site has it.
    pub previous: Vec<Entry>,
}

/// A file that the policy offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the policy calls it.
    pub label: String,
    /// SHA-256.
    pub digest: Digest,
    /// Bytes.
    pub length: u64,
}

impl From<&DeployedUpdate> for Update {
    fn from(update: &DeployedUpdate) -> Self {
        let entry =
            |entry: &ContentEntry| Entry { label: entry.label.clone(), digest: entry.digest, length: entry.length };
        Self {
            name: update.name.clone(),
            instructions: update.instructions.clone(),
            contents: update.contents.iter().map(entry).collect(),
            previous: update.previous.iter().map(entry).collect(),
        }
    }
}

/// What this client needs of an update: positions in its lists, each below their length and none twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What is to be installed; empty, if there is nothing to install.
    pub contents: Vec<usize>,
    /// What a roll-back would install.
    pub previous: Vec<usize>,
}

/// What the administrator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether other software may be removed.
    pub allow_removals: bool,
    /// Whatever else, by name; a plugin ignores what it does not know.
    pub more: Vec<(String, String)>,
}

/// One thing that an installation changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The thing: `libssl3`.
    pub subject: String,
    /// What becomes of it, in a word: `upgrade`, `install`, `downgrade`, `remove`, `write`.
    pub action: String,
    /// More of it: `3.0.15-1 to 3.0.17-1~deb12u2`.
    pub detail: String,
}

/// What an installation leaves to say. That it worked is for a scan to prove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What an administrator should know, a sentence each.
    pub notes: Vec<String>,
    /// What has to be restarted before it takes effect.
    pub restarts: Vec<Restart>,
}

/// A restart that an installer plugin asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// What has to be restarted.
    pub subject: RestartSubject,
    /// Why: `linux-image-6.1.0-28-amd64 was installed`.
    pub reason: String,
}

/// What has to be restarted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RestartSubject {
    /// The service of this name.
    Service(String),
    /// The machine.
    Machine,
    /// Something else, in words. People are told of it, and nothing else is done.
    Other(String),
}

/// As notes and logs name it: `service ssh`, `machine`, or the words.
impl fmt::Display for RestartSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service {name}"),
            Self::Machine => f.write_str("machine"),
            Self::Other(words) => f.write_str(words),
        }
    }
}
