//! Trying a version, promoting it, and going back.

use super::approvals::undecided;
use super::in_box::is_newest;
use super::{PluginError, Plugins, known, version_of};
use crate::database::{CollectionId, RegisteredPlugin, RegisteredVersion, Trial, TrialFigures};
use crate::deployment::words::counted;
use farrier_protocol::UnixTime;
use farrier_protocol::assignment::MAX_SHADOWS;
use farrier_runtime::World;
use serde::Serialize;

/// What is tried now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The plugin.
    pub name: String,
    /// The version that is tried.
    pub version: String,
    /// `canary` or `shadow`.
    pub trial: &'static str,
    /// By how many clients, as far as they can run it.
    pub clients: i64,
    /// How many of them cannot, each reason once.
    pub cannot_run: Vec<(String, i64)>,
}

/// What is to be promoted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promotion {
    /// The version; what is tried if absent.
    pub version: Option<String>,
    /// Although it differs as a shadow, or failed as one.
    pub accept_differences: bool,
    /// Although it failed on clients where it counted.
    pub accept_failures: bool,
    /// Although nobody has tried it.
    pub untried: bool,
    /// Who promotes it.
    pub by: String,
}

/// What was promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promoted {
    /// The plugin.
    pub name: String,
    /// The version that counts.
    pub current: String,
    /// The version that counted before, to which it can be rolled back.
    pub previous: Option<String>,
    /// The version that goes on counting for the members of a collection, if another one is a canary.
    pub canary: Option<String>,
}

/// What going back did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The plugin.
    pub name: String,
    /// The version that does not count any more.
    pub from: String,
    /// The version that counts now in its place.
    pub to: String,
    /// Whether only a canary was ended; the version that counts everywhere else is as before.
    pub ended_canary: bool,
}

impl Plugins {
    /// Has a version tried by the members of a collection: it counts there (canary), or scans beside the one that
    /// counts (shadow).
    ///
    /// # Errors
    /// When something it asks for is not decided, it counts already, it is an installer that would be a shadow, clients
    /// run no more shadows, or what was named does not exist.
    pub async fn try_version(
        &self,
        (name, version): (&str, &str),
        trial: Trial,
        collection: CollectionId,
        by: &str,
        now: UnixTime,
    ) -> Result<Tried, PluginError> {
        let collection_name = self.database.collection_definition(collection).await?;
        let collection_name =
            collection_name.ok_or_else(|| PluginError::Unknown(format!("collection {collection}")))?.name;
        let mut change = self.database.change_plugins(now).await?;
        let (mut named, others): (Vec<_>, Vec<_>) =
            change.plugins().await?.into_iter().partition(|plugin| plugin.name == name);
        let plugin = known(named.pop(), name)?;
        let stored = version_of(&plugin, version)?;
        check_decided(&plugin, stored)?;
        check_may_be_tried(&plugin, stored, trial)?;
        if trial == Trial::Shadow {
            check_shadows(&others)?;
        }
        change.begin_trial(plugin.row, trial, stored.row, collection).await?;
        let what = match trial {
            Trial::Canary => format!("{version} counts for the members of {collection_name} (canary), by {by}."),
            Trial::Shadow => format!("{version} scans beside for the members of {collection_name} (shadow), by {by}."),
        };
        change.note(plugin.row, &what).await?;
        change.commit().await?;
        self.changed();
        tracing::info!(plugin.name = name, plugin.version = version, trial = trial.as_str(), "Plugin is tried");
        let groups = self.database.ability_groups(Some(collection)).await?;
        let cannot_run = super::needs::cannot_run(stored, &groups);
        let clients = groups.iter().map(|group| group.clients).sum();
        Ok(Tried { name: name.to_owned(), version: version.to_owned(), trial: trial.as_str(), clients, cannot_run })
    }

    /// Ends what is tried in this way.
    ///
    /// # Errors
    /// When nothing is.
    pub async fn end_trial(&self, name: &str, trial: Trial, by: &str, now: UnixTime) -> Result<(), PluginError> {
        let mut change = self.database.change_plugins(now).await?;
        let plugin = known(change.plugin(name).await?, name)?;
        let word = trial.as_str();
        let Some((version, _)) = plugin.trial(trial) else {
            return Err(PluginError::Refused(format!("{name} has no {word}")));
        };
        change.end_trial(plugin.row, trial).await?;
        change.note(plugin.row, &format!("{} is no {word} any more, by {by}.", version.version)).await?;
        change.commit().await?;
        self.changed();
        Ok(())
    }

