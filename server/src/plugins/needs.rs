//! What a version needs of an agent, and whether that has it.

use crate::database::{AbilityGroup, ClientAbilities, RegisteredVersion};

/// Bytes of a mebibyte.
const MEBIBYTE: i64 = 1 << 20;

/// What a version needs of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The version of `farrier:policy` it was built for.
    wit: String,
    /// Bytes of memory it asks for; 0 if it takes what it gets.
    memory_bytes: i64,
    /// Bytes of its component.
    component_bytes: i64,
}

impl Needs {
    /// What this version needs.
    #[must_use]
    pub fn of(version: &RegisteredVersion) -> Self {
        Self {
            wit: version.manifest.wit.clone(),
            memory_bytes: i64::from(version.manifest.limits.memory_mebibytes.unwrap_or(0)) * MEBIBYTE,
            component_bytes: version.component_bytes,
        }
    }

    /// Why an agent cannot run it, in words; none if it can. An agent that has not said what it can run is given the
    /// benefit of the doubt: it refuses by itself what it cannot run.
    #[must_use]
    pub fn unmet(&self, by: &ClientAbilities) -> Option<String> {
        if !by.wit.is_empty() && !runs(&by.wit, &self.wit) {
            return Some(format!(
                "it was built for farrier:policy {}, and the agent has {}: update the agent",
                self.wit, by.wit
            ));
        }
        if by.plugin_memory_bytes > 0 && self.memory_bytes > by.plugin_memory_bytes {
            return Some(format!(
                "it asks for {} of memory, and the agent gives a plugin {}: raise that limit in its agent.toml",
                mebibytes(self.memory_bytes),
                mebibytes(by.plugin_memory_bytes)
            ));
        }
        if by.component_bytes > 0 && self.component_bytes > by.component_bytes {
            return Some(format!(
                "its component has {} bytes, and the agent takes {}: raise that limit in its agent.toml",
                self.component_bytes, by.component_bytes
            ));
        }
        None
    }
}

/// Why some of these clients cannot run a version, each reason once, with how many they are.
#[must_use]
pub fn cannot_run(version: &RegisteredVersion, groups: &[AbilityGroup]) -> Vec<(String, i64)> {
    let needs = Needs::of(version);
    let mut reasons: Vec<(String, i64)> = Vec::new();
    for group in groups {
        let Some(reason) = needs.unmet(&group.abilities) else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, clients)) => *clients += group.clients,
            None => reasons.push((reason, group.clients)),
        }
    }
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    reasons
}

/// Whether a host with this version of `farrier:policy` runs plugins built for that one: the same major version, and no
/// newer a minor one.
fn runs(host: &str, plugin: &str) -> bool {
    match (major_minor(host), major_minor(plugin)) {
        (Some((host_major, host_minor)), Some((major, minor))) => host_major == major && minor <= host_minor,
        _ => false,
    }
}

fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn mebibytes(bytes: i64) -> String {
    match (bytes / MEBIBYTE, bytes % MEBIBYTE) {
        (0, _) => format!("{bytes} bytes"),
        (whole, 0) => format!("{whole} MiB"),
        (whole, _) => format!("{whole} MiB and some"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(wit: &str, plugin_memory_bytes: i64, component_bytes: i64) -> ClientAbilities {
        ClientAbilities { wit: wit.to_owned(), plugin_memory_bytes, component_bytes }
    }

    #[test]
    fn an_agent_that_cannot_run_a_version_is_named_with_the_reason() {
        let needs = Needs { wit: "1.2.0".to_owned(), memory_bytes: 64 * MEBIBYTE, component_bytes: 5_000_000 };
        for (agent, expected) in [
            (abilities("1.2.0", 64 * MEBIBYTE, 5_000_000), ""),
            (abilities("1.10.3", 0, 0), ""),
            (abilities("", 0, 0), ""),
            (abilities("1.1.9", 0, 0), "farrier:policy 1.2.0, and the agent has 1.1.9"),
            (abilities("2.0.0", 0, 0), "farrier:policy 1.2.0, and the agent has 2.0.0"),
            (abilities("nonsense", 0, 0), "farrier:policy 1.2.0"),
            (abilities("1.2.0", 48 * MEBIBYTE, 0), "64 MiB of memory, and the agent gives a plugin 48 MiB"),
            (abilities("1.2.0", 0, 1_048_576), "5000000 bytes, and the agent takes 1048576"),
        ] {
            let unmet = needs.unmet(&agent);
            assert_eq!(unmet.is_none(), expected.is_empty(), "{agent:?}: {unmet:?}");
            assert!(unmet.unwrap_or_default().contains(expected), "{agent:?}");
        }
    }
}
