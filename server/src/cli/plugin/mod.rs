//! `farrier plugin`: plugins, for those who write them and for those who roll them out.

mod administer;
mod author;
mod precompile;

use crate::config::Config;
use clap::Subcommand;
use std::path::Path;

/// The commands of both, in one list.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// What an author needs; no site.
    #[command(flatten)]
    Author(author::AuthorCommand),
    /// What an administrator does at the site.
    #[command(flatten)]
    Administer(administer::AdministerCommand),
}

/// Only the administrator's commands need a site, so only they read its configuration.
pub(super) async fn run(config: &Path, command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Author(command) => author::run(command),
        PluginCommand::Administer(command) => administer::run(&Config::load(config)?, command).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_as_clap_wants_them() {
        PluginCommand::augment_subcommands(clap::Command::new("plugin")).debug_assert();
    }
}
