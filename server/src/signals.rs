//! How one role wakes the next: a bell without a message. Whoever wakes reads the database and makes the world match.

use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// The bells of one site process. A bell that rings while nobody waits is kept, once.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// A synchronization was requested.
    pub sync_requested: Arc<Notify>,
    /// Software updates, plugins or what is deployed changed: publish.
    pub content_changed: Arc<Notify>,
    /// Collections, or what they are made by, changed: evaluate them.
    pub collections_changed: Arc<Notify>,
    /// Deployments, the members of their collections, or how far clients are changed: look after the deployments.
    pub deployments_changed: Arc<Notify>,
    /// Counts what changed about deployments in this process, for whoever shows them live.
    pub states_changed: watch::Sender<u64>,
}

impl Signals {
    /// Says that deployments look different now.
    pub fn deployments_look_different(&self) {
        self.states_changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}
