//! Which assignment is taken.

use crate::versions::Version;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use farrier_protocol::assignment::{Assessment, AssignedDeployment, Assignment, Standing};
use farrier_protocol::deployment::policy_target;
use farrier_protocol::{ClientId, Digest};

/// Where the repository has components.
const PLUGINS: &str = "plugins/";
/// Where it has catalogs.
const CATALOGS: &str = "catalogs/";

/// Why an assignment is not taken; the agent goes on with the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is another client's.
    WrongClient(ClientId),
    /// It has another version than the statement that names it.
    WrongVersion {
        /// The version in the statement.
        stated: u64,
        /// The version in the assignment.
        found: u64,
    },
    /// An entry is not a target of the trusted repository.
    NotInRepository(String),
    /// An entry is of a folder of the repository that others sign.
    Misplaced {
        /// What it is to be: `plugin`, `catalog`, `deployment`.
        part: &'static str,
        /// Its target.
        target: String,
    },
    /// Two plugins have this name.
    DuplicatePlugin(String),
    /// A shadow or a fallback is of a plugin that is not assigned.
    OfNoPlugin {
        /// What it is to be: `shadow`, `fallback`.
        part: &'static str,
        /// The plugin's name.
        plugin: String,
    },
    /// This catalog's plugin is not assigned.
    NoPlugin {
        /// The catalog's target.
        catalog: String,
        /// The plugin it needs.
        plugin: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongClient(client) => write!(f, "the assignment is for client {client}, not for this one"),
            Self::WrongVersion { stated, found } => {
                write!(f, "the assignment has version {found}, but the statement that names it says version {stated}")
            }
            Self::NotInRepository(target) => {
                write!(f, "the assignment names {target} with a digest that the signed repository does not hold")
            }
            Self::Misplaced { part, target } => {
                write!(f, "the assignment names {target} as a {part}, which is not where the repository has those")
            }
            Self::DuplicatePlugin(name) => write!(f, "the assignment names the plugin {name} twice"),
            Self::OfNoPlugin { part, plugin } => {
                write!(f, "the assignment names a {part} of the plugin {plugin}, but not that plugin")
            }
            Self::NoPlugin { catalog, plugin } => {
                write!(f, "the assignment names the catalog {catalog} of the plugin {plugin}, but not that plugin")
            }
        }
    }
}

impl core::error::Error for Refusal {}

/// Whether `assignment`, which a statement names as version `stated`, fits together and is for `client`. Whether its
/// [`entries`] may be used is the repository's to say.
///
/// # Errors
/// When it must not be taken.
pub fn check(assignment: &Assignment, client: ClientId, stated: u64) -> Result<(), Refusal> {
    let Assessment { client: of, version, plugins, catalogs, .. } = &assignment.assessment;
    if *of != client {
        return Err(Refusal::WrongClient(*of));
    }
    if *version != stated {
        return Err(Refusal::WrongVersion { stated, found: *version });
    }
    check_versions(plugins.iter(), None)?;
    for catalog in catalogs {
        check_place("catalog", &catalog.target, catalog.target.starts_with(CATALOGS))?;
        if !plugins.iter().any(|plugin| plugin.name == catalog.plugin) {
            return Err(Refusal::NoPlugin { catalog: catalog.target.to_string(), plugin: catalog.plugin.to_string() });
        }
    }
    let Assignment { installers, shadows, fallbacks, installer_fallbacks, deployments, .. } = assignment;
    for AssignedDeployment { deployment, target, .. } in deployments {
        check_place("deployment", target, *target == policy_target(*deployment))?;
    }
    check_versions(installers.iter(), None)?;
    check_versions(shadows.iter().map(Box::as_ref), Some(("shadow", plugins)))?;
    check_versions(fallbacks.iter().map(Box::as_ref), Some(("fallback", plugins)))?;
    check_versions(installer_fallbacks.iter().map(Box::as_ref), Some(("fallback", installers)))
}

/// Whether an entry is where the repository has what it is to be: whose key is good for one folder is not to bring what
/// belongs in another.
fn check_place(part: &'static str, target: &str, is_there: bool) -> Result<(), Refusal> {
    if is_there { Ok(()) } else { Err(Refusal::Misplaced { part, target: target.to_string() }) }
}

