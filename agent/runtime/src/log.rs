//! The guest's lines in the agent's log, bounded and attributed.

use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::observe::HostCall;
use crate::text::printable;
use crate::world::log;

/// Bytes of the last words that go into the reason of a failure, at most.
const MAX_LAST_WORDS_BYTES: usize = 120;

/// Where a guest's lines go.
pub(crate) struct GuestLog {
    plugin: String,
    lines_left: u32,
    line_bytes: usize,
    dropped: u64,
    last_words: Option<String>,
    endpoint: Endpoint,
}

impl GuestLog {
    pub(crate) fn new(plugin: &str, endpoint: &Endpoint, limits: &Limits) -> Self {
        let endpoint = endpoint.clone();
        let (lines_left, line_bytes) = (limits.log_lines, limits.log_line_bytes);
        Self { plugin: plugin.to_owned(), lines_left, line_bytes, dropped: 0, last_words: None, endpoint }
    }

    /// Forgets the last words: what was said in one call does not explain the failure of another.
    pub(crate) fn forget_last_words(&mut self) {
        self.last_words = None;
    }

    /// The last error the guest logged, which is its panic message if it panicked.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    fn line(&mut self, level: log::Level, message: &str) {
        if level == log::Level::Error {
            // Kept however much was logged before: a flood must not hide why it ended.
            self.last_words = Some(printable(message, MAX_LAST_WORDS_BYTES));
        }
        let Some(lines_left) = self.lines_left.checked_sub(1) else {
            self.dropped += 1;
            return;
        };
        self.lines_left = lines_left;
        let (plugin, line) = (self.plugin.as_str(), printable(message, self.line_bytes));
        match level {
            log::Level::Debug => tracing::debug!(plugin.name = plugin, line, "A plugin says."),
            log::Level::Info => tracing::info!(plugin.name = plugin, line, "A plugin says."),
            log::Level::Warning => tracing::warn!(plugin.name = plugin, line, "A plugin says."),
            log::Level::Error => tracing::error!(plugin.name = plugin, line, "A plugin says."),
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let (plugin, dropped) = (self.plugin.as_str(), self.dropped);
            tracing::warn!(plugin.name = plugin, dropped, "A plugin logged more lines than it may.");
        }
    }
}

impl log::Host for GuestLog {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level_word = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warning => "warning",
            log::Level::Error => "error",
        };
        self.endpoint.observe(|| HostCall::Log { level: level_word, message: &message });
        self.line(level, &message);
        Ok(())
    }
}
