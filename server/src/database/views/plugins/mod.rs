//! Plugins: which versions there are, who runs which, and how those fare that are tried.

mod client;
mod detail;
mod differences;
mod list;

pub use client::{ClientFallBack, ClientPluginRow, ClientShadow};
pub use detail::{
    CannotRunRow, FailureRow, FallBackRow, PluginClientFilter, PluginClientRow, PluginDetail, PluginEvent,
    PluginVersionRow,
};
pub use differences::{DifferenceFilter, DifferenceRow, ShadowSummary, TopDifference};
pub use list::{PluginRow, TrialRow, VersionClients};
