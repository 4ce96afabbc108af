//! Which version of a plugin a client gets: one decision, from what administrators did, what the client can run and
//! which collections it is in.

use super::approvals::{approved_lines, undecided};
use super::needs::Needs;
use crate::database::{ALL_CLIENTS, ClientAbilities, CollectionId, RegisteredPlugin, RegisteredVersion, Trial};
use farrier_protocol::Digest;
use farrier_protocol::assignment::{AssignedInstaller, AssignedPlugin, Name};
use farrier_runtime::{Access, World};
use std::collections::HashSet;

/// The target of a version: `plugins/dpkg/1.0.0`.
#[must_use]
pub fn target(name: &str, version: &str) -> String {
    format!("plugins/{name}/{version}")
}

/// Which versions are for whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RollOut {
    scanning: Vec<Line<AssignedPlugin>>,
    installing: Vec<Line<AssignedInstaller>>,
    collections: Vec<CollectionId>,
}

/// One plugin in a roll-out.
#[derive(Debug, Clone, PartialEq)]
struct Line<T> {
    name: String,
    current: Option<Candidate<T>>,
    previous: Option<Candidate<T>>,
    canary: Option<(Candidate<T>, CollectionId)>,
    shadow: Option<(Candidate<T>, CollectionId)>,
}

/// A version that may be assigned: everything it asks for is decided.
#[derive(Debug, Clone, PartialEq)]
struct Candidate<T> {
    needs: Needs,
    digest: Digest,
    assigned: Box<T>,
}

/// What decides for one client.
#[derive(Debug)]
pub struct OneClient<'a> {
    /// What its agent can run.
    pub abilities: &'a ClientAbilities,
    /// Which of [`RollOut::collections`] it is in.
    pub member_of: &'a HashSet<CollectionId>,
}

/// The versions of one plugin that a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a, T> {
    /// The version that counts.
    pub counts: &'a T,
    /// The version that is used when that one fails again and again.
    pub fallback: Option<&'a T>,
    /// The version that scans beside it.
    pub shadow: Option<&'a T>,
}

impl RollOut {
    /// The roll-out of these plugins.
    #[must_use]
    pub fn of(plugins: &[RegisteredPlugin]) -> Self {
        let mut roll_out = Self::default();
        for plugin in plugins {
            match plugin.world {
                World::Applicability => roll_out.scanning.push(Line::of(plugin, assigned_plugin)),
                World::Installer => roll_out.installing.push(Line::of(plugin, assigned_installer)),
            }
            let tried_by = [&plugin.canary, &plugin.shadow].into_iter().flatten().map(|trial| trial.collection);
            roll_out.collections.extend(tried_by.filter(|collection| *collection != ALL_CLIENTS));
        }
        roll_out.collections.sort_unstable();
        roll_out.collections.dedup();
        roll_out
    }

    /// The collections whose members get something of their own. Everybody is in [`ALL_CLIENTS`], which is none of
    /// them.
    #[must_use]
    pub fn collections(&self) -> &[CollectionId] {
        &self.collections
    }

    /// The versions of this applicability plugin that a client gets, of those `is_published` knows; none if none of them
    /// may be assigned.
    pub fn scanning(
        &self,
        name: &str,
        client: &OneClient<'_>,
        is_published: impl Fn(&Digest) -> bool,
    ) -> Option<Choice<'_, AssignedPlugin>> {
        self.scanning.iter().find(|line| line.name == name)?.choose(client, is_published)
    }

    /// The versions of this installer plugin that a client gets, in the same way.
    pub fn installing(
        &self,
        name: &str,
        client: &OneClient<'_>,
        is_published: impl Fn(&Digest) -> bool,
    ) -> Option<Choice<'_, AssignedInstaller>> {
        self.installing.iter().find(|line| line.name == name)?.choose(client, is_published)
    }
}

impl<T> Line<T> {
    fn of(plugin: &RegisteredPlugin, assigned: impl Fn(&RegisteredPlugin, &RegisteredVersion) -> Option<T>) -> Self {
        let candidate = |version: &RegisteredVersion| {
            let is_decided = undecided(plugin, version).is_empty();
            let assigned = is_decided.then(|| assigned(plugin, version)).flatten()?;
            Some(Candidate { needs: Needs::of(version), digest: version.digest, assigned: Box::new(assigned) })
        };
        let trial = |trial| {
            let (version, assignment) = plugin.trial(trial)?;
            Some((candidate(version)?, assignment.collection))
        };
        Self {
            name: plugin.name.clone(),
            current: plugin.current_version().and_then(candidate),
            previous: plugin.previous_version().and_then(candidate),
            canary: trial(Trial::Canary),
            shadow: trial(Trial::Shadow),
        }
    }

