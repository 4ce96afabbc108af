//! A runtime, an endpoint and the guests, for tests.

use crate::artefacts::{built, compiled, plugins};
use farrier_protocol::ComplianceState;
use farrier_runtime::{Endpoint, Grants, Limits, LoadError, Plugin, Profile, Runtime, Scan};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tracing::field::{Field, Visit};

/// Two rules behind their lengths.
pub const RULES: &[u8] = b"\x01\0a\x02\0bc";
/// One rule.
pub const RULE: &[u8] = b"a";

/// The text of a guest in `plugins/hostile/wat`.
pub fn wat_text(name: &str) -> String {
    std::fs::read_to_string(plugins().join("hostile/wat").join(name).with_extension("wat")).unwrap()
}

/// A guest in `plugins/hostile/wat`.
pub fn wat(name: &str) -> Vec<u8> {
    ::wat::parse_str(wat_text(name)).unwrap()
}

/// A runtime and an endpoint with an order for the hostile guest.
pub struct Stage {
    runtime: Runtime,
    pub endpoint: Endpoint,
    root: TempDir,
}

impl Stage {
    pub fn new(profile: Profile, limits: &Limits, order: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/passwd"), "root").unwrap();
        let endpoint = Endpoint::open(root.path()).unwrap();
        let stage = Self { runtime: Runtime::new(profile, limits.clone()).unwrap(), endpoint, root };
        stage.order(order);
        stage
    }

    /// Changes the order.
    pub fn order(&self, order: &str) {
        std::fs::write(self.root.path().join("etc/hostile"), order).unwrap();
    }

    pub fn load(&self, component: &[u8]) -> Result<Plugin, LoadError> {
        self.runtime.load(component, compiled())
    }

    /// A scan by a built plugin.
    pub fn scan(&self, plugin: &str) -> Scan {
        self.scan_of(&self.load(&built(plugin)).unwrap())
    }

    pub fn scan_of(&self, plugin: &Plugin) -> Scan {
        plugin.scan(
            &self.endpoint,
            Grants::new(plugin.manifest(), ["/etc/*", "disk-space"], ["/**", "disk-space"]).unwrap(),
        )
    }

    /// In the same runtime, after and beside what happened.
    pub fn assert_next_plugin_is_unaffected(&self) {
        self.order("nothing");
        let mut scan = self.scan("hostile");
        assert_eq!(scan.evaluate(RULES, 2), Ok(vec![ComplianceState::Required; 2]));
    }
}

/// How many lines of a plugin reached the log, and how many were said to be dropped.
pub fn counting_log_lines(run: impl FnOnce()) -> (usize, Vec<u64>) {
    let counter = Counter::default();
    tracing::subscriber::with_default(counter.clone(), run);
    let counted = counter.0.lock().unwrap();
    (counted.lines, counted.dropped.clone())
}

#[derive(Default)]
struct Counted {
    lines: usize,
    dropped: Vec<u64>,
}

#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Counted>>);

impl Visit for Counted {
    fn record_debug(&mut self, field: &Field, _: &dyn std::fmt::Debug) {
        self.lines += usize::from(field.name() == "line");
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "dropped" {
            self.dropped.push(value);
        }
    }
}

impl tracing::Subscriber for Counter {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut *self.0.lock().unwrap());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