    /// Makes a version count everywhere, except where another one is a canary; the one before it is what clients fall
    /// back to.
    ///
    /// # Errors
    /// When it counts already, was not tried, or did not do well, and that was not accepted.
    pub async fn promote(&self, name: &str, promotion: &Promotion, now: UnixTime) -> Result<Promoted, PluginError> {
        let plugin = known(self.database.registered_plugin(name).await?, name)?;
        let version = match &promotion.version {
            Some(version) => version_of(&plugin, version)?,
            None => tried_version(&plugin)?,
        };
        check_decided(&plugin, version)?;
        if plugin.current == Some(version.row) {
            let except = match plugin.trial(Trial::Canary) {
                Some((canary, _)) => format!(
                    ", except where the canary {} does: `farrier plugin assign {name} --end` ends it",
                    canary.version
                ),
                None => String::new(),
            };
            return Err(PluginError::Refused(format!("{name} {} counts everywhere already{except}", version.version)));
        }
        let figures = self.database.trial_figures(name, &version.version).await?;
        check_figures(&plugin, version, &figures, promotion)?;

        let mut change = self.database.change_plugins(now).await?;
        let plugin = known(change.plugin(name).await?, name)?;
        let version = version_of(&plugin, &version.version)?;
        // Again: somebody may have refused something meanwhile.
        check_decided(&plugin, version)?;
        let previous = if plugin.current == Some(version.row) { plugin.previous } else { plugin.current };
        change.set_current(plugin.row, Some(version.row), previous, !is_newest(&plugin, version)).await?;
        for trial in [Trial::Canary, Trial::Shadow] {
            if plugin.trial(trial).is_some_and(|(tried, _)| tried.row == version.row) {
                change.end_trial(plugin.row, trial).await?;
            }
        }
        let other = plugin.trial(Trial::Canary).filter(|(canary, _)| canary.row != version.row);
        let except = other.map_or_else(String::new, |(canary, assignment)| {
            format!(
                ", except for the members of {}, where the canary {} does",
                assignment.collection_name, canary.version
            )
        });
        let accepted = match figures.differing {
            0 => String::new(),
            differing => format!(" {differing} differences were accepted."),
        };
        let (number, by) = (version.version.clone(), &promotion.by);
        change
            .note(plugin.row, &format!("{number} was promoted by {by}: it counts everywhere{except}.{accepted}"))
            .await?;
        change.commit().await?;
        self.changed();
        tracing::info!(plugin.name = name, plugin.version = number, "Plugin promoted");
        let canary = other.map(|(canary, _)| canary.version.clone());
        let previous = plugin.versions.iter().find(|version| Some(version.row) == previous);
        let previous = previous.map(|version| version.version.clone());
        Ok(Promoted { name: name.to_owned(), current: number, previous, canary })
    }

    /// Takes the last step of a roll-out back, at once: a canary ends; without one, the version before the current one
    /// counts again.
    ///
    /// # Errors
    /// When there is nothing to go back to.
    pub async fn roll_back(&self, name: &str, by: &str, now: UnixTime) -> Result<RolledBack, PluginError> {
        let mut change = self.database.change_plugins(now).await?;
        let plugin = known(change.plugin(name).await?, name)?;
        let number = |version: Option<&RegisteredVersion>| version.map_or_else(String::new, |v| v.version.clone());
        let rolled_back = if let Some((canary, _)) = plugin.trial(Trial::Canary) {
            change.end_trial(plugin.row, Trial::Canary).await?;
            let to = number(plugin.current_version());
            RolledBack { name: name.to_owned(), from: canary.version.clone(), to, ended_canary: true }
        } else {
            let previous = plugin.previous_version().ok_or_else(|| nothing_before(&plugin))?;
            check_decided(&plugin, previous)?;
            // Nothing is left to fall back to: least of all to what was taken back.
            change.set_current(plugin.row, Some(previous.row), None, true).await?;
            let from = number(plugin.current_version());
            RolledBack { name: name.to_owned(), from, to: previous.version.clone(), ended_canary: false }
        };
        let text = match &rolled_back {
            RolledBack { from, ended_canary: true, .. } => format!("The canary {from} was rolled back by {by}."),
            RolledBack { from, to, .. } => format!("{from} was rolled back by {by}: {to} counts again."),
        };
        change.note(plugin.row, &text).await?;
        change.commit().await?;
        self.changed();
        tracing::info!(plugin.name = name, plugin.version = rolled_back.from, "Plugin rolled back");
        Ok(rolled_back)
    }
}

