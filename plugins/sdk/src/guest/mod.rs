//! Between what the author writes and what the agent calls.

mod applicability;
mod installer;
#[cfg(target_arch = "wasm32")]
mod start;

pub use applicability::Guest;
pub use installer::InstallerGuest;