    /// The first of canary, current and previous version that the client can run counts, and the next one is what it
    /// falls back to. A client that can run none of them is not left without: it refuses what it is assigned, and says
    /// why.
    fn choose<'a>(&'a self, client: &OneClient<'_>, is_published: impl Fn(&Digest) -> bool) -> Option<Choice<'a, T>> {
        let is_member = |collection: CollectionId| collection == ALL_CLIENTS || client.member_of.contains(&collection);
        let of_member = |trial: &'a Option<(Candidate<T>, CollectionId)>| {
            trial.as_ref().filter(|(_, collection)| is_member(*collection)).map(|(candidate, _)| candidate)
        };
        let is_there = |candidate: &&Candidate<T>| is_published(&candidate.digest);
        let fits = |candidate: &&Candidate<T>| is_there(candidate) && candidate.needs.unmet(client.abilities).is_none();
        let (canary, current, previous) = (of_member(&self.canary), self.current.as_ref(), self.previous.as_ref());
        let mut candidates = [canary, current, previous].into_iter().flatten().filter(fits);
        // Not the canary first: what its members cannot run at all is no failure of it.
        let unfit = || [current, canary, previous].into_iter().flatten().find(is_there);
        let counts = candidates.next().or_else(unfit)?;
        let differs = |candidate: &&Candidate<T>| candidate.digest != counts.digest;
        let shadow = of_member(&self.shadow).filter(fits).filter(differs);
        let fallback = candidates.find(differs);
        Some(Choice {
            counts: &counts.assigned,
            fallback: fallback.map(|candidate| &*candidate.assigned),
            shadow: shadow.map(|candidate| &*candidate.assigned),
        })
    }
}

