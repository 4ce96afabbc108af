//! Pushing a version: checked, stored, and used nowhere yet. Pushing it again repairs what the site has of it.

use super::approvals::asked;
use super::inspection::inspect;
use super::{AskedGrant, PluginError, Plugins, known};
use crate::database::{NewVersion, RegisteredPlugin};
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::World;
use farrier_workbench::sign::Signature;
use serde::Serialize;

/// What is pushed.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The component.
    pub component: &'a [u8],
    /// The text of its signature, if it has one.
    pub signature: Option<&'a str>,
    /// Whether it may have none.
    pub allow_unsigned: bool,
    /// Who pushes it.
    pub by: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pushed {
    /// The plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its world.
    pub world: &'static str,
    /// Whose signature it carries; empty for none.
    pub publisher: String,
    /// Whether the site had exactly this already.
    pub was_there: bool,
    /// What it asks for.
    pub asks: Vec<AskedGrant>,
    /// What is unusual about it.
    pub warnings: Vec<String>,
}

impl Plugins {
    /// Checks a component and stores it. No client gets it by that.
    ///
    /// # Errors
    /// When it is no plugin that agents could run, is not signed by a known publisher, or the site has this version
    /// with other bytes.
    pub async fn push(&self, push: &Push<'_>, now: UnixTime) -> Result<Pushed, PluginError> {
        let (inspection, world) = inspect(push.component)?;
        let publisher = self.publisher_of(push).await?;
        let manifest = &inspection.manifest;
        let new = NewVersion { manifest, component: push.component, publisher: &publisher, by: push.by };
        let mut change = self.database.change_plugins(now).await?;
        let stored = change.plugin(&manifest.name).await?;
        let mut warnings = inspection.warnings.clone();
        warnings.extend(stored.as_ref().and_then(|stored| of_another(stored, &publisher)));
        let there = match &stored {
            Some(stored) => is_there(stored, &new, world)?,
            None => None,
        };
        let was_there = there.is_some();
        let mut is_repaired = false;
        if let (Some(plugin), Some(row)) = (&stored, there) {
            is_repaired = change.repair_version(row, push.component).await?;
            if is_repaired {
                let text = format!("{} was damaged, and was repaired by {}.", manifest.version, push.by);
                change.note(plugin.row, &text).await?;
            }
        } else {
            let plugin = match &stored {
                Some(stored) => stored.row,
                None => change.add_plugin(&manifest.name, world).await?,
            };
            change.add_version(plugin, &new).await?;
            change.note(plugin, &event(&new)).await?;
        }
        let plugin = known(change.plugin(&manifest.name).await?, &manifest.name)?;
        if is_repaired {
            // It is published again, in whatever process that happens.
            change.commit().await?;
            self.changed();
        } else {
            change.commit_unassigned().await?;
        }
        let version = super::version_of(&plugin, &manifest.version)?;
        if !was_there {
            tracing::info!(plugin.name = manifest.name, plugin.version = manifest.version, "Plugin pushed");
        }
        Ok(Pushed {
            name: plugin.name.clone(),
            version: version.version.clone(),
            world: world.as_str(),
            publisher: version.publisher.clone(),
            was_there,
            asks: asked(&plugin, version),
            warnings,
        })
    }

    /// The known publisher whose signature it is; empty for an unsigned one that is allowed.
    async fn publisher_of(&self, push: &Push<'_>) -> Result<String, PluginError> {
        let Some(text) = push.signature else {
            if push.allow_unsigned {
                return Ok(String::new());
            }
            return Err(PluginError::Refused(
                "the component is not signed: sign it with `farrier plugin sign`, or write --allow-unsigned if you \
                 know where it comes from"
                    .to_owned(),
            ));
        };
        let signature = Signature::parse(text)
            .map_err(|error| PluginError::Invalid(format!("the signature cannot be read: {error:#}")))?;
        signature.verify(push.component).map_err(|error| PluginError::Refused(format!("{error:#}")))?;
        let publishers = self.database.plugin_publishers().await?;
        let publisher = publishers.into_iter().find(|publisher| publisher.public_key == signature.publisher);
        publisher.map(|publisher| publisher.name).ok_or_else(|| {
            let key = signature.publisher_hex();
            PluginError::Refused(format!(
                "this site does not know the publisher with the key {key}: if you do, `farrier plugin publisher add \
                 NAME {key}`"
            ))
        })
    }
}

/// The row of exactly this, if the site has it; an error if it has something else in its place.
fn is_there(stored: &RegisteredPlugin, new: &NewVersion<'_>, world: World) -> Result<Option<i64>, PluginError> {
    let (name, version) = (&new.manifest.name, &new.manifest.version);
    if stored.world != world {
        return Err(PluginError::Refused(format!(
            "{name} is a plugin of the world `{}` here, and this one is for `{world}`: give it another name",
            stored.world
        )));
    }
    match stored.version(version) {
        None => Ok(None),
        Some(known) if known.digest == Digest::of(new.component) => Ok(Some(known.row)),
        Some(_) => Err(PluginError::Refused(format!(
            "the site has {name} {version} already, with other bytes: a version never changes, give this one the next \
             version"
        ))),
    }
}

/// A warning if the newest version is somebody else's: what was approved for the plugin counts for this version, too.
fn of_another(stored: &RegisteredPlugin, publisher: &str) -> Option<String> {
    let before = stored.newest()?.publisher.as_str();
    let in_words = |name: &str| if name.is_empty() { "nobody (unsigned)".to_owned() } else { name.to_owned() };
    (before != publisher).then(|| {
        format!(
            "the versions of {} before it were published by {}, this one by {}: what is approved for the plugin counts \
             for it, too",
            stored.name,
            in_words(before),
            in_words(publisher)
        )
    })
}

fn event(new: &NewVersion<'_>) -> String {
    let signed = match new.publisher {
        "" => "unsigned".to_owned(),
        publisher => format!("signed by {publisher}"),
    };
    format!("{} was pushed by {}, {signed}.", new.manifest.version, new.by)
}
