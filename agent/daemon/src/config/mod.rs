//! `agent.toml`: read once at the start. `agent.example.toml` documents every setting.

mod sections;

pub use sections::{
    DownloadsConfig, EngineConfig, LimitsConfig, PluginsConfig, RestartConfig, ScheduleConfig, UserConfig,
};

use sections::check_tags;
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
    /// Words that collections at the site can be made by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What this client allows plugins.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// Periods that go before the site's.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// What one plugin may use.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// How the content of updates is downloaded.
    #[serde(default)]
    pub downloads: DownloadsConfig,
    /// What users of the endpoint are told.
    #[serde(default)]
    pub user: UserConfig,
    /// How the machine is restarted.
    #[serde(default)]
    pub restart: RestartConfig,
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
        check_tags(&self.tags)?;
        self.plugins.check()?;
        self.schedule.check()?;
        self.limits.check()?;
        self.downloads.check()?;
        self.user.check()?;
        self.restart.check()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: default_data(),
            root: default_root(),
            tags: Vec::new(),
            plugins: PluginsConfig::default(),
            schedule: ScheduleConfig::default(),
            limits: LimitsConfig::default(),
            downloads: DownloadsConfig::default(),
            user: UserConfig::default(),
            restart: RestartConfig::default(),
        }
    }
}

fn default_data() -> PathBuf {
    "/var/lib/farrier-agent".into()
}

fn default_root() -> PathBuf {
    "/".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_runtime::{Limits, Profile};

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    #[test]
    fn the_example_says_what_is_the_default_and_every_setting_in_it_is_real() {
        let text = include_str!("../../../../agent.example.toml");
        assert_eq!(load(text).unwrap(), load("").unwrap());
        let settings = text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
        let config = load(&settings.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(config.schedule.poll_seconds.is_some() && config.schedule.scan_seconds.is_some());
        assert_eq!(config.limits.limits(), Limits::default(), "the example shows the defaults");
        assert!(config.limits.memory_bytes.is_some() && config.limits.file_bytes.is_some());
        assert!(config.limits.component_bytes.is_some());
        assert_eq!(config.plugins.profile(), PluginsConfig::default().profile(), "the example shows the default");
        assert!(config.plugins.engine.is_some() && config.plugins.compile.is_some());
        assert!(config.downloads.bytes_per_second.is_some() && config.downloads.bytes_per_day.is_some());
        assert!(config.downloads.proxy.is_some() && config.user.hook.is_some() && config.restart.boot_id.is_some());
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let error = load("[plugin]\nread = []").unwrap_err();
        assert!(anyhow::Error::new(error).chain().any(|cause| cause.to_string().contains("unknown field `plugin`")));
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_refused_by_name() {
        for (text, setting) in [
            ("[schedule]\npoll_seconds = 0", "schedule.poll_seconds"),
            ("[limits]\nmemory_bytes = 0", "limits.memory_bytes"),
            ("[limits]\ncomponent_bytes = 0", "limits.component_bytes"),
            ("[downloads]\ncache_bytes = 0", "downloads.cache_bytes"),
            ("[downloads]\nproxy = \"proxy:3128\"", "downloads.proxy"),
            ("[user]\nhook = \"tell\"", "user.hook"),
            ("[restart]\ncommand = []", "restart.command"),
            ("[restart]\ncommand = [\"reboot\"]", "restart.command"),
            ("tags = [\"two words\"]", "two words"),
        ] {
            assert!(load(text).unwrap_err().to_string().contains(setting));
        }
    }

    #[test]
    fn plugins_are_executed_as_it_says() {
        let plugins = |text: &str| load(text).unwrap().plugins;
        assert_eq!(plugins("").profile(), Profile::fastest());
        assert_eq!(plugins("[plugins]\nengine = \"pulley\"").profile(), Profile::Pulley);
        assert_eq!(plugins("").compiles(), cfg!(feature = "full"));
        assert!(!plugins("[plugins]\ncompile = false").compiles());
        let compiling = load("[plugins]\ncompile = true");
        assert_eq!(compiling.is_ok(), cfg!(feature = "full"), "{compiling:?}");
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
