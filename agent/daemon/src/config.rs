//! `agent.toml`: read once at the start. `agent.example.toml` documents every setting.

use farrier_runtime::Limits;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};

/// Where the configuration is, if it is nowhere else.
pub const DEFAULT_FILE: &str = "/etc/farrier/agent.toml";

/// An agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of everything the agent keeps.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// The root of the endpoint that is assessed.
    #[serde(default = "default_root")]
    pub root: PathBuf,
    /// What this client allows plugins.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// Periods that go before the site's.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// What one plugin may use.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// What this client allows plugins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginsConfig {
    /// The files plugins may read, if the site approved it and they ask for it: globs over the endpoint's root.
    #[serde(default = "default_read")]
    pub read: Vec<String>,
}

/// Periods that go before the site's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Seconds between two polls.
    pub poll_seconds: Option<u32>,
    /// Seconds between two scans.
    pub scan_seconds: Option<u32>,
}

/// What one plugin may use; what is absent is as the agent was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of all linear memories.
    pub memory_bytes: Option<usize>,
    /// Milliseconds of one call.
    pub call_milliseconds: Option<u64>,
    /// Milliseconds of all calls of a scan.
    pub scan_milliseconds: Option<u64>,
    /// Bytes read from all files.
    pub file_bytes: Option<u64>,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {file} cannot be read: agent.example.toml shows what to write")]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the TOML we expect.
    #[error("{file} is no valid agent configuration: agent.example.toml documents every setting")]
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

impl Config {
    /// Reads a configuration; relative paths in it are taken from its folder. Without a file that was asked for, the
    /// default file, and without that, the defaults.
    ///
    /// # Errors
    /// When it cannot be read, parsed or followed.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, asked_for) = file.map_or((Path::new(DEFAULT_FILE), false), |file| (file, true));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !asked_for => String::new(),
            Err(source) => return Err(ConfigError::Read { file: path.to_owned(), source }),
        };
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { file: path.to_owned(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.data = folder.join(&config.data);
        config.root = folder.join(&config.root);
        config.check().map_err(|problem| ConfigError::Invalid { file: path.to_owned(), problem })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let ScheduleConfig { poll_seconds, scan_seconds } = self.schedule;
        if let Some(setting) = zero([("poll_seconds", poll_seconds), ("scan_seconds", scan_seconds)]) {
            return Err(format!("schedule.{setting} is 0: write a number of seconds, or leave it to the site"));
        }
        let LimitsConfig { memory_bytes, call_milliseconds, scan_milliseconds, file_bytes } = self.limits;
        let limits = [
            ("call_milliseconds", call_milliseconds),
            ("scan_milliseconds", scan_milliseconds),
            ("file_bytes", file_bytes),
            ("memory_bytes", memory_bytes.map(|bytes| bytes as u64)),
        ];
        match zero(limits) {
            Some(setting) => Err(format!("limits.{setting} is 0, and no plugin runs with nothing: write more")),
            None => Ok(()),
        }
    }
}

impl LimitsConfig {
    /// The runtime's limits with these in their place.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(default.memory_bytes),
            call_milliseconds: self.call_milliseconds.unwrap_or(default.call_milliseconds),
            scan_milliseconds: self.scan_milliseconds.unwrap_or(default.scan_milliseconds),
            file_bytes: self.file_bytes.unwrap_or(default.file_bytes),
            ..default
        }
    }
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self { read: default_read() }
    }
}

/// The first setting that is 0.
fn zero<T: Default + PartialEq>(settings: impl IntoIterator<Item = (&'static str, Option<T>)>) -> Option<&'static str> {
    settings.into_iter().find(|(_, value)| *value == Some(T::default())).map(|(setting, _)| setting)
}

fn default_data() -> PathBuf {
    "/var/lib/farrier-agent".into()
}

fn default_root() -> PathBuf {
    "/".into()
}

/// What says which software is installed, and nothing that is a secret.
fn default_read() -> Vec<String> {
    ["/etc/os-release", "/usr/lib/os-release", "/var/lib/dpkg/*"].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    #[test]
    fn the_example_says_what_is_the_default_and_every_setting_in_it_is_real() {
        let text = include_str!("../../../agent.example.toml");
        assert_eq!(load(text).unwrap(), load("").unwrap());
        let settings = text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
        let config = load(&settings.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(config.schedule.poll_seconds.is_some() && config.schedule.scan_seconds.is_some());
        assert_eq!(config.limits.limits(), Limits::default(), "the example shows the defaults");
        assert!(config.limits.memory_bytes.is_some() && config.limits.file_bytes.is_some());
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let error = load("[plugin]\nread = []").unwrap_err();
        assert!(anyhow::Error::new(error).chain().any(|cause| cause.to_string().contains("unknown field `plugin`")));
    }

    #[test]
    fn a_period_or_a_limit_of_nothing_is_refused_by_name() {
        for (text, setting) in [
            ("[schedule]\npoll_seconds = 0", "schedule.poll_seconds"),
            ("[limits]\nmemory_bytes = 0", "limits.memory_bytes"),
        ] {
            assert!(load(text).unwrap_err().to_string().contains(setting));
        }
    }

    #[test]
    fn a_missing_file_that_was_asked_for_is_named() {
        let error = Config::load(Some(Path::new("/nonexistent/agent.toml"))).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/agent.toml"));
    }

    #[test]
    fn relative_paths_are_taken_from_the_files_folder() {
        let config = load("data = \"state\"").unwrap();
        assert!(config.data.is_absolute() && config.data.ends_with("state"));
    }
}
