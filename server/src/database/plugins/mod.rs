//! Plugins: every version that was pushed, what administrators decided of their grants, and which version counts where.

mod change;
mod publishers;
mod read;
mod shadows;

pub use change::{NewVersion, PluginChange};
pub use publishers::Publisher;
pub use shadows::TrialFigures;

use super::CollectionId;
use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::{Access, Manifest, World};
use std::cmp::Ordering;

/// A plugin with all its versions.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredPlugin {
    /// Its row.
    pub row: i64,
    /// Its name.
    pub name: String,
    /// The world of all its versions.
    pub world: World,
    /// The row of the version that counts wherever no canary does; none before one is promoted.
    pub current: Option<i64>,
    /// The row of the version that counted before it.
    pub previous: Option<i64>,
    /// Whether an administrator chose the current version: one that comes with a newer Farrier does not replace it.
    pub pinned: bool,
    /// When the version that counts last changed.
    pub changed_at: UnixTime,
    /// Its versions, the oldest first.
    pub versions: Vec<RegisteredVersion>,
    /// What was decided of its grants.
    pub decisions: Vec<GrantDecision>,
    /// The version that counts for the members of a collection.
    pub canary: Option<CollectionAssignment>,
    /// The version that scans beside the one that counts, for the members of a collection.
    pub shadow: Option<CollectionAssignment>,
}

/// A version of a plugin, without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredVersion {
    /// Its row.
    pub row: i64,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What it says of itself, and asks for.
    pub manifest: Manifest,
    /// Bytes of the component.
    pub component_bytes: i64,
    /// Whose signature it carries; empty for none.
    pub publisher: String,
    /// Who pushed it.
    pub pushed_by: String,
    /// When.
    pub pushed_at: UnixTime,
}

/// What was decided of one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantDecision {
    /// What it is for.
    pub access: Access,
    /// The grant.
    pub grant: String,
    /// Approved, or refused: the plugin runs without it.
    pub approved: bool,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: UnixTime,
}

/// A version for the members of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionAssignment {
    /// The row of the version.
    pub version: i64,
    /// The collection.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
    /// Since when.
    pub assigned_at: UnixTime,
}

/// How a version that is not current is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trial {
    /// It counts there.
    Canary = 0,
    /// It scans beside the version that counts.
    Shadow = 1,
}

impl Trial {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

impl RegisteredPlugin {
    /// The version of this number, if there is one.
    #[must_use]
    pub fn version(&self, version: &str) -> Option<&RegisteredVersion> {
        self.versions.iter().find(|known| known.version == version)
    }

    /// The version of this row.
    #[must_use]
    pub fn version_of_row(&self, row: i64) -> Option<&RegisteredVersion> {
        self.versions.iter().find(|known| known.row == row)
    }

    /// The version that counts wherever no canary does.
    #[must_use]
    pub fn current_version(&self) -> Option<&RegisteredVersion> {
        self.current.and_then(|row| self.version_of_row(row))
    }

    /// The version that counted before it.
    #[must_use]
    pub fn previous_version(&self) -> Option<&RegisteredVersion> {
        self.previous.and_then(|row| self.version_of_row(row))
    }

    /// What is tried in this way, if anything is.
    #[must_use]
    pub fn trial(&self, trial: Trial) -> Option<(&RegisteredVersion, &CollectionAssignment)> {
        let assignment = match trial {
            Trial::Canary => self.canary.as_ref(),
            Trial::Shadow => self.shadow.as_ref(),
        };
        assignment.and_then(|assignment| Some((self.version_of_row(assignment.version)?, assignment)))
    }

    /// The newest version by its number.
    #[must_use]
    pub fn newest(&self) -> Option<&RegisteredVersion> {
        self.versions.last()
    }

    /// The versions that clients may need: current, previous, canary and shadow, each once.
    #[must_use]
    pub fn in_use(&self) -> Vec<&RegisteredVersion> {
        let trials = [&self.canary, &self.shadow].map(|trial| trial.as_ref().map(|trial| trial.version));
        let mut rows: Vec<i64> = [self.current, self.previous].into_iter().chain(trials).flatten().collect();
        rows.sort_unstable();
        rows.dedup();
        self.versions.iter().filter(|version| rows.contains(&version.row)).collect()
    }
}

/// The order of versions: that of semantic versioning, and after all of those whatever is none.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (semver::Version::parse(a), semver::Version::parse(b)) {
        (Ok(first), Ok(second)) => first.cmp_precedence(&second).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// The access of this word.
fn access_of(word: &str) -> Result<Access, sqlx::Error> {
    let found = [Access::Read, Access::Write, Access::Run].into_iter().find(|access| access.list() == word);
    found.ok_or_else(|| sqlx::Error::Decode(format!("{word:?} is no access of a grant").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_semantic_versioning() {
        let mut versions = vec!["1.10.0", "1.9.0", "latest", "2.0.0-beta.2", "2.0.0", "2.0.0-beta.11"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(versions, ["1.9.0", "1.10.0", "2.0.0-beta.2", "2.0.0-beta.11", "2.0.0", "latest"]);
    }
}
