//! The component host: it runs what a site shipped as a WASM component, inside a sandbox, within named limits.
//!
//! A [`Runtime`] is one engine with one [`Profile`] and one set of [`Limits`]. It loads a [`Plugin`] from the bytes of a
//! component, through the [`ArtefactCache`] and, when that has nothing, the [`Compiler`]. A plugin opens a [`Scan`] of an
//! [`Endpoint`] with its [`Grants`], and the scan answers chunks of rules.
//!
//! A plugin of the other world, an [`InstallerPlugin`], opens an [`Installation`](install::Installation), which changes the
//! endpoint.
//!
//! What this crate never does: it never links WASI, or anything that has an effect to an applicability plugin, never lets
//! a guest read, write or run what is not granted three times over, never lets an answer through that is not exactly one state a rule, never uses a store again
//! after a trap, and never hands bytes to the engine that it did not compile or authenticate itself. It verifies no
//! signatures: whoever calls [`Runtime::load`] has done so (`farrier-trust`).

#![warn(missing_docs)]

mod cache;
pub mod compile;
mod endpoint;
mod engine;
mod facts;
mod failure;
mod grants;
mod inspect;
pub mod install;
mod limits;
mod log;
mod manifest;
mod observe;
mod parts;
mod plugin;
#[cfg(test)]
mod properties;
mod reader;
mod scan;
mod text;
mod world;

pub use cache::{ArtefactCache, KEY_BYTES};
pub use compile::{Artefact, CompileError, Compiler};
pub use endpoint::{Endpoint, EndpointError};
pub use engine::Profile;
pub use failure::{Call, ScanError};
pub use grants::{Access, Denial, GrantError, GrantLists, Grants, RunGrant, RunGrantError, RunGrants};
pub use inspect::{Inspection, Sizes, inspect};
pub use install::{InstallError, InstallLimits, Installation, InstallerGrants, InstallerPlugin};
pub use limits::{LimitExceeded, Limits};
pub use manifest::{AskedLimits, Manifest, ManifestError, Request, Rules, WIT_VERSION, World};
pub use observe::{HostCall, Observer, ProgramCall, ProgramExit, Programs, Status};
pub use plugin::{LoadError, Plugin, Runtime};
pub use scan::{Finding, Scan};
