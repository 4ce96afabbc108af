//! Making a software update of a policy file, and taking it back.

use super::{Encoded, KnownPlugins, PolicyError, PolicyFile};
use crate::content::ContentStore;
use crate::database::{AuthoredContent, AuthoredUpdate, AuthoredWrite, Database};
use crate::publish::PLUGIN_OF_SUITES;
use farrier_protocol::assignment::{MAX_CATALOGS, MAX_PLUGINS};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::Manifest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

const READ_BYTES: usize = 256 * 1024;

/// Why a policy file is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{file} cannot be read")]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the policy file cannot be taken.
    #[error("{}", file.display())]
    Policy {
        /// Which file.
        file: PathBuf,
        /// What, where, and what to write.
        source: PolicyError,
    },
    /// What the site has of this version says something else.
    #[error(
        "{name} is imported already, and says something else; {why}: raise `version` in the policy file, and the new \
         version supersedes this one"
    )]
    Changed {
        /// The update.
        name: String,
        /// Why it cannot be replaced.
        why: String,
    },
    /// The site would have more catalogs than a client takes.
    #[error(
        "the site would have {0} catalogs (one for each suite and architecture, and one for each plugin and scope of \
         its policies), more than {MAX_CATALOGS}: name fewer scopes, or remove policies"
    )]
    TooManyCatalogs(usize),
    /// The site would have more applicability plugins than a client takes.
    #[error(
        "the site's suites and policies would need {0} applicability plugins, more than {MAX_PLUGINS}: remove policies"
    )]
    TooManyPlugins(usize),
    /// Another version would come back, for which there is no place.
    #[error("without this version {name} comes back; remove the policy as a whole, or others first")]
    ComesBack {
        /// That version's update.
        name: String,
        /// What there would be too many of.
        source: Box<ImportError>,
    },
    /// The content store failed.
    #[error(transparent)]
    Store(#[from] crate::content::StoreError),
    /// The database failed.
    #[error("the site database failed")]
    Database(#[from] sqlx::Error),
    /// What is deployed cannot be read.
    #[error("{0:#}")]
    Deployments(anyhow::Error),
    /// A task of this program died.
    #[error("reading the content ended early")]
    Ended(#[from] tokio::task::JoinError),
}

/// What became of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The update: `authored/kiosk/1.2`.
    pub name: String,
    /// What the import did.
    pub outcome: Outcome,
    /// The version that supersedes it, if a higher one was imported before.
    pub superseded_by: Option<String>,
    /// How many files it has.
    pub contents: usize,
    /// Their bytes.
    pub content_bytes: u64,
    /// Whether it can be deployed.
    pub is_deployable: bool,
    /// The plugins that it names and of which no version counts yet: nobody scans by it, or installs it, before.
    pub waits_for: Vec<String>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there, or had been removed.
    Added,
    /// It was there, and says something else now.
    Changed,
    /// It was there, and stays.
    Unchanged,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The updates.
    pub names: Vec<String>,
    /// How many files the distribution point let go.
    pub dropped: Dropped,
}

/// Content that nothing names any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many files are gone.
    pub files: usize,
    /// How many stay, because a deployment or another update names them.
    pub kept: usize,
}

/// A policy file with all that belongs to it.
struct Whole {
    policy: PolicyFile,
    encoded: Encoded,
    contents: Vec<OpenContent>,
}

/// A file that is installed, measured.
struct OpenContent {
    content: AuthoredContent,
    file: File,
}

/// Reads and checks a policy file with its content, against the manifests of these plugins, and changes nothing.
///
/// # Errors
/// When it cannot be imported.
pub async fn check(file: &Path, plugins: &KnownPlugins) -> Result<(PolicyFile, Encoded, u64), ImportError> {
    let whole = whole(file, plugins).await?;
    let bytes = whole.contents.iter().map(|open| open.content.size.unsigned_abs()).sum();
    Ok((whole.policy, whole.encoded, bytes))
}

