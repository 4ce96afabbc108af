//! Approving and refusing what versions ask for.

use super::approvals::{asked, covers, undecided};
use super::{AskedGrant, GrantStanding, PluginError, Plugins, known, version_of};
use crate::database::{RegisteredPlugin, RegisteredVersion};
use farrier_protocol::UnixTime;
use farrier_runtime::Access;
use serde::{Deserialize, Serialize};

/// Grants by what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrantLines {
    /// What may be read.
    pub read: Vec<String>,
    /// What may be written.
    pub write: Vec<String>,
    /// What may be run.
    pub run: Vec<String>,
}

/// What an administrator decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The version whose wishes are decided; the newest if absent.
    pub version: Option<String>,
    /// Everything that it asks for (to approve that, a version is named where more than one waits for it), or
    pub all: bool,
    /// these.
    pub lines: GrantLines,
    /// Refused, not approved: the plugin runs without.
    pub revoke: bool,
    /// What else it asks for and is not approved is refused: the plugin runs without.
    pub partial: bool,
    /// Who decides.
    pub by: String,
}

/// What a version asks for, with what was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// The plugin.
    pub name: String,
    /// The version.
    pub version: String,
    /// What it asks for.
    pub grants: Vec<AskedGrant>,
    /// What else is approved: for other versions, or more narrowly than this one asks.
    pub others: Vec<String>,
    /// How many of its wishes wait for a decision; it is not assigned while any does.
    pub undecided: usize,
}

impl GrantLines {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn iter(&self) -> impl Iterator<Item = (Access, &str)> {
        let lists = [(Access::Read, &self.read), (Access::Write, &self.write), (Access::Run, &self.run)];
        lists.into_iter().flat_map(|(access, lines)| lines.iter().map(move |line| (access, line.trim())))
    }
}

impl Plugins {
    /// What a version asks for, the newest if none is named.
    ///
    /// # Errors
    /// When there is no such version.
    pub async fn approval(&self, name: &str, version: Option<&str>) -> Result<Approval, PluginError> {
        let plugin = known(self.database.registered_plugin(name).await?, name)?;
        let version = named_or_newest(&plugin, version)?;
        Ok(Approval::of(&plugin, version))
    }

    /// Decides of what a version asks for. The decision counts for the plugin, whatever version of it asks.
    ///
    /// # Errors
    /// When there is no such version, or it asks for nothing like that; when it is not said which version's wishes are
    /// all approved; when a part is refused of what stays approved as a whole.
    pub async fn decide(&self, name: &str, decision: &Decision, now: UnixTime) -> Result<Approval, PluginError> {
        let mut change = self.database.change_plugins(now).await?;
        let plugin = known(change.plugin(name).await?, name)?;
        if decision.all && !decision.revoke && decision.version.is_none() {
            check_only_one_waits(&plugin)?;
        }
        let version = named_or_newest(&plugin, decision.version.as_deref())?;
        let decided = decided(&plugin, version, decision)?;
        check_refusals(&plugin, &decided)?;
        for (access, grant, approved) in &decided {
            change.decide(plugin.row, (*access, grant), *approved, &decision.by).await?;
        }
        for (word, approved) in [("approved", true), ("refused", false)] {
            let lines = decided.iter().filter(|(_, _, is)| *is == approved);
            let lines: Vec<String> = lines.map(|(access, grant, _)| format!("{} {grant}", access.list())).collect();
            if !lines.is_empty() {
                change.note(plugin.row, &format!("{} was {word} by {}.", lines.join(", "), decision.by)).await?;
            }
        }
        let plugin = known(change.plugin(name).await?, name)?;
        let approval = Approval::of(&plugin, version_of(&plugin, &version.version)?);
        change.commit().await?;
        self.changed();
        Ok(approval)
    }
}

impl Approval {
    fn of(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Self {
        let grants = asked(plugin, version);
        let is_asked =
            |access: Access, grant: &str| grants.iter().any(|asked| asked.access == access && asked.grant == grant);
        let others = plugin
            .decisions
            .iter()
            .filter(|decision| decision.approved && !is_asked(decision.access, &decision.grant))
            .map(|decision| format!("{} {}", decision.access.list(), decision.grant))
            .collect();
        let undecided = grants.iter().filter(|grant| grant.standing == GrantStanding::Undecided).count();
        Self { name: plugin.name.clone(), version: version.version.clone(), grants, others, undecided }
    }
}

fn named_or_newest<'a>(
    plugin: &'a RegisteredPlugin,
    version: Option<&str>,
) -> Result<&'a RegisteredVersion, PluginError> {
    match version {
        Some(version) => version_of(plugin, version),
        None => plugin.newest().ok_or_else(|| PluginError::Unknown(format!("version of plugin {}", plugin.name))),
    }
}

