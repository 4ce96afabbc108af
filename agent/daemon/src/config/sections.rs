//! The sections of `agent.toml`, one struct each.

use farrier_protocol::state_message::{MAX_TAG_BYTES, MAX_TAGS};
use farrier_runtime::{Limits, Profile};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Bytes of downloaded updates that are kept, unless the configuration says otherwise.
const CACHE_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// What says which software is installed and which restarts are due, and nothing that is a secret.
const DEFAULT_READ: [&str; 7] = [
    "/etc/os-release",
    "/usr/lib/os-release",
    "/var/lib/dpkg/*",
    "/var/lib/dpkg/updates/*",
    "/var/lib/rpm/*",
    "/usr/lib/sysimage/rpm/*",
    "/run/reboot-required*",
];
/// Exactly what the in-box installer of Debian packages asks for; a test compares them.
const DEFAULT_RUN: [&str; 5] = [
    "/usr/bin/dpkg-deb --field {blob} Package Version Architecture Multi-Arch Essential Protected Pre-Depends \
     Depends Conflicts Breaks Provides Replaces",
    "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold \
     --refuse-downgrade --auto-deconfigure --simulate --install {blob}...",
    "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold \
     --refuse-downgrade --auto-deconfigure --install {blob}...",
    "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold \
     --force-downgrade --auto-deconfigure --install {blob}...",
    "DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 /usr/bin/dpkg --force-confdef --force-confold --configure \
     --pending",
];

/// What this client allows plugins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginsConfig {
    /// The files plugins may read, if the site approved it and they ask for it: globs over the endpoint's root.
    #[serde(default = "default_read")]
    pub read: Vec<String>,
    /// The files installer plugins may write, under the same conditions.
    #[serde(default)]
    pub write: Vec<String>,
    /// The programs installer plugins may run, with the shapes of their arguments, under the same conditions.
    #[serde(default = "default_run")]
    pub run: Vec<String>,
    /// How plugins are executed; if absent, as fast as this machine can.
    pub engine: Option<EngineConfig>,
    /// Whether they are compiled here; if absent, wherever this agent has a compiler.
    pub compile: Option<bool>,
}

/// How plugins are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineConfig {
    /// As code of this machine.
    Native,
    /// As bytecode that is interpreted.
    Pulley,
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
    /// Bytes of its component.
    pub component_bytes: Option<usize>,
}

/// How the content of updates is downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadsConfig {
    /// Bytes a second, at most.
    pub bytes_per_second: Option<u64>,
    /// Bytes a day, at most.
    pub bytes_per_day: Option<u64>,
    /// Bytes that are kept, at most.
    #[serde(default = "default_cache_bytes")]
    pub cache_bytes: u64,
    /// The proxy on the way to upstreams' mirrors, as a URL. The site is always reached directly.
    pub proxy: Option<String>,
}

/// What users of the endpoint are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// The program that tells them.
    pub hook: Option<PathBuf>,
}

/// How the machine is restarted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartConfig {
    /// The program and its arguments.
    #[serde(default = "default_restart")]
    pub command: Vec<String>,
    /// The file whose content differs after every restart. Without one, an endpoint with another root never restarts.
    pub boot_id: Option<PathBuf>,
}

/// How many times the size of a component its compiled form may have, where the configuration allows large ones.
const ARTEFACT_TIMES: usize = 8;

impl PluginsConfig {
    /// How plugins are executed.
    #[must_use]
    pub fn profile(&self) -> Profile {
        match self.engine {
            Some(EngineConfig::Native) => Profile::Native,
            Some(EngineConfig::Pulley) => Profile::Pulley,
            None => Profile::fastest(),
        }
    }

