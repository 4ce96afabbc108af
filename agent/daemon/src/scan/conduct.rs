//! Whose fault it is that a plugin could not do its part.

use farrier_agent_core::versions::Conduct;
use farrier_protocol::state_message::bounded;
#[cfg(feature = "full")]
use farrier_runtime::CompileError;
use farrier_runtime::{InstallError, LoadError, ScanError};

/// A plugin that is not what it is assigned as, or that does not fit this client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is another one.
    #[error("it is assigned as {name} {version}, but its manifest says {found}")]
    Misnamed {
        /// The assigned name.
        name: String,
        /// The assigned version.
        version: String,
        /// What the manifest says.
        found: String,
    },
    /// It is larger than this client takes.
    #[error("its component has {bytes} bytes, and this client takes {limit}: see limits.component_bytes in agent.toml")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
}

/// What an error says of the plugin that was to do something: only what the plugin itself is to blame for is held
/// against it.
pub(crate) fn conduct(error: &anyhow::Error) -> Conduct {
    let own_fault = if let Some(error) = error.downcast_ref::<ScanError>() {
        Some(error.is_trap())
    } else if let Some(error) = error.downcast_ref::<InstallError>() {
        Some(error.is_trap())
    } else if let Some(error) = error.downcast_ref::<LoadError>() {
        is_own_fault(error).then_some(true)
    } else {
        error.is::<Unfit>().then_some(true)
    };
    match own_fault {
        Some(true) => Conduct::AtFault(bounded(&format!("{error:#}"))),
        Some(false) => Conduct::Sound,
        None => Conduct::Unproven,
    }
}

/// Whether no other client of its kind could run it either: what the machine cannot do at the moment is not the plugin's
/// fault.
fn is_own_fault(error: &LoadError) -> bool {
    match error {
        LoadError::Engine(_) | LoadError::Artefact(_) => false,
        #[cfg(feature = "full")]
        LoadError::Compile(error) => !matches!(error, CompileError::TimedOut | CompileError::Process(..)),
        _ => true,
    }
}
