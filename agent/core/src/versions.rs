//! Which version of a plugin is used: the assigned one, until it failed again and again through its own fault.
//!
//! What counts is the component's digest: a newly assigned one begins with nothing against it.

use crate::schedule::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use farrier_protocol::assignment::{AssignedInstaller, AssignedPlugin, Assignment};
use farrier_protocol::state_message::{FallBack, Text, bounded};
use farrier_protocol::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

/// Failures in a row through its own fault after which a version is not used any more.
pub const MAX_FAILURES: u8 = 3;
/// How long a version rests that failed so often, if there is no other to use: then it has one more try.
pub const REST_SECONDS: u32 = 24 * 3600;

/// The form in which a [`Health`] is stored.
const FORM: u8 = 1;

/// A version of a plugin, whatever the plugin is for.
pub trait Version {
    /// Whether it installs.
    const IS_INSTALLER: bool;
    /// The plugin's name.
    fn name(&self) -> &str;
    /// The version's name.
    fn version(&self) -> &str;
    /// The name of its target in the repository.
    fn target(&self) -> &str;
    /// The digest of its component.
    fn digest(&self) -> Digest;
}

/// How a version fared: an applicability plugin in one scan, an installer in one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// It did its part, well or not: what it refuses in words, and what the endpoint does to it, are not its fault.
    Sound,
    /// It failed through its own fault, for this reason.
    AtFault(Text),
    /// It was not asked, or what went wrong says nothing about it.
    Unproven,
}

/// Which version is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a, V> {
    /// The assigned one.
    Assigned(&'a V),
    /// The one for this case.
    Fallback(&'a V),
    /// None: there is none that did not fail. Why, in words.
    Nothing(String),
}

impl<'a, V> Choice<'a, V> {
    /// The version, or why there is none.
    ///
    /// # Errors
    /// When none is used.
    pub fn version(self) -> Result<&'a V, String> {
        match self {
            Self::Assigned(version) | Self::Fallback(version) => Ok(version),
            Self::Nothing(reason) => Err(reason),
        }
    }
}

/// How the versions of the plugins fared here, and what the site was told of that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Only of those that failed at last.
    failed: BTreeMap<Digest, Failures>,
    /// By whether it is an installer, and the plugin's name: what holds as far as the site knows.
    told: BTreeMap<(bool, String), FallBack>,
}

/// The failures of one version since it last did its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failures {
    count: u8,
    /// When it was one too many.
    since: UnixTime,
    /// Until it may be tried again for want of another.
    rest: Timer,
    reason: Text,
}

/// A stored [`Health`] that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedHealth;

impl fmt::Display for DamagedHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was remembered of plugins that failed cannot be understood: every version is tried again")
    }
}

impl core::error::Error for DamagedHealth {}

