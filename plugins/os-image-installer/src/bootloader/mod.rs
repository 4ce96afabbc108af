//! What is common to boot loaders that choose between two slots. `from` and `to` are the marks of slots.

mod file;
mod grub;
mod order;
pub mod u_boot;

use crate::instructions::{Image, Switch};
use alloc::{boxed::Box, string::String};
use farrier_plugin_sdk::{Error, Host};

/// A boot loader.
///
/// Each change is made of steps in an order in which a power cut between any two of them leaves a boot loader that
/// starts a whole slot; done again, it is completed.
pub trait Bootloader {
    /// The slot that it prefers to start, whether it will or has given up on it; `None` if it has none.
    fn chosen(&self, host: &dyn Host) -> Result<Option<String>, Error>;

    /// Whether the chosen slot is on trial: whether it would fall back from it. `None` if that cannot be told.
    fn trial(&self, host: &dyn Host) -> Result<Option<bool>, Error>;

    /// Never start `from`, always `to`.
    fn retreat(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error>;

    /// Try `to`, and fall back to `from`, which is running.
    fn advance(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error>;

    /// The slot, which is chosen and running, stays.
    fn mark_good(&self, host: &dyn Host, slot: &str) -> Result<(), Error>;

    /// How it gives up on a slot, for people.
    fn describe(&self) -> String;
}

/// The boot loader of an image.
pub fn of<'a>(image: &'a Image<'_>) -> Box<dyn Bootloader + 'a> {
    match &image.switch {
        Switch::UBootOrder { attempts } => Box::new(u_boot::Order { attempts: *attempts, slots: &image.slots }),
        Switch::UBootCount { variable } => Box::new(u_boot::Count { variable }),
        Switch::GrubOrder { environment } => Box::new(grub::Grub { path: environment }),
        Switch::File { path, attempts } => Box::new(file::File { path, attempts: *attempts }),
    }
}