/// A version with a wish that nobody has decided is used nowhere.
fn check_decided(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Result<(), PluginError> {
    let missing = undecided(plugin, version);
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(|grant| format!("{} {}", grant.access.list(), grant.grant)).collect();
    let (name, number) = (&plugin.name, &version.version);
    Err(PluginError::Refused(format!(
        "{name} {number} asks for what is not approved ({}): look with `farrier plugin approve {name} --version \
         {number}`, then approve it with --all, or a part of it with --partial",
        lines.join(", ")
    )))
}

fn check_may_be_tried(plugin: &RegisteredPlugin, version: &RegisteredVersion, trial: Trial) -> Result<(), PluginError> {
    let (name, number) = (&plugin.name, &version.version);
    if plugin.current == Some(version.row) {
        return Err(PluginError::Refused(format!("{name} {number} counts everywhere already")));
    }
    if trial == Trial::Shadow && plugin.world == World::Installer {
        return Err(PluginError::Refused(format!(
            "{name} installs, and what installs has no shadow: try it with `farrier plugin assign {name} {number} \
             --collection ...`"
        )));
    }
    if trial == Trial::Shadow && plugin.current.is_none() {
        return Err(PluginError::Refused(format!(
            "no version of {name} counts yet, beside which {number} could scan: promote it, or assign it to a \
             collection"
        )));
    }
    Ok(())
}

/// Clients run no more shadows than an assignment holds.
fn check_shadows(others: &[RegisteredPlugin]) -> Result<(), PluginError> {
    let shadowed = others.iter().filter(|plugin| plugin.shadow.is_some());
    let names: Vec<&str> = shadowed.map(|plugin| plugin.name.as_str()).collect();
    if names.len() < MAX_SHADOWS {
        return Ok(());
    }
    Err(PluginError::Refused(format!(
        "clients run no more than {MAX_SHADOWS} shadows, and {} have one: end one first with `farrier plugin shadow \
         NAME --end`",
        names.join(", ")
    )))
}

/// Whether clients have shown anything of a version that is tried in this way. Of an installer they do so only when a
/// deployment needs it, and not in these figures.
#[must_use]
pub fn has_shown(trial: Trial, world: World, figures: &TrialFigures) -> bool {
    match trial {
        Trial::Canary => world == World::Installer || figures.running > 0,
        Trial::Shadow => figures.compared_by > 0,
    }
}

/// The version that is tried, if it is only one.
fn tried_version(plugin: &RegisteredPlugin) -> Result<&RegisteredVersion, PluginError> {
    let tried = [Trial::Canary, Trial::Shadow].map(|trial| plugin.trial(trial).map(|(version, _)| version));
    let name = &plugin.name;
    match tried {
        [Some(canary), Some(shadow)] if canary.row != shadow.row => Err(PluginError::Refused(format!(
            "{name} has the canary {} and the shadow {}: say which one is to be promoted",
            canary.version, shadow.version
        ))),
        [Some(version), _] | [None, Some(version)] => Ok(version),
        [None, None] => Err(PluginError::Refused(format!(
            "no version of {name} is tried: write which one is to be promoted, or begin with `farrier plugin shadow \
             {name} VERSION`"
        ))),
    }
}

/// Whether what is known of a version is good enough.
fn check_figures(
    plugin: &RegisteredPlugin,
    version: &RegisteredVersion,
    figures: &TrialFigures,
    promotion: &Promotion,
) -> Result<(), PluginError> {
    let (name, number) = (&plugin.name, &version.version);
    let status = format!("`farrier plugin status {name}`");
    if figures.differing > 0 && !promotion.accept_differences {
        let TrialFigures { differing, differing_on, compared, .. } = figures;
        let clients = counted(*differing_on, "client");
        return Err(PluginError::Refused(format!(
            "{name} {number} answers {differing} of {compared} questions differently, on {clients}: {status} and the console show them side by side. If it is right about all of them, write \
             --accept-differences"
        )));
    }
    if figures.shadow_failures > 0 && !promotion.accept_differences {
        return Err(PluginError::Refused(format!(
            "{name} {number} failed as a shadow on {}: {status} shows why. If that does not matter, write \
             --accept-differences",
            counted(figures.shadow_failures, "client")
        )));
    }
    if figures.failures > 0 && !promotion.accept_failures {
        return Err(PluginError::Refused(format!(
            "{name} {number} failed on {} where it counted: {status} shows why. If that does not matter, write \
             --accept-failures",
            counted(figures.failures, "client")
        )));
    }
    let is = |trial| plugin.trial(trial).is_some_and(|(tried, _)| tried.row == version.row);
    let was_seen =
        [Trial::Canary, Trial::Shadow].into_iter().any(|trial| is(trial) && has_shown(trial, plugin.world, figures));
    let is_first = plugin.current.is_none();
    let counted_before = plugin.previous == Some(version.row);
    if !was_seen && !is_first && !counted_before && !promotion.untried {
        let how = if is(Trial::Canary) {
            "no client has scanned with it yet: wait for their next scans".to_owned()
        } else if is(Trial::Shadow) {
            "no client has reported of it as a shadow yet: wait for their next scans".to_owned()
        } else if plugin.world == World::Installer {
            format!("it was no canary: begin with `farrier plugin assign {name} {number} --collection ...`")
        } else {
            format!("it was neither shadow nor canary: begin with `farrier plugin shadow {name} {number}`")
        };
        return Err(PluginError::Refused(format!(
            "{name} {number} has not been tried, {how}. If it has to count at once, write --untried"
        )));
    }
    Ok(())
}

fn nothing_before(plugin: &RegisteredPlugin) -> PluginError {
    let name = &plugin.name;
    let which = plugin.current_version().map_or_else(
        || format!("no version of {name} counts"),
        |current| format!("{name} {} has no version before it", current.version),
    );
    PluginError::Refused(format!(
        "{which}: `farrier plugin status {name}` lists the versions, `farrier plugin promote {name} VERSION` makes \
         one of them count"
    ))
}