/// A version as clients are assigned it; none if it has more or longer entries than an assignment holds.
#[must_use]
pub fn assigned_plugin(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Option<AssignedPlugin> {
    let RegisteredPlugin { name, decisions, .. } = plugin;
    Some(AssignedPlugin {
        name: bounded(name)?,
        version: bounded(&version.version)?,
        target: bounded(&target(name, &version.version))?,
        digest: version.digest,
        read: names(&approved_lines(decisions, Access::Read, &version.manifest.read))?,
    })
}

/// The same of an installer.
#[must_use]
pub fn assigned_installer(plugin: &RegisteredPlugin, version: &RegisteredVersion) -> Option<AssignedInstaller> {
    let RegisteredPlugin { name, decisions, .. } = plugin;
    let manifest = &version.manifest;
    Some(AssignedInstaller {
        name: bounded(name)?,
        version: bounded(&version.version)?,
        target: bounded(&target(name, &version.version))?,
        digest: version.digest,
        read: names(&approved_lines(decisions, Access::Read, &manifest.read))?,
        write: names(&approved_lines(decisions, Access::Write, &manifest.write))?,
        run: lines(&approved_lines(decisions, Access::Run, &manifest.run))?,
    })
}

fn bounded<const N: usize>(text: &str) -> Option<heapless::String<N>> {
    heapless::String::try_from(text).ok()
}

fn names<const M: usize>(grants: &[String]) -> Option<heapless::Vec<Name, M>> {
    lines(grants)
}

fn lines<const N: usize, const M: usize>(grants: &[String]) -> Option<heapless::Vec<heapless::String<N>, M>> {
    let mut all = heapless::Vec::new();
    for grant in grants {
        all.push(bounded(grant)?).ok()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{approve, plugin};
    use super::*;
    use crate::database::CollectionAssignment;

    const CHOSEN: CollectionId = CollectionId(7);

    /// Versions 1.0.0, 1.1.0 and so on in the rows 1, 2 and so on; the second one counts.
    fn dpkg() -> RegisteredPlugin {
        let mut plugin = plugin("dpkg", World::Applicability, &["1.0.0", "1.1.0", "1.2.0", "1.3.0"]);
        (plugin.current, plugin.previous) = (Some(2), Some(1));
        plugin
    }

    fn trial(version: i64, collection: CollectionId) -> Option<CollectionAssignment> {
        Some(CollectionAssignment { version, collection, collection_name: String::new(), assigned_at: 1 })
    }

    /// What counts, what is fallen back to, and the shadow, of `abilities` and `member_of`.
    fn chosen(
        plugin: &RegisteredPlugin,
        abilities: &ClientAbilities,
        member_of: &[CollectionId],
    ) -> Option<[Option<String>; 3]> {
        let roll_out = RollOut::of(std::slice::from_ref(plugin));
        let member_of = member_of.iter().copied().collect();
        let client = OneClient { abilities, member_of: &member_of };
        let choice = roll_out.scanning(&plugin.name, &client, |_| true)?;
        let number = |assigned: &AssignedPlugin| assigned.version.to_string();
        Some([Some(number(choice.counts)), choice.fallback.map(number), choice.shadow.map(number)])
    }

    fn versions(counts: &str, fallback: &str, shadow: &str) -> Option<[Option<String>; 3]> {
        Some([counts, fallback, shadow].map(|version| Some(version.to_owned()).filter(|version| !version.is_empty())))
    }

    #[test]
    fn members_get_the_canary_and_fall_back_to_what_counts_everywhere_else() {
        let (anybody, mut plugin) = (ClientAbilities::default(), dpkg());
        assert_eq!(chosen(&plugin, &anybody, &[]), versions("1.1.0", "1.0.0", ""));
        plugin.canary = trial(3, CHOSEN);
        assert_eq!(chosen(&plugin, &anybody, &[]), versions("1.1.0", "1.0.0", ""));
        assert_eq!(chosen(&plugin, &anybody, &[CHOSEN]), versions("1.2.0", "1.1.0", ""));
        plugin.canary = trial(3, ALL_CLIENTS);
        assert_eq!(chosen(&plugin, &anybody, &[]), versions("1.2.0", "1.1.0", ""));
    }

    #[test]
    fn a_shadow_never_counts_and_is_another_version_than_the_one_that_does() {
        let (anybody, mut plugin) = (ClientAbilities::default(), dpkg());
        plugin.shadow = trial(4, CHOSEN);
        assert_eq!(chosen(&plugin, &anybody, &[]), versions("1.1.0", "1.0.0", ""));
        assert_eq!(chosen(&plugin, &anybody, &[CHOSEN]), versions("1.1.0", "1.0.0", "1.3.0"));
        plugin.canary = trial(4, CHOSEN);
        assert_eq!(chosen(&plugin, &anybody, &[CHOSEN]), versions("1.3.0", "1.1.0", ""));
    }

    #[test]
    fn nothing_is_assigned_of_which_anything_is_undecided() {
        let (anybody, mut plugin) = (ClientAbilities::default(), dpkg());
        plugin.shadow = trial(4, ALL_CLIENTS);
        plugin.decisions.clear();
        assert_eq!(chosen(&plugin, &anybody, &[]), None);
        approve(&mut plugin, Access::Read, "/etc/os-release", false);
        assert_eq!(chosen(&plugin, &anybody, &[]), versions("1.1.0", "1.0.0", "1.3.0"));
        let roll_out = RollOut::of(std::slice::from_ref(&plugin));
        let member_of = HashSet::new();
        let client = OneClient { abilities: &anybody, member_of: &member_of };
        let choice = roll_out.scanning("dpkg", &client, |_| true).unwrap();
        assert!(choice.counts.read.is_empty(), "refused: it runs without");
        assert_eq!(choice.counts.target, "plugins/dpkg/1.1.0");
    }

    #[test]
    fn who_cannot_run_a_version_keeps_the_one_before_and_who_can_run_none_is_assigned_one_all_the_same() {
        let old = ClientAbilities { wit: "1.0.0".to_owned(), ..ClientAbilities::default() };
        let mut plugin = dpkg();
        plugin.versions[1].manifest.wit = "1.1.0".to_owned();
        plugin.versions[3].manifest.limits.memory_mebibytes = Some(64);
        assert_eq!(chosen(&plugin, &old, &[]), versions("1.0.0", "", ""));
        let small = ClientAbilities { wit: "1.1.0".to_owned(), plugin_memory_bytes: 48 << 20, component_bytes: 1 };
        plugin.canary = trial(3, ALL_CLIENTS);
        assert_eq!(chosen(&plugin, &small, &[]), versions("1.1.0", "", ""), "no component is that small");
        plugin.canary = None;
        let small = ClientAbilities { component_bytes: 0, ..small };
        plugin.shadow = trial(4, ALL_CLIENTS);
        assert_eq!(chosen(&plugin, &small, &[]), versions("1.1.0", "1.0.0", ""));
    }

    #[test]
    fn only_what_is_published_is_assigned() {
        let (anybody, plugin) = (ClientAbilities::default(), dpkg());
        let roll_out = RollOut::of(std::slice::from_ref(&plugin));
        let member_of = HashSet::new();
        let client = OneClient { abilities: &anybody, member_of: &member_of };
        let previous = plugin.versions[0].digest;
        let choice = roll_out.scanning("dpkg", &client, |digest| *digest == previous).unwrap();
        assert_eq!((choice.counts.version.as_str(), choice.fallback), ("1.0.0", None));
        assert_eq!(roll_out.scanning("dpkg", &client, |_| false), None);
        assert_eq!(roll_out.scanning("rpm", &client, |_| true), None);
        assert_eq!(roll_out.installing("dpkg", &client, |_| true), None);
    }
}
