//! `farrier init`: a configuration to start from.

use crate::config::{
    self, ClientApproval, Config, ConsoleConfig, ContentConfig, DatabaseConfig, ManagementPointConfig,
    SoftwareUpdatePointConfig, SuiteConfig,
};
use crate::identity::{self, SiteIdentity};
use crate::sync::debian::apt_sources;
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The site's name, as the console shows it.
    #[arg(long, default_value = "Farrier")]
    name: String,
    /// The folder of keys, repository and database; `data` beside the configuration if absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Synchronize the suites that apt uses in this Debian root (`/` for this machine).
    #[arg(long, value_name = "DIR")]
    apt_root: Option<PathBuf>,
    /// Synchronize the suites in this TOML file: `[[suite]]` tables as in site.toml, paths relative to the file.
    #[arg(long, value_name = "FILE", conflicts_with = "apt_root")]
    suites: Option<PathBuf>,
    /// The address clients will use.
    #[arg(long, value_name = "URL", default_value = "https://localhost:8443")]
    address: String,
    /// The socket clients connect to.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The socket of the console; loopback only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8444")]
    console: SocketAddr,
}

pub(super) fn run(file: &Path, options: Options) -> anyhow::Result<()> {
    ensure!(!file.exists(), "{} exists already: remove it, or name another one with --config", file.display());
    let folder = super::absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
    let data = super::absolute(&options.data.unwrap_or_else(|| folder.join("data")))?;
    let suites = match (&options.apt_root, &options.suites) {
        (Some(root), _) => suites_of_apt(&super::absolute(root)?, &data)?,
        (None, Some(file)) => config::suites_of_file(&super::absolute(file)?)?,
        (None, None) => Vec::new(),
    };
    let config = Config {
        name: options.name,
        data,
        database: DatabaseConfig::default(),
        management_point: ManagementPointConfig {
            listen: options.listen,
            address: options.address,
            poll_every: SignedDuration::from_mins(15),
            scan_every: SignedDuration::from_hours(6),
            approve_clients: ClientApproval::Automatic,
        },
        console: ConsoleConfig { listen: options.console },
        content: ContentConfig::default(),
        software_update_point: SoftwareUpdatePointConfig { suites, ..SoftwareUpdatePointConfig::default() },
    };
    config.check().map_err(anyhow::Error::msg)?;
    identity::make_folder(&config.data)?;
    SiteIdentity::load_or_create(&config.data)?;
    let text = toml::to_string_pretty(&config)?;
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    if config.software_update_point.suites.is_empty() {
        super::say("No suite is configured yet: add [[software_update_point.suite]] tables, as in site.example.toml.")?;
    }
    super::say(format_args!("{} is written. Next: farrier --config {} serve", file.display(), file.display()))
}

/// The suites of the root's apt; what is left out is said on stderr.
fn suites_of_apt(root: &Path, data: &Path) -> anyhow::Result<Vec<SuiteConfig>> {
    let mut found = apt_sources::suites_of_apt(root)
        .with_context(|| format!("the apt configuration in {} cannot be used", root.display()))?;
    found.warnings.iter().for_each(|warning| eprintln!("farrier: {warning}"));
    ensure!(
        !found.suites.is_empty(),
        "the apt configuration in {} has no suite that can be synchronized",
        root.display()
    );
    let folder = data.join("keyrings");
    found.write_keyrings(&folder).with_context(|| format!("{} cannot be written", folder.display()))?;
    Ok(found.suites)
}