    /// Whether plugins are compiled here. What is not compiled here, the site has compiled and signed.
    #[must_use]
    pub fn compiles(&self) -> bool {
        self.compile.unwrap_or(cfg!(feature = "full"))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.engine == Some(EngineConfig::Native) && !Profile::HAS_NATIVE {
            let arch = std::env::consts::ARCH;
            return Err(format!(
                "plugins.engine is native, and nothing compiles to code of {arch} machines: write pulley"
            ));
        }
        if self.compiles() && !cfg!(feature = "full") {
            return Err(
                "plugins.compile is true, and this lite agent has no compiler: install the full one, or write \
                        false"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl LimitsConfig {
    /// The runtime's limits with these in their place.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        let component_bytes = self.component_bytes.unwrap_or(default.component_bytes);
        Limits {
            component_bytes,
            artefact_bytes: default.artefact_bytes.max(component_bytes.saturating_mul(ARTEFACT_TIMES)),
            memory_bytes: self.memory_bytes.unwrap_or(default.memory_bytes),
            call_milliseconds: self.call_milliseconds.unwrap_or(default.call_milliseconds),
            scan_milliseconds: self.scan_milliseconds.unwrap_or(default.scan_milliseconds),
            file_bytes: self.file_bytes.unwrap_or(default.file_bytes),
            ..default
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Self { memory_bytes, call_milliseconds, scan_milliseconds, file_bytes, component_bytes } = *self;
        let limits = [
            ("call_milliseconds", call_milliseconds),
            ("scan_milliseconds", scan_milliseconds),
            ("file_bytes", file_bytes),
            ("memory_bytes", memory_bytes.map(|bytes| bytes as u64)),
            ("component_bytes", component_bytes.map(|bytes| bytes as u64)),
        ];
        match zero(limits) {
            Some(setting) => Err(format!("limits.{setting} is 0, and no plugin runs with nothing: write more")),
            None => Ok(()),
        }
    }
}

impl ScheduleConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match zero([("poll_seconds", self.poll_seconds), ("scan_seconds", self.scan_seconds)]) {
            Some(setting) => {
                Err(format!("schedule.{setting} is 0: write a number of seconds, or leave it to the site"))
            }
            None => Ok(()),
        }
    }
}

impl DownloadsConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { bytes_per_second, bytes_per_day, cache_bytes, proxy } = self;
        let limits = [
            ("bytes_per_second", *bytes_per_second),
            ("bytes_per_day", *bytes_per_day),
            ("cache_bytes", Some(*cache_bytes)),
        ];
        if let Some(setting) = zero(limits) {
            return Err(format!("downloads.{setting} is 0, and nothing could ever be downloaded: write more"));
        }
        if let Some(proxy) = proxy {
            let valid = reqwest::Url::parse(proxy).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !valid {
                return Err(format!("downloads.proxy is {proxy:?}, not a URL such as http://proxy.example.org:3128"));
            }
        }
        Ok(())
    }
}

impl UserConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.hook {
            Some(hook) => absolute("user.hook", hook),
            None => Ok(()),
        }
    }
}

impl RestartConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.command.first() {
            None => return Err("restart.command is empty: write a program with its arguments".to_owned()),
            Some(program) => absolute("restart.command", Path::new(program))?,
        }
        match &self.boot_id {
            Some(file) => absolute("restart.boot_id", file),
            None => Ok(()),
        }
    }
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self { read: default_read(), write: Vec::new(), run: default_run(), engine: None, compile: None }
    }
}

impl Default for DownloadsConfig {
    fn default() -> Self {
        Self { bytes_per_second: None, bytes_per_day: None, cache_bytes: default_cache_bytes(), proxy: None }
    }
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { command: default_restart(), boot_id: None }
    }
}

/// What is wrong with these tags.
pub(super) fn check_tags(tags: &[String]) -> Result<(), String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("tags has {} entries: at most {MAX_TAGS} are reported", tags.len()));
    }
    let is_usable = |tag: &&String| {
        !tag.is_empty() && tag.len() <= MAX_TAG_BYTES && !tag.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    match tags.iter().find(|tag| !is_usable(tag)) {
        Some(tag) => {
            Err(format!("the tag {tag:?} cannot be reported: write 1 to {MAX_TAG_BYTES} bytes without spaces"))
        }
        None => Ok(()),
    }
}

fn absolute(setting: &str, path: &Path) -> Result<(), String> {
    match path.is_absolute() {
        true => Ok(()),
        false => Err(format!("{setting} is {}: write the absolute path", path.display())),
    }
}

/// The first setting that is 0.
fn zero<T: Default + PartialEq>(settings: impl IntoIterator<Item = (&'static str, Option<T>)>) -> Option<&'static str> {
    settings.into_iter().find(|(_, value)| *value == Some(T::default())).map(|(setting, _)| setting)
}

fn default_read() -> Vec<String> {
    DEFAULT_READ.map(str::to_owned).into()
}

fn default_run() -> Vec<String> {
    DEFAULT_RUN.map(str::to_owned).into()
}

fn default_cache_bytes() -> u64 {
    CACHE_BYTES
}

fn default_restart() -> Vec<String> {
    ["/sbin/shutdown", "-r", "now"].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_runtime::{Request, RunGrant};

    #[test]
    fn the_default_lets_the_in_box_installer_do_exactly_what_it_asks_for() {
        #[derive(Deserialize)]
        struct Asked {
            run: Vec<Request>,
        }
        let asked = include_str!("../../../../plugins/dpkg-installer/plugin.toml");
        let asked: toml::Table = toml::from_str(asked).unwrap();
        let Asked { run } = Asked::deserialize(asked).unwrap();
        let run: Vec<_> = run.into_iter().map(|asked| asked.grant).collect();
        assert_eq!(run, DEFAULT_RUN);
        assert!(DEFAULT_RUN.iter().all(|line| RunGrant::parse(line).is_ok()));
    }
}
