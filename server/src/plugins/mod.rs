//! Plugins: what administrators do with their versions.
//!
//! A version is pushed, its grants are approved, it is tried (as a shadow, then by canaries), promoted, and rolled back
//! if need be. [`Plugins`] holds the application functions; console, JSON and command line call nothing else. Which
//! version a client gets is decided by pure functions ([`rollout`], [`approvals`], [`needs`]). Nothing here talks to a
//! client, and nothing here is SQL.

mod actions;
pub mod approvals;
mod approve;
#[cfg(test)]
pub(crate) mod fixture;
mod in_box;
mod inspection;
pub mod needs;
mod publishers;
mod push;
pub mod rollout;

pub use actions::{Promoted, Promotion, RolledBack, Tried, has_shown};
pub use approvals::{AskedGrant, GrantStanding};
pub use approve::{Approval, Decision, GrantLines};
pub use in_box::{FARRIER, components, register};
pub use publishers::{PublisherRow, parse_key};
pub use push::{Push, Pushed};

use crate::database::{Database, RegisteredPlugin, RegisteredVersion};
use crate::signals::Signals;

/// What administrators do with plugins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plugins {
    /// The site database.
    pub database: Database,
    /// Whom to wake.
    pub signals: Signals,
}

/// Why something was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// What was written or pushed is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// What was named does not exist.
    #[error("there is no {0}")]
    Unknown(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error("the site database failed")]
    Database(#[from] sqlx::Error),
}

impl Plugins {
    /// With a running site's bells, or, in another process, with bells that nobody hears: the roles look by themselves,
    /// a little later.
    #[must_use]
    pub fn new(database: Database, signals: Signals) -> Self {
        Self { database, signals }
    }

    /// Wakes whoever has to do with what clients are assigned.
    fn changed(&self) {
        self.signals.content_changed.notify_one();
        self.signals.deployments_look_different();
    }
}

fn known(plugin: Option<RegisteredPlugin>, name: &str) -> Result<RegisteredPlugin, PluginError> {
    plugin.ok_or_else(|| PluginError::Unknown(format!("plugin {name:?}: `farrier plugin status` lists them")))
}

fn version_of<'a>(plugin: &'a RegisteredPlugin, version: &str) -> Result<&'a RegisteredVersion, PluginError> {
    plugin.version(version).ok_or_else(|| {
        let versions: Vec<&str> = plugin.versions.iter().map(|known| known.version.as_str()).collect();
        let (name, versions) = (&plugin.name, versions.join(", "));
        PluginError::Unknown(format!("version {version:?} of plugin {name}; there are: {versions}"))
    })
}
