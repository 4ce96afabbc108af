//! Lines for the agent's log; natively, for standard error. There is a limit: what exceeds it is dropped and counted.

use crate::bindings::farrier::policy::log::Level;

/// A line for the author of the plugin.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// A line worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something is off, and the plugin goes on.
pub fn warning(message: &str) {
    write(Level::Warning, message);
}

/// The plugin cannot do its work. What an `Err` says needs no line; a panic gets one by itself.
pub fn error(message: &str) {
    write(Level::Error, message);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::farrier::policy::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    std::eprintln!("{level:?}: {message}");
}
