//! Authored updates: software updates that an administrator writes as a policy file, `policy.toml`.
//!
//! A policy file names an applicability plugin with the scopes it concerns and a rule, and, if it can be installed, an
//! installer plugin with its instructions and the files it installs. [`import`] makes a software update of it: the rule
//! is encoded as the plugin's manifest says, the files become content of the distribution point. From there on it is
//! like every other update: a catalog names it, clients scan by it, a deployment installs it.
//!
//! Nothing here knows what a rule says. docs/policies.md is the reference of the file.

mod encode;
mod import;
mod plugins;
mod policy_file;
mod written;

pub use encode::{EncodeError, MAX_RULE_BYTES, check_schema_of, encode_rule};
pub use import::{Dropped, ImportError, Imported, Outcome, Removed, check, import, remove};
pub use plugins::{KnownPlugins, in_box};
pub use policy_file::{Applicability, ContentFile, Encoded, Installation, PolicyError, PolicyFile};

/// The suite that authored updates belong to; no upstream has it, and site.toml cannot name one like it.
pub const SUITE: &str = "authored";
/// Where the catalogs of authored updates are among the targets: `catalogs/authored/{plugin}/{scope}`.
pub const CATALOGS: &str = "catalogs/authored/";

/// The name of the software update that a version of a policy becomes.
#[must_use]
pub fn update_name(policy: &str, version: &str) -> String {
    format!("{SUITE}/{policy}/{version}")
}

/// How long the installation of a policy may take, if the policy file says so.
///
/// It is read from the definition as it was imported; one that a later version of Farrier refuses says nothing.
pub(crate) fn max_run_seconds(definition: &str) -> Option<u32> {
    PolicyFile::parse(definition).ok()?.installation?.max_run_seconds
}