/// Imports a policy file. What is imported already and says the same stays as it is; content that the store has lost is
/// stored again.
///
/// # Errors
/// When it cannot be imported; then nothing changed.
pub async fn import(
    database: &Database,
    store: &ContentStore,
    plugins: &KnownPlugins,
    file: &Path,
    now: UnixTime,
) -> Result<Imported, ImportError> {
    let Whole { policy, encoded, contents } = whole(file, plugins).await?;
    let applicability = &policy.applicability;
    let scopes = applicability.scopes.iter().map(|(scope, _)| scope.clone());
    check_places(database, &policy.name, &applicability.plugin, scopes).await?;
    let named = policy.installation.iter().map(|installation| &installation.plugin).chain([&applicability.plugin]);
    let waits_for = named.filter(|plugin| !plugins.counts(plugin)).cloned().collect();
    let update = authored(&policy, encoded, contents.iter().map(|open| open.content.clone()).collect());
    if let Some(why) = database.why_authored_stays(&update).await? {
        return Err(ImportError::Changed { name: update.name, why });
    }
    let (count, content_bytes) = (contents.len(), contents.iter().map(|open| open.content.size.unsigned_abs()).sum());
    let stored = put_all(store, contents).await?;
    let written = database.import_authored(&update, now).await;
    if !matches!(written, Ok(AuthoredWrite::Done { .. })) {
        forget_unnamed(database, store, &stored).await?;
    }
    match written? {
        AuthoredWrite::Refused(why) => Err(ImportError::Changed { name: update.name, why }),
        AuthoredWrite::Done { outcome, superseded_by } => Ok(Imported {
            name: update.name,
            outcome,
            superseded_by,
            contents: count,
            content_bytes,
            is_deployable: update.installer.is_some(),
            waits_for,
        }),
    }
}

/// Expires the versions of a policy, or the one that is named, and drops what content nothing names any more.
/// Deployments install nothing more of it; what clients said of it stays.
///
/// # Errors
/// When the database or the store fails, or an older version would come back for which there is no place. Nothing is
/// removed where there is nothing of this name.
pub async fn remove(
    database: &Database,
    store: &ContentStore,
    policy: &str,
    version: Option<&str>,
    now: UnixTime,
) -> Result<Removed, ImportError> {
    if let Some(version) = version {
        check_what_comes_back(database, policy, version).await?;
    }
    let (names, digests) = database.remove_authored(policy, version, now).await?;
    let unnamed = crate::content::unneeded(database, UnixTime::MAX).await.map_err(ImportError::Deployments)?;
    let unnamed: BTreeSet<Digest> = unnamed.into_iter().collect();
    let mut dropped = Dropped::default();
    for digest in digests {
        if unnamed.contains(&digest) {
            // In this order: what is forgotten is surely gone.
            store.remove(&digest).await?;
            database.forget_content(&digest).await?;
            dropped.files += 1;
        } else {
            dropped.kept += 1;
        }
    }
    Ok(Removed { names, dropped })
}

/// Reads, checks and encodes; files are hashed away from the threads that answer others.
async fn whole(file: &Path, plugins: &KnownPlugins) -> Result<Whole, ImportError> {
    let (file, plugins) = (file.to_owned(), plugins.clone());
    tokio::task::spawn_blocking(move || {
        let text = std::fs::read_to_string(&file).map_err(|source| ImportError::Read { file: file.clone(), source })?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let refused = |source| ImportError::Policy { file: file.clone(), source };
        let policy = PolicyFile::parse(&text).map_err(refused)?;
        let encoded = encode(&policy, &folder, &plugins).map_err(refused)?;
        let mut contents = Vec::with_capacity(policy.contents.len());
        for content in &policy.contents {
            let path = folder.join(&content.file);
            let open = measure(&content.label, &path).map_err(|source| ImportError::Read { file: path, source })?;
            if let Some(expected) = content.sha256.filter(|expected| *expected != open.content.sha256) {
                let problem = format!(
                    "{} has the SHA-256 {}, and `sha256` says {expected}: is it the right file?",
                    content.file.display(),
                    open.content.sha256
                );
                return Err(refused(PolicyError::Line { line: content.line, problem }));
            }
            contents.push(open);
        }
        Ok(Whole { policy, encoded, contents })
    })
    .await?
}

fn encode(policy: &PolicyFile, folder: &Path, plugins: &KnownPlugins) -> Result<Encoded, PolicyError> {
    let unknown = |name: &str| {
        let names = plugins.names().join(", ");
        format!(
            "there is no plugin {name:?}, but {names}: push it with `farrier plugin push` (to check only: \
                 give its component with --plugin), or name another one"
        )
    };
    let named = &policy.applicability.plugin;
    let plugin = plugins.get(named).ok_or_else(|| policy.applicability.plugin_problem(unknown(named)))?;
    let installer: Option<&Manifest> = match &policy.installation {
        None => None,
        Some(installation) => {
            let named = &installation.plugin;
            Some(plugins.get(named).ok_or_else(|| installation.plugin_problem(unknown(named)))?)
        }
    };
    policy.encode(folder, plugin, installer)
}

