//! Which assignment is taken.

use crate::versions::Version;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use farrier_protocol::assignment::{Assessment, Assignment, Standing};
use farrier_protocol::{ClientId, Digest};

/// Why an assignment is not taken; the agent goes on with the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is another client's.
    WrongClient(ClientId),
    /// It is older than one already taken.
    Rollback {
        /// The version offered.
        offered: u64,
        /// The version taken before.
        floor: u64,
    },
    /// An entry is not a target of the trusted repository index.
    NotInRepository(String),
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
            Self::Rollback { offered, floor } => {
                write!(f, "the assignment has version {offered}, but version {floor} was taken before")
            }
            Self::NotInRepository(target) => {
                write!(f, "the assignment names {target} with a digest that the signed repository index does not hold")
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

/// Whether `assignment` may be taken by `client`, which took version `floor` before. `holds` answers whether the trusted
/// repository index has a target of this name with this digest.
///
/// # Errors
/// When it must not be taken.
pub fn check(
    assignment: &Assignment,
    client: ClientId,
    floor: u64,
    holds: impl Fn(&str, &Digest) -> bool,
) -> Result<(), Refusal> {
    let Assessment { client: of, version, plugins, catalogs, .. } = &assignment.assessment;
    if *of != client {
        return Err(Refusal::WrongClient(*of));
    }
    if *version < floor {
        return Err(Refusal::Rollback { offered: *version, floor });
    }
    check_versions(plugins.iter(), None, &holds)?;
    for catalog in catalogs {
        if !plugins.iter().any(|plugin| plugin.name == catalog.plugin) {
            return Err(Refusal::NoPlugin { catalog: catalog.target.to_string(), plugin: catalog.plugin.to_string() });
        }
        if !holds(&catalog.target, &catalog.digest) {
            return Err(Refusal::NotInRepository(catalog.target.to_string()));
        }
    }
    let Assignment { installers, shadows, fallbacks, installer_fallbacks, .. } = assignment;
    check_versions(installers.iter(), None, &holds)?;
    check_versions(shadows.iter().map(Box::as_ref), Some(("shadow", plugins)), &holds)?;
    check_versions(fallbacks.iter().map(Box::as_ref), Some(("fallback", plugins)), &holds)?;
    check_versions(installer_fallbacks.iter().map(Box::as_ref), Some(("fallback", installers)), &holds)?;
    // The policy of a cancelled deployment is not published any more, and nobody needs it.
    let followed = assignment.deployments.iter().filter(|deployment| deployment.standing != Standing::Cancelled);
    for deployment in followed {
        if !holds(&deployment.target, &deployment.digest) {
            return Err(Refusal::NotInRepository(deployment.target.to_string()));
        }
    }
    Ok(())
}

/// Whether these have a name each, are targets of the repository and, if they are to be a part of others, versions of
/// those.
fn check_versions<'a, V: Version + 'a>(
    versions: impl Iterator<Item = &'a V> + Clone,
    part_of: Option<(&'static str, &[V])>,
    holds: impl Fn(&str, &Digest) -> bool,
) -> Result<(), Refusal> {
    for (position, version) in versions.clone().enumerate() {
        let name = version.name();
        if versions.clone().take(position).any(|other| other.name() == name) {
            return Err(Refusal::DuplicatePlugin(name.to_string()));
        }
        if let Some((part, plugins)) = part_of
            && !plugins.iter().any(|plugin| plugin.name() == name)
        {
            return Err(Refusal::OfNoPlugin { part, plugin: name.to_string() });
        }
        if !holds(version.target(), &version.digest()) {
            return Err(Refusal::NotInRepository(version.target().to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_protocol::DeploymentId;
    use farrier_protocol::assignment::{
        AssignedCatalog, AssignedDeployment, AssignedInstaller, AssignedPlugin, Schedule,
    };
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
    fn an_assignment_of_targets_in_the_index_is_taken() {
        assert_eq!(check(&assignment(), CLIENT, 4, |_, _| true), Ok(()));
    }

    #[test]
    fn another_clients_assignment_is_refused() {
        let other = ClientId([8; 16]);
        assert_eq!(check(&assignment(), other, 0, |_, _| true), Err(Refusal::WrongClient(CLIENT)));
    }

    #[test]
    fn an_older_assignment_is_refused() {
        let refusal = Refusal::Rollback { offered: 4, floor: 5 };
        assert_eq!(check(&assignment(), CLIENT, 5, |_, _| true), Err(refusal));
    }

    #[test]
    fn an_entry_that_the_index_does_not_hold_is_refused_by_name() {
        for missing in ["plugins/dpkg", "catalogs/bookworm/amd64"] {
            let refusal = check(&assignment(), CLIENT, 0, |name, _| name != missing);
            assert_eq!(refusal, Err(Refusal::NotInRepository(missing.into())));
        }
    }

    #[test]
    fn a_catalog_without_its_plugin_is_refused() {
        let mut assignment = assignment();
        assignment.assessment.catalogs[0].plugin = bounded("rpm");
        assert!(matches!(check(&assignment, CLIENT, 0, |_, _| true), Err(Refusal::NoPlugin { .. })));
    }

    #[test]
    fn only_the_policy_of_a_cancelled_deployment_may_be_gone() {
        let mut assignment = assignment();
        let deployed = |standing| AssignedDeployment {
            deployment: DeploymentId([1; 16]),
            target: bounded("policies/1"),
            digest: Digest::of(b"policy"),
            phase: 0,
            standing,
            retries: 0,
        };
        let gone = |name: &str, _: &Digest| name != "policies/1";
        for (standing, refused) in [(Standing::Paused, true), (Standing::Cancelled, false)] {
            assignment.deployments = [deployed(standing)].into_iter().collect();
            assert_eq!(check(&assignment, CLIENT, 0, gone).is_err(), refused);
        }
    }

    #[test]
    fn two_plugins_of_one_name_are_refused() {
        let mut assignment = assignment();
        let again = assignment.assessment.plugins[0].clone();
        assignment.assessment.plugins.push(again).unwrap();
        assert!(matches!(check(&assignment, CLIENT, 0, |_, _| true), Err(Refusal::DuplicatePlugin(_))));
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
    fn other_versions_are_of_assigned_plugins_once_each_and_signed() {
        let checked = |change: &dyn Fn(&mut Assignment)| {
            let mut assignment = with_versions();
            change(&mut assignment);
            check(&assignment, CLIENT, 0, |_, _| true)
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
        for digest in [&b"shadow"[..], b"fallback", b"installer", b"installer before"] {
            let holds = |_: &str, known: &Digest| *known != Digest::of(digest);
            let refusal = check(&with_versions(), CLIENT, 0, holds);
            assert!(matches!(refusal, Err(Refusal::NotInRepository(_))), "{refusal:?}");
        }
    }
}