impl Health {
    /// As the spool keeps it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Cannot fail: memory takes what is appended. What is too short would read as damaged.
        postcard::to_extend(self, [FORM].to_vec()).unwrap_or_default()
    }

    /// What the spool kept.
    ///
    /// # Errors
    /// When it cannot be understood; nothing is guessed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DamagedHealth> {
        match bytes {
            [FORM, rest @ ..] => farrier_protocol::decode(rest).map_err(|_| DamagedHealth),
            _ => Err(DamagedHealth),
        }
    }

    /// What takes the place of one that cannot be understood. The site may have been told anything: it is told afresh of
    /// every plugin.
    #[must_use]
    pub fn lost(assignment: &Assignment) -> Self {
        let plugins = assignment.assessment.plugins.iter().map(|plugin| (false, plugin.name.as_str()));
        let installers = assignment.installers.iter().map(|installer| (true, installer.name.as_str()));
        let told = plugins
            .chain(installers)
            .map(|(is_installer, name)| ((is_installer, name.into()), over(is_installer, name)));
        Self { failed: BTreeMap::new(), told: told.collect() }
    }

    /// Which version of a plugin is used now.
    #[must_use]
    pub fn choose<'a, V: Version>(&self, assigned: &'a V, fallbacks: &'a [Box<V>], now: UnixTime) -> Choice<'a, V> {
        let Some(failures) = self.given_up(assigned.digest()) else { return Choice::Assigned(assigned) };
        if let Some(fallback) = self.fallback(assigned, fallbacks) {
            return Choice::Fallback(fallback);
        }
        if failures.rest.is_due(now) {
            return Choice::Assigned(assigned);
        }
        let (version, reason) = (assigned.version(), &failures.reason);
        Choice::Nothing(format!("version {version} failed {MAX_FAILURES} times in a row and is not used: {reason}"))
    }

    /// Takes note of how versions fared under this assignment. Returns what the site must hear of it.
    pub fn note(
        &mut self,
        assignment: &Assignment,
        conducts: impl IntoIterator<Item = (Digest, Conduct)>,
        now: UnixTime,
    ) -> Vec<FallBack> {
        for (digest, conduct) in conducts {
            match conduct {
                Conduct::Sound => drop(self.failed.remove(&digest)),
                Conduct::AtFault(reason) => self.failed(digest, reason, now),
                Conduct::Unproven => {}
            }
        }
        let assigned = digests(assignment);
        self.failed.retain(|digest, _| assigned.contains(digest));
        self.tell(self.fall_backs_under(assignment))
    }

    /// Whether anything is held against the version with this digest.
    #[must_use]
    pub fn remembers(&self, digest: &Digest) -> bool {
        self.failed.contains_key(digest)
    }

    /// How often in a row the version with this digest failed, as long as it is not given up.
    #[must_use]
    pub fn trial(&self, digest: &Digest) -> Option<u8> {
        self.failed.get(digest).map(|failures| failures.count).filter(|count| *count < MAX_FAILURES)
    }

    /// What holds as far as the site knows.
    pub fn told(&self) -> impl Iterator<Item = &FallBack> {
        self.told.values().filter(|fall_back| !fall_back.failed_version.is_empty())
    }

    fn failed(&mut self, digest: Digest, reason: Text, now: UnixTime) {
        let rest = Timer::start(now, REST_SECONDS);
        let none = || Failures { count: 0, since: now, rest, reason: Text::new() };
        let failures = self.failed.entry(digest).or_insert_with(none);
        (failures.rest, failures.reason) = (rest, reason);
        if failures.count < MAX_FAILURES {
            (failures.count, failures.since) = (failures.count + 1, now);
        }
    }

    fn given_up(&self, digest: Digest) -> Option<&Failures> {
        self.failed.get(&digest).filter(|failures| failures.count >= MAX_FAILURES)
    }

    /// The fallback of a version, if it is one to rely on.
    fn fallback<'a, V: Version>(&self, assigned: &V, fallbacks: &'a [Box<V>]) -> Option<&'a V> {
        let fallback = fallbacks.iter().find(|fallback| fallback.name() == assigned.name())?;
        self.given_up(fallback.digest()).is_none().then_some(fallback)
    }

    fn fall_backs_under(&self, assignment: &Assignment) -> Vec<FallBack> {
        let Assignment { assessment, installers, fallbacks, installer_fallbacks, .. } = assignment;
        let plugins = assessment.plugins.iter().filter_map(|plugin| self.fall_back(plugin, fallbacks));
        let installers = installers.iter().filter_map(|installer| self.fall_back(installer, installer_fallbacks));
        plugins.chain(installers).collect()
    }

    fn fall_back<V: Version>(&self, assigned: &V, fallbacks: &[Box<V>]) -> Option<FallBack> {
        let Failures { since, reason, .. } = self.given_up(assigned.digest())?;
        Some(FallBack {
            plugin: bounded(assigned.name()),
            installer: V::IS_INSTALLER,
            failed_version: bounded(assigned.version()),
            version: bounded(self.fallback(assigned, fallbacks).map_or("", Version::version)),
            since: *since,
            reason: reason.clone(),
        })
    }

    /// The difference to what the site was told.
    fn tell(&mut self, fall_backs: Vec<FallBack>) -> Vec<FallBack> {
        let key = |fall_back: &FallBack| (fall_back.installer, String::from(fall_back.plugin.as_str()));
        let now: BTreeMap<_, _> = fall_backs.into_iter().map(|fall_back| (key(&fall_back), fall_back)).collect();
        let before = core::mem::replace(&mut self.told, now);
        let over = before
            .keys()
            .filter(|key| !self.told.contains_key(key))
            .map(|(is_installer, name)| over(*is_installer, name));
        let new = self.told.iter().filter(|(key, fall_back)| before.get(key) != Some(fall_back));
        over.chain(new.map(|(_, fall_back)| fall_back.clone())).collect()
    }
}

/// That the assigned version is used.
fn over(is_installer: bool, name: &str) -> FallBack {
    FallBack {
        plugin: bounded(name),
        installer: is_installer,
        failed_version: bounded(""),
        version: bounded(""),
        since: 0,
        reason: Text::new(),
    }
}

/// The components of an assignment that may be used, and count.
fn digests(assignment: &Assignment) -> Vec<Digest> {
    let Assignment { assessment, installers, fallbacks, installer_fallbacks, .. } = assignment;
    let plugins = assessment.plugins.iter().chain(fallbacks.iter().map(Box::as_ref)).map(Version::digest);
    let installers = installers.iter().chain(installer_fallbacks.iter().map(Box::as_ref)).map(Version::digest);
    plugins.chain(installers).collect()
}

macro_rules! version {
    ($type:ty, $is_installer:literal) => {
        impl Version for $type {
            const IS_INSTALLER: bool = $is_installer;

            fn name(&self) -> &str {
                &self.name
            }

            fn version(&self) -> &str {
                &self.version
            }

            fn target(&self) -> &str {
                &self.target
            }

            fn digest(&self) -> Digest {
                self.digest
            }
        }
    };
}

version!(AssignedPlugin, false);
version!(AssignedInstaller, true);

#[cfg(test)]
mod tests;
