//! The roles of the repository: who may name which targets, and for how long what they sign counts.

use farrier_protocol::UnixTime;

/// Signs the keys of all others.
pub const ROOT: &str = "root";
/// Delegates; it names no target itself.
pub const TARGETS: &str = "targets";
/// Names the versions of [`TARGETS`] and of the delegated roles.
pub const SNAPSHOT: &str = "snapshot";
/// Names the version of [`SNAPSHOT`].
pub const TIMESTAMP: &str = "timestamp";
/// The roles that the root itself names the keys of.
pub const TOP: [&str; 4] = [ROOT, TARGETS, SNAPSHOT, TIMESTAMP];
/// Artefacts of plugins, compiled for an engine.
pub const NATIVE: &str = "native";
/// Plugins.
pub const PLUGINS: &str = "plugins";
/// Catalogs of software updates.
pub const CATALOGS: &str = "catalogs";
/// Policies of deployments.
pub const POLICIES: &str = "policies";

/// Parts of the longest name of a scope that has a catalog.
pub const MAX_SCOPE_PARTS: usize = 6;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A role that targets delegates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Its name. What it signs is below a folder of that name.
    pub name: &'static str,
    /// The targets that it may name; `*` does not cross `/`.
    pub paths: &'static [&'static str],
    /// Whether nobody after it is asked for them.
    pub terminating: bool,
}

/// The delegated roles, in the order in which clients ask them.
pub const DELEGATED: [DelegatedRole; 4] = [
    DelegatedRole { name: NATIVE, paths: &["native/*/*"], terminating: true },
    DelegatedRole { name: PLUGINS, paths: &["plugins/*/*"], terminating: true },
    DelegatedRole { name: CATALOGS, paths: CATALOG_PATHS, terminating: false },
    DelegatedRole { name: POLICIES, paths: &["policies/*"], terminating: false },
];

/// `catalogs/{suite}/{architecture}` and `catalogs/authored/{plugin}/{scope}`, whose last has up to [`MAX_SCOPE_PARTS`].
const CATALOG_PATHS: &[&str] = &[
    "catalogs/*/*",
    "catalogs/*/*/*",
    "catalogs/*/*/*/*",
    "catalogs/*/*/*/*/*",
    "catalogs/*/*/*/*/*/*",
    "catalogs/*/*/*/*/*/*/*",
    "catalogs/*/*/*/*/*/*/*/*",
];

/// For how long metadata counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From its signature to its expiry, in seconds.
    pub seconds: i64,
    /// With no more than so much left, the site signs it again, if it has the keys.
    pub renewed_with_seconds: i64,
}

impl Validity {
    /// Of this role's metadata. What is signed by keys that may be kept elsewhere counts for a year.
    #[must_use]
    pub fn of(role: &str) -> Self {
        let days =
            |days: i64, left: i64| Self { seconds: days * DAY_SECONDS, renewed_with_seconds: left * DAY_SECONDS };
        match role {
            TIMESTAMP => days(7, 6),
            SNAPSHOT => days(14, 7),
            CATALOGS | POLICIES => days(30, 15),
            _ => Self { seconds: 365 * DAY_SECONDS, renewed_with_seconds: 365 * DAY_SECONDS / 2 },
        }
    }

    /// Whether metadata that expires then is to be signed again.
    #[must_use]
    pub fn is_old(self, expires_at: UnixTime, now: UnixTime) -> bool {
        expires_at - now <= self.renewed_with_seconds
    }
}

/// The delegated role that names this target: the first part of its path.
#[must_use]
pub fn role_of(target: &str) -> Option<&'static str> {
    let folder = target.split('/').next()?;
    DELEGATED.iter().map(|role| role.name).find(|name| *name == folder)
}

/// The version after `last`: not only the next number, but one of this time. Clients take no lower version than they
/// have seen, and a site whose database was restored from a backup has to get above it again. Roots have the next
/// number, always: clients follow them one by one.
#[must_use]
pub fn next_version(role: &str, last: u64, now: UnixTime) -> u64 {
    match role {
        ROOT => last + 1,
        _ => (last + 1).max(now.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_of_their_time_and_grow_all_the_same() {
        assert_eq!(next_version(SNAPSHOT, 0, 1_700_000_000), 1_700_000_000);
        assert_eq!(next_version(SNAPSHOT, 1_700_000_000, 1_700_000_000), 1_700_000_001);
        assert_eq!(next_version(ROOT, 2, 1_700_000_000), 3);
    }

    #[test]
    fn every_role_is_renewed_before_it_expires() {
        for role in [ROOT, TARGETS, SNAPSHOT, TIMESTAMP, NATIVE, PLUGINS, CATALOGS, POLICIES] {
            let Validity { seconds, renewed_with_seconds } = Validity::of(role);
            assert!(renewed_with_seconds > 0 && renewed_with_seconds < seconds, "{role} is signed again and again");
            assert!(!Validity::of(role).is_old(seconds, 0) && Validity::of(role).is_old(renewed_with_seconds, 0));
        }
    }

    #[test]
    fn a_target_is_named_by_the_role_of_its_folder() {
        assert_eq!(role_of("plugins/dpkg/1.0.0"), Some(PLUGINS));
        assert_eq!(role_of("catalogs/authored/file-set/debian/bookworm/amd64"), Some(CATALOGS));
        assert_eq!(role_of("pluginsx/dpkg"), None);
        assert_eq!(role_of(""), None);
    }
}
