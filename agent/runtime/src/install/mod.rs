//! Installing: an installer plugin changes an endpoint, as far as its grants go and for a limited time.
//!
//! [`Runtime::load_installer`](crate::Runtime::load_installer) makes an [`InstallerPlugin`], which opens an
//! [`Installation`]. Each of its calls is a guest of its own in a fresh store. The calls block their thread until the guest
//! has answered or its time is up: give them one that may block.

mod answer;
mod content;
mod copies;
mod error;
mod files;
mod guest;
mod pipes;
mod process;
mod program;
#[cfg(test)]
mod properties;
mod time;
mod types;
mod watch;
mod world;

pub use content::ContentError;
pub use error::{InstallCall, InstallError};
pub use guest::{Installation, InstallerPlugin};
pub use types::{
    BlobFile, Change, Entry, InstallLimits, InstallerGrants, Options, Outcome, Restart, RestartSubject, Selection,
    Update,
};

pub(crate) use world::{EXPORT, IMPORTS, InstallerPre, State, linker};
