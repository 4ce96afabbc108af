//! How one role wakes the next: a bell without a message. Whoever wakes reads the database and makes the world match.

use std::sync::Arc;
use tokio::sync::Notify;

/// The bells of one site process. A bell that rings while nobody waits is kept, once.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// A synchronization was requested.
    pub sync_requested: Arc<Notify>,
    /// Software updates or plugins changed: publish.
    pub content_changed: Arc<Notify>,
}
