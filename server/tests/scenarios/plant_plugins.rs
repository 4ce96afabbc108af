//! What scenarios of plugins begin with.

use super::plant::NOW;
use anyhow::Context as _;
use farrier::database::{Database, RegisteredPlugin};
use farrier::plugins::{Decision, Plugins, Promotion, Push, Pushed};
use farrier::signals::Signals;
use farrier_protocol::state_message::{PluginResult, ScanResult, StateMessage, bounded};
use serde_json::{Value, json};

pub fn site(database: &Database) -> Plugins {
    Plugins::new(database.clone(), Signals::default())
}

/// What a manifest says that asks to read these.
pub fn manifest(name: &str, version: &str, read: &[&str]) -> Value {
    let read: Vec<Value> = read.iter().map(|grant| json!({ "grant": grant, "reason": "a test reads it" })).collect();
    json!({
        "name": name, "version": version, "description": "A test.", "license": "Apache-2.0", "wit": "1.0.0",
        "world": "applicability", "scopes": ["test/*"], "read": read,
    })
}

/// The same of an installer that asks to write these.
pub fn installer(name: &str, version: &str, write: &[&str]) -> Value {
    let write: Vec<Value> = write.iter().map(|grant| json!({ "grant": grant, "reason": "a test writes it" })).collect();
    let mut manifest = manifest(name, version, &[]);
    manifest["world"] = json!("installer");
    manifest["scopes"] = json!([]);
    manifest["write"] = json!(write);
    manifest
}

/// A component with this manifest that exports what its world asks for, and does nothing.
pub fn component(manifest: &Value) -> Vec<u8> {
    let export = match manifest["world"].as_str() {
        Some("installer") => "farrier:policy/installation@1.0.0",
        _ => "farrier:policy/compliance@1.0.0",
    };
    component_exporting(manifest, export)
}

/// Written by hand: an empty instance, its export, and the manifest.
pub fn component_exporting(manifest: &Value, export: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    section(&mut bytes, 5, &[1, 1, 0]);
    let mut exports = vec![1, 0];
    text(&mut exports, export.as_bytes());
    exports.extend([5, 0, 0]);
    section(&mut bytes, 11, &exports);
    let mut custom = Vec::new();
    text(&mut custom, b"farrier-manifest");
    custom.extend(manifest.to_string().as_bytes());
    section(&mut bytes, 0, &custom);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    text(bytes, content);
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(text);
}

pub async fn push(database: &Database, manifest: &Value) -> anyhow::Result<Pushed> {
    push_component(database, &component(manifest)).await
}

pub async fn push_component(database: &Database, component: &[u8]) -> anyhow::Result<Pushed> {
    let push = Push { component, signature: None, allow_unsigned: true, by: "alice" };
    Ok(site(database).push(&push, NOW).await?)
}

/// Approves everything that the newest version asks for.
pub async fn approve_all(database: &Database, name: &str) -> anyhow::Result<()> {
    let version = stored(database, name).await?.newest().map(|newest| newest.version.clone());
    let decision = Decision { version, all: true, by: "alice".to_owned(), ..Decision::default() };
    site(database).decide(name, &decision, NOW).await?;
    Ok(())
}

/// Makes a version count, whoever tried it.
pub async fn promote(database: &Database, name: &str, version: &str) -> anyhow::Result<()> {
    let promotion =
        Promotion { version: Some(version.to_owned()), untried: true, by: "alice".to_owned(), ..Promotion::default() };
    site(database).promote(name, &promotion, NOW).await?;
    Ok(())
}

/// An applicability plugin with these versions that all ask for the same and may; the first one counts.
pub async fn plugin(database: &Database, name: &str, versions: &[&str]) -> anyhow::Result<()> {
    for version in versions {
        push(database, &manifest(name, version, &["/etc/os-release"])).await?;
    }
    approve_all(database, name).await?;
    promote(database, name, versions.first().context("no version")?).await
}

/// A client's word that it scanned with this version of the plugin `check`.
pub fn scan(version: &str, error: &str) -> StateMessage {
    let plugin = PluginResult { name: bounded("check"), version: bounded(version), error: bounded(error) };
    let plugins = [plugin].into_iter().collect();
    StateMessage::Scan(Box::new(ScanResult { scanned_at: NOW, assignment_version: 1, evaluated: 3, plugins }))
}

pub async fn stored(database: &Database, name: &str) -> anyhow::Result<RegisteredPlugin> {
    database.registered_plugin(name).await?.context("there is no such plugin")
}

/// The versions that are current and previous.
pub async fn counting(database: &Database, name: &str) -> anyhow::Result<[String; 2]> {
    let plugin = stored(database, name).await?;
    let number = |version: Option<&farrier::database::RegisteredVersion>| {
        version.map_or_else(String::new, |version| version.version.clone())
    };
    Ok([number(plugin.current_version()), number(plugin.previous_version())])
}