fn measure(label: &str, path: &Path) -> io::Result<OpenContent> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let (mut hasher, mut buffer, mut size) = (Sha256::new(), vec![0; READ_BYTES], 0_i64);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size = size.saturating_add(i64::try_from(read).unwrap_or(i64::MAX));
            }
        }
    }
    file.rewind()?;
    let content = AuthoredContent { label: label.to_owned(), size, sha256: Digest(hasher.finalize().into()) };
    Ok(OpenContent { content, file })
}

/// Whether a client takes the site's catalogs and their plugins, with those that this policy has with this plugin and
/// these scopes.
async fn check_places(
    database: &Database,
    policy: &str,
    plugin: &str,
    scopes: impl Iterator<Item = String>,
) -> Result<(), ImportError> {
    let of_suites: usize = database.suites().await?.iter().map(|suite| suite.architectures.len()).sum();
    let mut authored = database.authored_scopes(policy).await?;
    authored.extend(scopes.map(|scope| (plugin.to_owned(), scope)));
    let of_suites_plugin = (of_suites > 0).then_some(PLUGIN_OF_SUITES);
    let plugins: BTreeSet<&str> = authored.iter().map(|(plugin, _)| plugin.as_str()).chain(of_suites_plugin).collect();
    match (of_suites + authored.len(), plugins.len()) {
        (catalogs, _) if catalogs > MAX_CATALOGS => Err(ImportError::TooManyCatalogs(catalogs)),
        (_, plugins) if plugins > MAX_PLUGINS => Err(ImportError::TooManyPlugins(plugins)),
        _ => Ok(()),
    }
}

/// The same of the version before, which is in force again when this one is removed.
async fn check_what_comes_back(database: &Database, policy: &str, version: &str) -> Result<(), ImportError> {
    let rows = database.authored_rows(Some(policy), false).await?;
    let [removed, before, ..] = rows.as_slice() else { return Ok(()) };
    if removed.version != version {
        return Ok(());
    }
    let checked = check_places(database, policy, &before.plugin, before.scopes.iter().cloned()).await;
    checked.map_err(|error| match error {
        ImportError::TooManyCatalogs(_) | ImportError::TooManyPlugins(_) => {
            ImportError::ComesBack { name: before.name(), source: Box::new(error) }
        }
        other => other,
    })
}

fn authored(policy: &PolicyFile, encoded: Encoded, contents: Vec<AuthoredContent>) -> AuthoredUpdate {
    let scopes: Vec<String> = policy.applicability.scopes.iter().map(|(scope, _)| scope.clone()).collect();
    let mut update = AuthoredUpdate {
        name: policy.update_name(),
        policy: policy.name.clone(),
        version: policy.version.clone(),
        title: policy.title.clone(),
        classification: policy.classification,
        meaning: Digest([0; 32]),
        plugin: policy.applicability.plugin.clone(),
        scopes,
        rule: encoded.rule,
        installer: policy.installation.as_ref().map(|installation| installation.plugin.clone()),
        instructions: encoded.instructions,
        definition: policy.text.clone(),
        contents,
    };
    update.meaning = meaning(&update);
    update
}

/// SHA-256 over everything that clients are told of it. Title, description and the like may change within a version.
fn meaning(update: &AuthoredUpdate) -> Digest {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(update.plugin.as_bytes());
    add(update.scopes.join("\n").as_bytes());
    add(&update.rule);
    // No plugin has the empty name.
    add(update.installer.as_deref().unwrap_or_default().as_bytes());
    add(&update.instructions);
    for content in &update.contents {
        add(content.label.as_bytes());
        add(content.sha256.as_bytes());
    }
    Digest(hasher.finalize().into())
}

/// Stores what the store does not have; returns that.
async fn put_all(store: &ContentStore, contents: Vec<OpenContent>) -> Result<Vec<Digest>, ImportError> {
    let mut stored = Vec::new();
    for OpenContent { content, file } in contents {
        if store.length(&content.sha256).await? != Some(content.size.unsigned_abs()) {
            store.put(&content.sha256, file).await?;
            stored.push(content.sha256);
        }
    }
    Ok(stored)
}

/// What was stored for an import that did not come about, unless something else names it.
async fn forget_unnamed(database: &Database, store: &ContentStore, stored: &[Digest]) -> Result<(), ImportError> {
    for digest in stored {
        if database.content(digest).await?.is_none() {
            store.remove(digest).await?;
        }
    }
    Ok(())
}