/// Nobody approves all that a version asks for which somebody else has just pushed.
fn check_only_one_waits(plugin: &RegisteredPlugin) -> Result<(), PluginError> {
    let waiting = plugin.versions.iter().filter(|version| !undecided(plugin, version).is_empty());
    let waiting: Vec<&str> = waiting.map(|version| version.version.as_str()).collect();
    if waiting.len() < 2 {
        return Ok(());
    }
    Err(PluginError::Refused(format!(
        "several versions of {} ask for what is not decided ({}): write with --version whose wishes are approved",
        plugin.name,
        waiting.join(", ")
    )))
}

/// A part of what stays approved cannot be refused: grants only ever add up.
fn check_refusals(plugin: &RegisteredPlugin, decided: &[(Access, String, bool)]) -> Result<(), PluginError> {
    for (access, line, _) in decided.iter().filter(|(_, _, approved)| !approved) {
        let stays =
            |grant: &str| !decided.iter().any(|(of, line, approved)| of == access && line == grant && !approved);
        let whole = plugin.decisions.iter().find(|known| {
            known.approved && known.access == *access && stays(&known.grant) && covers(*access, &known.grant, line)
        });
        if let Some(whole) = whole {
            let word = access.list();
            return Err(PluginError::Refused(format!(
                "{word} {line} cannot be refused, because it is approved as {}: refuse that, then approve the parts it \
                 may have",
                whole.grant
            )));
        }
    }
    Ok(())
}

/// What is to be written: the grants, and whether each is approved.
fn decided(
    plugin: &RegisteredPlugin,
    version: &RegisteredVersion,
    decision: &Decision,
) -> Result<Vec<(Access, String, bool)>, PluginError> {
    let asks = asked(plugin, version);
    let approves = !decision.revoke;
    let mut decided: Vec<(Access, String, bool)> = Vec::new();
    if decision.all {
        let is_so = if approves { GrantStanding::Approved } else { GrantStanding::Refused };
        let all = asks.iter().filter(|grant| grant.standing != is_so);
        decided.extend(all.map(|grant| (grant.access, grant.grant.clone(), approves)));
        if decision.revoke {
            let approved = plugin.decisions.iter().filter(|known| known.approved);
            decided.extend(approved.map(|known| (known.access, known.grant.clone(), false)));
        }
    }
    for (access, line) in decision.lines.iter() {
        check_line(plugin, version, (access, line), approves)?;
        decided.push((access, line.to_owned(), approves));
    }
    if decision.partial {
        let is_decided = |grant: &AskedGrant| {
            let decides = |line: &str| line == grant.grant || (approves && covers(grant.access, line, &grant.grant));
            decided.iter().any(|(access, line, _)| *access == grant.access && decides(line))
        };
        let rest: Vec<_> = asks
            .iter()
            .filter(|grant| grant.standing == GrantStanding::Undecided && !is_decided(grant))
            .map(|grant| (grant.access, grant.grant.clone(), false))
            .collect();
        decided.extend(rest);
    }
    decided.sort_by(|a, b| (a.0.list(), &a.1).cmp(&(b.0.list(), &b.1)));
    decided.dedup();
    Ok(decided)
}

/// Whether a line may be decided: it is asked for, or narrower than that, or was decided before.
fn check_line(
    plugin: &RegisteredPlugin,
    version: &RegisteredVersion,
    (access, line): (Access, &str),
    approves: bool,
) -> Result<(), PluginError> {
    let asks = asked(plugin, version);
    let of_access: Vec<&str> =
        asks.iter().filter(|grant| grant.access == access).map(|grant| grant.grant.as_str()).collect();
    let was_decided = plugin.decisions.iter().any(|known| known.access == access && known.grant == line);
    let is_part = |grant: &&str| covers(access, grant, line) && (line == *grant || is_glob(line));
    if of_access.iter().any(is_part) || (!approves && was_decided) {
        return Ok(());
    }
    let (name, number, word) = (&plugin.name, &version.version, access.list());
    let asked_for = if of_access.is_empty() { "nothing".to_owned() } else { of_access.join(", ") };
    Err(PluginError::Invalid(format!(
        "{name} {number} does not ask to {word} {line:?}; it asks to {word}: {asked_for}. Write one of those, or a \
         path that is below one"
    )))
}

/// Whether it is a line that an agent takes among what may be read or written.
fn is_glob(line: &str) -> bool {
    let is_bounded = line.len() <= farrier_protocol::assignment::MAX_TARGET_BYTES;
    let is_plain = line.starts_with('/') && line.split('/').all(|part| part != "." && part != "..");
    is_bounded && is_plain && !line.chars().any(char::is_control) && !line.contains(['[', '{', '\\'])
}
