//! Which assignment is taken.

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
    for (position, plugin) in plugins.iter().enumerate() {
        if plugins[..position].iter().any(|other| other.name == plugin.name) {
            return Err(Refusal::DuplicatePlugin(plugin.name.to_string()));
        }
        if !holds(&plugin.target, &plugin.digest) {
            return Err(Refusal::NotInRepository(plugin.target.to_string()));
        }
    }
    for catalog in catalogs {
        if !plugins.iter().any(|plugin| plugin.name == catalog.plugin) {
            return Err(Refusal::NoPlugin { catalog: catalog.target.to_string(), plugin: catalog.plugin.to_string() });
        }
        if !holds(&catalog.target, &catalog.digest) {
            return Err(Refusal::NotInRepository(catalog.target.to_string()));
        }
    }
    for (position, installer) in assignment.installers.iter().enumerate() {
        if assignment.installers[..position].iter().any(|other| other.name == installer.name) {
            return Err(Refusal::DuplicatePlugin(installer.name.to_string()));
        }
        if !holds(&installer.target, &installer.digest) {
            return Err(Refusal::NotInRepository(installer.target.to_string()));
        }
    }
    // The policy of a cancelled deployment is not published any more, and nobody needs it.
    let followed = assignment.deployments.iter().filter(|deployment| deployment.standing != Standing::Cancelled);
    for deployment in followed {
        if !holds(&deployment.target, &deployment.digest) {
            return Err(Refusal::NotInRepository(deployment.target.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_protocol::DeploymentId;
    use farrier_protocol::assignment::{AssignedCatalog, AssignedDeployment, AssignedPlugin, Schedule};
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
}
