//! `site.toml`: one struct per role, read once at the start. `site.example.toml` documents every setting.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A site's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The site's name, as the console shows it.
    pub name: String,
    /// The folder of keys, repository and (by default) database.
    pub data: PathBuf,
    /// The site database.
    #[serde(default)]
    pub database: DatabaseConfig,
    /// Where clients connect.
    pub management_point: ManagementPointConfig,
    /// Where administrators look.
    #[serde(default)]
    pub console: ConsoleConfig,
    /// Where content of updates is kept.
    #[serde(default)]
    pub content: ContentConfig,
    /// Where software updates come from.
    #[serde(default)]
    pub software_update_point: SoftwareUpdatePointConfig,
}

/// The site database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite://FILE` or `postgres://USER@HOST/NAME`; `site.db` in the data folder if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The management point and the distribution point, which share a port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagementPointConfig {
    /// The socket to listen on.
    pub listen: SocketAddr,
    /// The address clients use, `https://host:port`: written into enrolment tokens and the TLS certificate.
    pub address: String,
    /// How often clients ask for news.
    #[serde(default = "default_poll", with = "duration")]
    pub poll_every: SignedDuration,
    /// How often clients scan.
    #[serde(default = "default_scan", with = "duration")]
    pub scan_every: SignedDuration,
    /// Who lets new clients in.
    #[serde(default)]
    pub approve_clients: ClientApproval,
}

/// Who lets new clients in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientApproval {
    /// Whoever has a token is in.
    #[default]
    Automatic,
    /// An administrator, one by one: `farrier client approve`.
    Manual,
}

/// The console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// The socket to listen on: loopback only, as there is no sign-in yet.
    #[serde(default = "default_console")]
    pub listen: SocketAddr,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { listen: default_console() }
    }
}

/// Content of updates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentConfig {
    /// `folder`, for `content` in the data folder, or `s3://bucket/prefix`.
    #[serde(default = "default_store")]
    pub store: String,
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self { store: default_store() }
    }
}

/// Where content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentPlace<'a> {
    /// `content` in the data folder.
    Folder,
    /// A bucket of S3, or of something that speaks like it.
    S3 {
        /// Its name.
        bucket: &'a str,
        /// What the names of the objects begin with; may be empty.
        prefix: &'a str,
    },
}

impl ContentConfig {
    /// Where content is kept.
    #[must_use]
    pub fn place(&self) -> ContentPlace<'_> {
        match self.store.strip_prefix("s3://") {
            None => ContentPlace::Folder,
            Some(rest) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                ContentPlace::S3 { bucket, prefix }
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.place() {
            ContentPlace::Folder if self.store == "folder" => Ok(()),
            ContentPlace::S3 { bucket, .. } if !bucket.is_empty() => Ok(()),
            _ => Err(format!("content.store is {:?}: write \"folder\" or \"s3://bucket/prefix\"", self.store)),
        }
    }
}

/// The software update point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareUpdatePointConfig {
    /// How often to synchronize; `0s` means only on request.
    #[serde(default = "default_synchronize", with = "duration")]
    pub synchronize_every: SignedDuration,
    /// The upstream suites.
    #[serde(default, rename = "suite", skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteConfig>,
}

impl Default for SoftwareUpdatePointConfig {
    fn default() -> Self {
        Self { synchronize_every: default_synchronize(), suites: Vec::new() }
    }
}

/// One suite of a Debian archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteConfig {
    /// Unique on this site, stable for ever: it is part of the updates' names.
    pub name: String,
    /// The `ID` of the clients' os-release.
    #[serde(default = "default_distribution")]
    pub distribution: String,
    /// The `VERSION_CODENAME` of the clients' os-release.
    pub release: String,
    /// The archive: `http:`, `https:` or `file:`.
    pub mirror: String,
    /// The suite below `dists/`, or a flat repository's folder, which ends in `/`.
    pub suite: String,
    /// The components (`main`); none for a flat repository.
    #[serde(default)]
    pub components: Vec<String>,
    /// The Debian architectures (`amd64`).
    pub architectures: Vec<String>,
    /// OpenPGP keyrings, binary or armoured; a signature of any key in them is taken.
    pub keyrings: Vec<PathBuf>,
    /// What its updates are; told by the suite's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Refuse the suite when its `Valid-Until` has passed.
    #[serde(default = "yes")]
    pub check_valid_until: bool,
}

/// What kind of update. The greater, the more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Classification {
    /// A new version in a release or point release.
    Updates = 0,
    /// A fix that does not wait for the next point release (`-updates`).
    #[serde(rename = "Critical Updates")]
    CriticalUpdates = 1,
    /// A fix of a vulnerability (`-security`).
    #[serde(rename = "Security Updates")]
    SecurityUpdates = 2,
}

impl Classification {
    /// All classifications, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Updates, Self::CriticalUpdates, Self::SecurityUpdates];

    /// What the suites of Debian and its derivatives say by their names.
    #[must_use]
    pub fn of_suite(suite: &str) -> Self {
        match suite {
            name if name.contains("-security") || name.ends_with("/updates") => Self::SecurityUpdates,
            name if name.ends_with("-updates") => Self::CriticalUpdates,
            _ => Self::Updates,
        }
    }

    /// The name as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updates => "Updates",
            Self::CriticalUpdates => "Critical Updates",
            Self::SecurityUpdates => "Security Updates",
        }
    }

    /// The classification stored as this number, if there is one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|classification| *classification as i64 == number)
    }
}

impl std::fmt::Display for Classification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file} cannot be read; `farrier init` writes one")]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the TOML we expect.
    #[error("{file} is no valid site configuration")]
    Parse {
        /// Which file.
        file: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A setting makes no sense.
    #[error("{file}: {problem}")]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// Which setting, and what to write.
        problem: String,
    },
}

