//! Debian archives as an upstream: a signed release per suite, package indices below it.
//!
//! Trust comes from the keyring alone. The release must be signed by a key in it, everything else must have the size
//! and the digest that the release gives, before a byte of it is parsed. Nothing here touches the database.

pub mod apt_sources;
mod cleartext;
mod deb822;
mod grouping;
mod indices;
mod keyring;
mod packages;
mod release;
mod root;

use super::progress::Progress;
use crate::config::SuiteConfig;
use crate::database::{ImportedUpdate, Suite, SuiteImport, SuitePhase, now};
use crate::upstream::{Source, Validator};
use anyhow::Context as _;
use farrier_protocol::Digest;
use grouping::Grouping;
use indices::{Downloaded, Index};
use keyring::Keyring;
use release::{Fetched, Known, Release};
use serde::{Deserialize, Serialize};

/// Packages between two notes of progress.
const PACKAGES_PER_NOTE: usize = 500;

/// What came of asking an upstream for a suite.
#[derive(Debug)]
pub enum Outcome {
    /// The upstream has what was imported before.
    Unchanged {
        /// What makes the next request a conditional one.
        validator: Option<String>,
    },
    /// The upstream has something else.
    Changed(SuiteImport),
}

/// What is kept to ask for a release conditionally: only under the same configuration and keyrings, and only while the
/// release it stands for is valid.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    configuration: String,
    valid_until: Option<i64>,
    validator: Validator,
}

/// Asks the upstream for a suite; fetches, verifies and reads it if it is not what was imported before.
///
/// # Errors
/// When anything cannot be had or is not taken; the message says what to do.
pub async fn fetch(config: &SuiteConfig, suite: &Suite, progress: &Progress) -> anyhow::Result<Outcome> {
    progress.enter(SuitePhase::Downloading, 0);
    let source = Source::open(&config.mirror)?;
    let keyring = Keyring::load(&config.keyrings)?;
    let configuration = configuration(config, &keyring)?;
    let remembered = suite.validator.as_deref().and_then(|text| Remembered::parse(text, &configuration));
    let known = Known { validator: remembered.as_ref().map(|known| &known.validator), date: suite.released_at };
    let (release, validator) = match release::fetch(&source, config, &keyring, &known, now()).await? {
        Fetched::NotModified => return Ok(Outcome::Unchanged { validator: suite.validator.clone() }),
        Fetched::Release(release, validator) => (release, validator),
    };
    let validator =
        validator.map(|validator| Remembered::new(&configuration, &release, validator).to_text()).transpose()?;
    let imported = Digest::of(format!("{configuration}\n{}", release.digest).as_bytes());
    if suite.imported == Some(imported) {
        return Ok(Outcome::Unchanged { validator });
    }
    let indices = indices::choose(config, &release)?;
    let downloaded = download(&source, config, &release, indices, progress).await?;
    let updates = read(config, downloaded, progress).await?;
    Ok(Outcome::Changed(SuiteImport {
        validator,
        imported,
        released_at: release.date,
        follow: release.follow,
        updates,
    }))
}

/// What decides how a release is imported: another one of these, and the same release is imported again.
fn configuration(config: &SuiteConfig, keyring: &Keyring) -> anyhow::Result<String> {
    let configuration = serde_json::to_string(config)?;
    Ok(Digest::of(format!("{configuration}\n{}", keyring.digest()).as_bytes()).to_string())
}

async fn download(
    source: &Source,
    config: &SuiteConfig,
    release: &Release,
    indices: Vec<Index>,
    progress: &Progress,
) -> anyhow::Result<Vec<Downloaded>> {
    progress.enter(SuitePhase::Downloading, indices.iter().map(Index::bytes).sum());
    let mut downloaded = Vec::new();
    for index in indices {
        downloaded.push(index.download(source, config, release.by_hash, |bytes| progress.advance(bytes)).await?);
    }
    Ok(downloaded)
}

/// Unpacking and parsing is work for the processor: it leaves the other tasks their thread.
async fn read(
    config: &SuiteConfig,
    indices: Vec<Downloaded>,
    progress: &Progress,
) -> anyhow::Result<Vec<ImportedUpdate>> {
    progress.enter(SuitePhase::Importing, 0);
    let (config, progress) = (config.clone(), progress.clone());
    let read = tokio::task::spawn_blocking(move || {
        let mut grouping = Grouping::new(&config);
        for index in indices {
            read_index(index, &mut grouping, &progress)?;
        }
        let packages = grouping.packages() as u64;
        progress.enter(SuitePhase::Importing, packages);
        progress.advance_to(packages);
        grouping.finish()
    });
    read.await?
}

fn read_index(index: Downloaded, grouping: &mut Grouping<'_>, progress: &Progress) -> anyhow::Result<()> {
    let address = index.address.clone();
    let stanzas = index.open().with_context(|| format!("{address} cannot be unpacked"))?;
    let read = packages::parse(stanzas, |package| {
        grouping.add(&package);
        if grouping.packages().is_multiple_of(PACKAGES_PER_NOTE) {
            progress.advance_to(grouping.packages() as u64);
        }
    });
    read.with_context(|| format!("{address} is refused"))
}

impl Remembered {
    fn new(configuration: &str, release: &Release, validator: Validator) -> Self {
        Self { configuration: configuration.to_owned(), valid_until: release.valid_until, validator }
    }

    fn parse(text: &str, configuration: &str) -> Option<Self> {
        let known: Self = serde_json::from_str(text).ok()?;
        let is_valid = known.valid_until.is_none_or(|until| until > now());
        (known.configuration == configuration && is_valid).then_some(known)
    }

    fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// A point in time, for people who need no more than the day.
fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("second {seconds}"), |time| time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_asked_for_conditionally_only_while_it_is_valid_and_configured_the_same() {
        let remembered = |valid_until| {
            let validator = Validator::Etag("\"a\"".to_owned());
            Remembered { configuration: "same".to_owned(), valid_until, validator }.to_text().unwrap()
        };
        for valid_until in [None, Some(now() + 60)] {
            assert!(Remembered::parse(&remembered(valid_until), "same").is_some());
            assert!(Remembered::parse(&remembered(valid_until), "other").is_none());
        }
        assert!(Remembered::parse(&remembered(Some(now() - 60)), "same").is_none());
        assert!(Remembered::parse("no JSON", "same").is_none());
    }
}
