//! The component host: it runs what a site shipped as a WASM component, inside a sandbox, within named limits.
//!
//! A [`Runtime`] is one engine with one [`Profile`] and one set of [`Limits`]. It loads a [`Plugin`] from the bytes of a
//! component and from its compiled form, which has one of two [`Source`]s: a compiler of this host, with a cache under
//! the device's key, or the site, which has compiled and signed it. Without the feature `compiler` there is only the
//! second. A plugin opens a [`Scan`] of an [`Endpoint`] with its [`Grants`], and the scan answers chunks of rules.
//!
//! A plugin of the other world, an [`InstallerPlugin`], opens an [`Installation`](install::Installation), which changes the
//! endpoint.
//!
//! What this crate never does: it never links WASI, or anything that has an effect to an applicability plugin, never lets
//! a guest read, write or run what is not granted three times over, never lets an answer through that is not exactly one state a rule, never uses a store again
//! after a trap, and never hands bytes to the engine that it did not compile or authenticate itself, the second by a MAC
//! or by a signed digest. It verifies no signatures: whoever calls [`Runtime::load`] has done so (`farrier-trust`).
//!
//! Features: `compiler` (default) links Cranelift; `cross` makes that compile for machines of every kind, which is the
//! site's business.

#![warn(missing_docs)]

mod artefact;
#[cfg(feature = "compiler")]
mod cache;
#[cfg(feature = "compiler")]
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

pub use artefact::{Artefact, ArtefactError, Artefacts, SignedArtefact, Source};
#[cfg(feature = "compiler")]
pub use cache::ArtefactCache;
#[cfg(feature = "compiler")]
pub use compile::{CompileError, Compiler};
pub use endpoint::{Endpoint, EndpointError};
pub use engine::{EngineId, Profile, UnknownEngine, artefact_target};
pub use failure::{Call, ScanError};
pub use grants::{Access, Denial, GrantError, GrantLists, Grants, RunGrant, RunGrantError, RunGrants};
pub use inspect::{Inspection, Sizes, inspect};
pub use install::{InstallError, InstallLimits, Installation, InstallerGrants, InstallerPlugin};
pub use limits::{LimitExceeded, Limits};
pub use manifest::{AskedLimits, Manifest, ManifestError, Request, Rules, WIT_VERSION, World};
pub use observe::{HostCall, Observer, ProgramCall, ProgramExit, Programs, Status};
pub use plugin::{LoadError, Plugin, Runtime};
pub use scan::{Finding, Scan};

/// Bytes of the device's key, under which the cache of compiled components is.
pub const KEY_BYTES: usize = 32;