/// The suites in a file of `[[suite]]` tables, as `farrier init --suites` takes them.
///
/// # Errors
/// As [`Config::load`].
pub fn suites_of_file(file: &Path) -> Result<Vec<SuiteConfig>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Suites {
        suite: Vec<SuiteConfig>,
    }
    let Suites { mut suite } = parse(file)?;
    suite.iter_mut().for_each(|suite| suite.resolve_paths(file.parent().unwrap_or(Path::new(""))));
    Ok(suite)
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { file: file.to_owned(), source: Box::new(source) })
}

impl Config {
    /// Reads and checks a configuration. Relative paths in it are taken from its folder.
    ///
    /// # Errors
    /// When it cannot be read, parsed or followed; the message names the setting and the remedy.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = parse(file)?;
        config.resolve_paths(file.parent().unwrap_or(Path::new("")));
        config.check().map_err(|problem| ConfigError::Invalid { file: file.to_owned(), problem })?;
        Ok(config)
    }

    /// The database's URL: the configured one or `site.db` in the data folder.
    #[must_use]
    pub fn database_url(&self) -> String {
        let default = || format!("sqlite://{}", self.data.join("site.db").display());
        self.database.url.clone().unwrap_or_else(default)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.data = folder.join(&self.data);
        if let Some(file) = self.database.url.as_deref().and_then(|url| url.strip_prefix("sqlite://")) {
            self.database.url = Some(format!("sqlite://{}", folder.join(file).display()));
        }
        self.software_update_point.suites.iter_mut().for_each(|suite| suite.resolve_paths(folder));
    }

    /// Whether the settings make sense; if not, which one does not and what to write.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("name is empty: write the site's name, as the console is to show it".to_owned());
        }
        if !self.console.listen.ip().is_loopback() {
            return Err(format!(
                "console.listen is {}: the console has no sign-in yet, so it listens on loopback only (127.0.0.1:8444)",
                self.console.listen
            ));
        }
        let authority = self.management_point.address.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
        if authority.is_none_or(|authority| authority.is_empty() || authority.contains('/')) {
            return Err(format!(
                "management_point.address is {:?}: write the address clients use, https://host:port",
                self.management_point.address
            ));
        }
        for (setting, period) in
            [("poll_every", self.management_point.poll_every), ("scan_every", self.management_point.scan_every)]
        {
            if period < SignedDuration::from_secs(1) || u32::try_from(period.as_secs()).is_err() {
                return Err(format!("management_point.{setting} is {period:#}: write a period of a second or more"));
            }
        }
        self.content.check()?;
        let mut names = HashSet::new();
        self.software_update_point.suites.iter().try_for_each(|suite| suite.check(&mut names))
    }
}

impl SuiteConfig {
    /// What its updates are.
    #[must_use]
    pub fn classification(&self) -> Classification {
        self.classification.unwrap_or_else(|| Classification::of_suite(&self.suite))
    }

    fn resolve_paths(&mut self, folder: &Path) {
        for keyring in &mut self.keyrings {
            *keyring = folder.join(&*keyring);
        }
        if let Some(path) = self.mirror.strip_prefix("file:").filter(|path| !path.starts_with('/')) {
            self.mirror = format!("file:{}", folder.join(path).display());
        }
    }

    fn check<'a>(&'a self, names: &mut HashSet<&'a str>) -> Result<(), String> {
        let name = &self.name;
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.+~".contains(c);
        if name.is_empty() || !name.chars().all(safe) || name.len() > 64 {
            return Err(format!("suite name {name:?}: write up to 64 letters, digits and any of - _ . + ~"));
        }
        if name == crate::authored::SUITE {
            return Err(format!("suite {name}: policies have this name; give the suite another `name`"));
        }
        if !names.insert(name) {
            return Err(format!("two suites are named {name:?}: give each its own `name`"));
        }
        if !["http://", "https://", "file:/"].iter().any(|scheme| self.mirror.starts_with(scheme)) {
            return Err(format!("suite {name}: mirror {:?} is neither http:, https: nor file:", self.mirror));
        }
        if self.suite.ends_with('/') != self.components.is_empty() {
            return Err(format!(
                "suite {name}: a suite needs components (components = [\"main\"]), a flat repository (suite = \"./\") has none"
            ));
        }
        if self.release.is_empty() || self.distribution.is_empty() {
            return Err(format!("suite {name}: name the distribution and the release of its clients (os-release)"));
        }
        if self.architectures.is_empty() {
            return Err(format!("suite {name}: name at least one architecture (architectures = [\"amd64\"])"));
        }
        if self.keyrings.is_empty() {
            return Err(format!(
                "suite {name}: name the keyring that verifies it (keyrings = [\"/usr/share/keyrings/...\"])"
            ));
        }
        Ok(())
    }
}

fn default_poll() -> SignedDuration {
    SignedDuration::from_mins(15)
}

fn default_scan() -> SignedDuration {
    SignedDuration::from_hours(6)
}

fn default_synchronize() -> SignedDuration {
    SignedDuration::from_hours(6)
}

fn default_console() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8444))
}

fn default_store() -> String {
    "folder".to_owned()
}

fn default_distribution() -> String {
    "debian".to_owned()
}

fn yes() -> bool {
    true
}

/// A period as people write it: `30s`, `15m`, `36h`.
///
/// # Errors
/// In words, when it is none, or negative.
pub fn parse_period(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(period) if !period.is_negative() => Ok(period),
        _ => Err(format!("{text:?} is no period: write 30s, 15m or 36h")),
    }
}

/// Periods as people write them: `30s`, `15m`, `36h`.
mod duration {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{duration:#}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
        super::parse_period(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
