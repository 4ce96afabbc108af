//! Making a component of a core module.

use crate::Workspace;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// The custom section of a component that holds its manifest, as JSON.
const MANIFEST_SECTION: &str = "farrier-manifest";

/// A built plugin.
#[derive(Debug, Clone)]
pub struct Component {
    /// The plugin's name.
    pub name: String,
    /// The component, its manifest inside.
    pub bytes: Vec<u8>,
}

/// What a plugin is and asks for: `plugin.toml`, and the version from `Cargo.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    #[serde(default)]
    version: String,
    description: String,
    license: String,
    wit: String,
    world: String,
    read: Vec<String>,
    /// Only an installer has these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    write: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    run: Vec<String>,
}

impl Component {
    /// Wraps the core module of the plugin and adds its manifest.
    pub fn of(workspace: &Workspace, name: &str, version: &str, module: &[u8]) -> Result<Self> {
        let mut bytes = strip(&ComponentEncoder::default().validate(true).module(module)?.encode()?)?;
        let manifest = serde_json::to_vec(&manifest(workspace, name, version)?)?;
        let section = CustomSection { name: MANIFEST_SECTION.into(), data: manifest.into() };
        section.append_to_component(&mut bytes);
        Ok(Self { name: name.to_owned(), bytes })
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(Sha256::digest(&self.bytes).as_slice())
    }
}

/// The component without its custom sections: names of what is inside, which only people read.
fn strip(component: &[u8]) -> Result<Vec<u8>> {
    const HEADER_BYTES: usize = 8;
    const CUSTOM: u8 = 0;
    let cut_off = "the component is cut off";
    let (header, mut rest) = component.split_at_checked(HEADER_BYTES).context(cut_off)?;
    let mut stripped = header.to_owned();
    while let Some((id, after_id)) = rest.split_first() {
        let (length, body) = split_leb128(after_id).context(cut_off)?;
        let next = body.get(length..).context(cut_off)?;
        if *id != CUSTOM {
            stripped.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Ok(stripped)
}

/// An unsigned LEB128 number and what follows it.
fn split_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(size_of::<u32>() + 1).position(|byte| byte & 0x80 == 0)?;
    let number = bytes[..=last].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    Some((number, &bytes[last + 1..]))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(workspace: &Workspace, name: &str, version: &str) -> Result<Manifest> {
    let path = workspace.plugin(name).join("plugin.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let has_effects = !manifest.write.is_empty() || !manifest.run.is_empty();
    ensure!(
        manifest.world == "installer" || !has_effects,
        "{}: only a plugin of the world `installer` writes files or runs programs: take out `write` and `run`",
        path.display()
    );
    Ok(Manifest { version: version.to_owned(), ..manifest })
}
