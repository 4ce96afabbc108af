//! Plugins for tests.

use crate::database::{GrantDecision, RegisteredPlugin, RegisteredVersion};
use farrier_protocol::Digest;
use farrier_runtime::{Access, Manifest, World};

/// A plugin with these versions in the rows 1, 2 and so on, which ask to read `/etc/os-release` and may.
pub(crate) fn plugin(name: &str, world: World, versions: &[&str]) -> RegisteredPlugin {
    let mut plugin = RegisteredPlugin {
        row: 1,
        name: name.to_owned(),
        world,
        current: None,
        previous: None,
        pinned: false,
        changed_at: 1,
        versions: (1..).zip(versions).map(|(row, number)| version(row, name, world, number)).collect(),
        decisions: Vec::new(),
        canary: None,
        shadow: None,
    };
    approve(&mut plugin, Access::Read, "/etc/os-release", true);
    plugin
}

/// Decides of a grant.
pub(crate) fn approve(plugin: &mut RegisteredPlugin, access: Access, grant: &str, approved: bool) {
    let by = "test".to_owned();
    plugin.decisions.push(GrantDecision { access, grant: grant.to_owned(), approved, by, at: 1 });
}

fn version(row: i64, name: &str, world: World, number: &str) -> RegisteredVersion {
    let scopes: &[&str] = if world == World::Applicability { &["*"] } else { &[] };
    let manifest = serde_json::json!({
        "name": name, "version": number, "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
        "world": world.as_str(), "scopes": scopes, "read": [{ "grant": "/etc/os-release", "reason": "a test" }],
    });
    RegisteredVersion {
        row,
        version: number.to_owned(),
        digest: Digest::of(format!("{name} {number}").as_bytes()),
        manifest: Manifest::from_json(manifest.to_string().as_bytes()).unwrap(),
        component_bytes: 1_000,
        publisher: String::new(),
        pushed_by: "test".to_owned(),
        pushed_at: 1,
    }
}
