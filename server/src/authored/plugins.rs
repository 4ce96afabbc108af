//! The plugins that a policy may name, as far as their manifests go.

use crate::database::Database;
use farrier_runtime::{Manifest, ManifestError};

/// Manifests of plugins, each name once.
#[derive(Debug, Clone, Default)]
pub struct KnownPlugins {
    manifests: Vec<Manifest>,
    /// The names of those of which no version counts on the site.
    waiting: Vec<String>,
}

/// The plugins that come with Farrier.
///
/// # Errors
/// When one of them is damaged, which no build is.
pub fn in_box() -> Result<KnownPlugins, ManifestError> {
    let mut plugins = KnownPlugins::default();
    for component in crate::plugins::components() {
        plugins.add(Manifest::read(component)?);
    }
    Ok(plugins)
}

impl KnownPlugins {
    /// Those of a site: of each the version that counts, or the newest where none does yet; and those in the box, which
    /// a site that was never started does not know.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_site(database: &Database) -> Result<Self, sqlx::Error> {
        let mut plugins = in_box().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        for plugin in database.registered_plugins().await? {
            if let Some(version) = plugin.current_version().or(plugin.versions.last()) {
                plugins.add(version.manifest.clone());
            }
            if plugin.current.is_none() {
                plugins.waiting.push(plugin.name);
            }
        }
        Ok(plugins)
    }

    /// Adds one, in place of another of its name.
    pub fn add(&mut self, manifest: Manifest) {
        self.manifests.retain(|known| known.name != manifest.name);
        self.manifests.push(manifest);
        self.manifests.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Whether a version of this plugin counts, as far as is known.
    #[must_use]
    pub fn counts(&self, name: &str) -> bool {
        !self.waiting.iter().any(|waiting| waiting == name)
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.name == name)
    }

    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.manifests.iter().map(|manifest| manifest.name.as_str()).collect()
    }
}