/// Whether these are plugins, have a name each and, if they are to be a part of others, are versions of those.
fn check_versions<'a, V: Version + 'a>(
    versions: impl Iterator<Item = &'a V> + Clone,
    part_of: Option<(&'static str, &[V])>,
) -> Result<(), Refusal> {
    for (position, version) in versions.clone().enumerate() {
        let name = version.name();
        check_place("plugin", version.target(), version.target().starts_with(PLUGINS))?;
        if versions.clone().take(position).any(|other| other.name() == name) {
            return Err(Refusal::DuplicatePlugin(name.to_string()));
        }
        if let Some((part, plugins)) = part_of
            && !plugins.iter().any(|plugin| plugin.name() == name)
        {
            return Err(Refusal::OfNoPlugin { part, plugin: name.to_string() });
        }
    }
    Ok(())
}

/// Every target that an assignment selects, by name and digest: each has to be one of the trusted repository.
pub fn entries(assignment: &Assignment) -> impl Iterator<Item = (&str, Digest)> {
    let Assignment { assessment, installers, shadows, fallbacks, installer_fallbacks, .. } = assignment;
    let catalogs = assessment.catalogs.iter().map(|catalog| (catalog.target.as_str(), catalog.digest));
    // The policy of a cancelled deployment is not published any more, and nobody needs it.
    let followed = assignment.deployments.iter().filter(|deployment| deployment.standing != Standing::Cancelled);
    targets(assessment.plugins.iter())
        .chain(catalogs)
        .chain(targets(installers.iter()))
        .chain(targets(shadows.iter().map(Box::as_ref)))
        .chain(targets(fallbacks.iter().map(Box::as_ref)))
        .chain(targets(installer_fallbacks.iter().map(Box::as_ref)))
        .chain(followed.map(|deployment| (deployment.target.as_str(), deployment.digest)))
}

/// SHA-256 of every component that an assignment selects.
pub fn components(assignment: &Assignment) -> impl Iterator<Item = Digest> {
    let Assignment { assessment, installers, shadows, fallbacks, installer_fallbacks, .. } = assignment;
    let plugins = assessment.plugins.iter().map(Version::digest);
    let others = shadows.iter().chain(fallbacks).map(|plugin| plugin.digest);
    let installers = installers.iter().map(Version::digest);
    plugins.chain(others).chain(installers).chain(installer_fallbacks.iter().map(|installer| installer.digest))
}

fn targets<'a, V: Version + 'a>(versions: impl Iterator<Item = &'a V>) -> impl Iterator<Item = (&'a str, Digest)> {
    versions.map(|version| (version.target(), version.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use farrier_protocol::DeploymentId;
    use farrier_protocol::assignment::{AssignedCatalog, AssignedInstaller, AssignedPlugin, Schedule};
    use farrier_protocol::state_message::bounded;

    const CLIENT: ClientId = ClientId([7; 16]);

    fn assignment() -> Assignment {
        let plugin = AssignedPlugin {
            name: bounded("dpkg"),
            version: bounded("0.1.0"),
            target: bounded("plugins/dpkg"),
            digest: Digest::of(b"component"),
            read: [bounded("/var/lib/dpkg/status")].into_iter().collect(),
        };
        let catalog = AssignedCatalog {
            plugin: bounded("dpkg"),
            scope: bounded("debian/bookworm/amd64"),
            target: bounded("catalogs/bookworm/amd64"),
            digest: Digest::of(b"catalog"),
        };
        Assignment::from(Assessment {
            client: CLIENT,
            version: 4,
            issued_at: 1_000,
            schedule: Schedule { poll_seconds: 900, scan_seconds: 21_600 },
            plugins: [plugin].into_iter().collect(),
            catalogs: [catalog].into_iter().collect(),
        })
    }

    #[test]
    fn an_assignment_that_fits_together_is_taken() {
        assert_eq!(check(&assignment(), CLIENT, 4), Ok(()));
    }

    #[test]
    fn another_clients_assignment_is_refused() {
        let other = ClientId([8; 16]);
        assert_eq!(check(&assignment(), other, 4), Err(Refusal::WrongClient(CLIENT)));
    }

    #[test]
    fn an_assignment_of_another_version_than_its_statement_is_refused() {
        for stated in [3, 5] {
            assert_eq!(check(&assignment(), CLIENT, stated), Err(Refusal::WrongVersion { stated, found: 4 }));
        }
    }

    #[test]
    fn a_catalog_without_its_plugin_is_refused() {
        let mut assignment = assignment();
        assignment.assessment.catalogs[0].plugin = bounded("rpm");
        assert!(matches!(check(&assignment, CLIENT, 4), Err(Refusal::NoPlugin { .. })));
    }

    fn deployed(standing: Standing) -> AssignedDeployment {
        AssignedDeployment {
            deployment: DeploymentId([1; 16]),
            target: policy_target(DeploymentId([1; 16])),
            digest: Digest::of(b"policy"),
            phase: 0,
            standing,
            retries: 0,
        }
    }

    #[test]
    fn only_the_policy_of_a_cancelled_deployment_may_be_gone() {
        let mut assignment = assignment();
        for (standing, needed) in [(Standing::Paused, true), (Standing::Cancelled, false)] {
            assignment.deployments = [deployed(standing)].into_iter().collect();
            assert_eq!(entries(&assignment).any(|(name, _)| name.starts_with("policies/")), needed);
        }
    }

    #[test]
    fn what_is_signed_as_something_else_is_refused() {
        let checked = |change: &dyn Fn(&mut Assignment)| {
            let mut assignment = with_versions();
            change(&mut assignment);
            check(&assignment, CLIENT, 4)
        };
        let misplaced = |part, target: &str| Err(Refusal::Misplaced { part, target: target.into() });
        let catalog = "catalogs/dpkg/0.1.0";
        let plugin = misplaced("plugin", catalog);
        assert_eq!(checked(&|it| it.assessment.plugins[0].target = bounded(catalog)), plugin);
        assert_eq!(checked(&|it| it.shadows[0].target = bounded(catalog)), plugin);
        assert_eq!(checked(&|it| it.fallbacks[0].target = bounded(catalog)), plugin);
        assert_eq!(checked(&|it| it.installers[0].target = bounded(catalog)), plugin);
        assert_eq!(checked(&|it| it.installer_fallbacks[0].target = bounded(catalog)), plugin);
        let policy = "policies/1";
        assert_eq!(checked(&|it| it.assessment.catalogs[0].target = bounded(policy)), misplaced("catalog", policy));
        let deployed = |it: &mut Assignment| it.deployments = [deployed(Standing::Paused)].into_iter().collect();
        assert_eq!(checked(&deployed), Ok(()));
        let of_another = |it: &mut Assignment| {
            deployed(it);
            it.deployments[0].deployment = DeploymentId([2; 16]);
        };
        assert_eq!(checked(&of_another), misplaced("deployment", &policy_target(DeploymentId([1; 16]))));
    }

    #[test]
    fn two_plugins_of_one_name_are_refused() {
        let mut assignment = assignment();
        let again = assignment.assessment.plugins[0].clone();
        assignment.assessment.plugins.push(again).unwrap();
        assert!(matches!(check(&assignment, CLIENT, 4), Err(Refusal::DuplicatePlugin(_))));
    }

    /// With another version of the plugin as shadow and as fallback, and an installer with a fallback.
    fn with_versions() -> Assignment {
        let mut assignment = assignment();
        let version = |digest: &[u8]| {
            let digest = Digest::of(digest);
            Box::new(AssignedPlugin { digest, ..assignment.assessment.plugins[0].clone() })
        };
        let installer = |digest: &[u8]| AssignedInstaller {
            name: bounded("dpkg-installer"),
            version: bounded("0.1.0"),
            target: bounded("plugins/dpkg-installer"),
            digest: Digest::of(digest),
            read: Default::default(),
            write: Default::default(),
            run: Default::default(),
        };
        let (shadow, fallback) = (version(b"shadow"), version(b"fallback"));
        assignment.shadows.push(shadow).unwrap();
        assignment.fallbacks.push(fallback).unwrap();
        assignment.installers.push(installer(b"installer")).unwrap();
        assignment.installer_fallbacks.push(Box::new(installer(b"installer before"))).unwrap();
        assignment
    }

    #[test]
    fn other_versions_are_of_assigned_plugins_once_each() {
        let checked = |change: &dyn Fn(&mut Assignment)| {
            let mut assignment = with_versions();
            change(&mut assignment);
            check(&assignment, CLIENT, 4)
        };
        let of_no_plugin = |part, plugin: &str| Err(Refusal::OfNoPlugin { part, plugin: plugin.into() });
        let twice = |plugin: &str| Err(Refusal::DuplicatePlugin(plugin.into()));
        assert_eq!(checked(&|_| ()), Ok(()));
        assert_eq!(checked(&|it| it.shadows[0].name = bounded("rpm")), of_no_plugin("shadow", "rpm"));
        assert_eq!(checked(&|it| it.fallbacks[0].name = bounded("rpm")), of_no_plugin("fallback", "rpm"));
        assert_eq!(checked(&|it| it.installer_fallbacks[0].name = bounded("dpkg")), of_no_plugin("fallback", "dpkg"));
        assert_eq!(checked(&|it| it.shadows.push(it.shadows[0].clone()).unwrap()), twice("dpkg"));
        assert_eq!(checked(&|it| it.fallbacks.push(it.fallbacks[0].clone()).unwrap()), twice("dpkg"));
        let again = |it: &mut Assignment| {
            let fallback = it.installer_fallbacks[0].clone();
            it.installer_fallbacks.push(fallback).unwrap();
        };
        assert_eq!(checked(&again), twice("dpkg-installer"));
    }

    #[test]
    fn every_component_and_every_catalog_is_an_entry() {
        let assignment = with_versions();
        let entries: Vec<_> = entries(&assignment).map(|(_, digest)| digest).collect();
        let selected = ["component", "catalog", "installer", "shadow", "fallback", "installer before"];
        assert_eq!(entries, selected.map(|content| Digest::of(content.as_bytes())));
    }
}
