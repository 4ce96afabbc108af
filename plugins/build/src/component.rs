//! Making a component of a core module, and putting the manifest inside.

use crate::{hex, manifest::Manifest};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::path::Path;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// The custom section of a component that holds its manifest, as JSON.
const MANIFEST_SECTION: &str = "farrier-manifest";

/// The first bytes of every module and component.
const MAGIC: &[u8] = b"\0asm";
/// What follows in a core module.
const CORE: &[u8] = &[1, 0, 0, 0];
/// What follows in a component.
const COMPONENT: &[u8] = &[13, 0, 1, 0];
/// Bytes of both together.
const HEADER_BYTES: usize = 8;
/// The section that is for tools and people only.
const CUSTOM: u8 = 0;
/// The sections of a component that hold a core module and a component.
const NESTED: [u8; 2] = [1, 4];

/// A built plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The plugin's name.
    pub name: String,
    /// The component, its manifest inside.
    pub bytes: Vec<u8>,
    /// The manifest.
    pub manifest_json: String,
}

impl Component {
    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// Makes a component of this and puts the manifest of `plugin.toml` inside.
    pub(crate) fn of(module_or_component: &[u8], folder: &Path, source: &str) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        let manifest_json = manifest.to_json(source)?;
        let mut bytes = strip(&as_component(module_or_component)?)?;
        let export = manifest.export();
        let has_it = bytes.windows(export.len()).any(|window| window == export.as_bytes());
        ensure!(has_it, "it does not export `{export}`, which a plugin of its world has");
        let section = CustomSection { name: MANIFEST_SECTION.into(), data: manifest_json.as_bytes().into() };
        section.append_to_component(&mut bytes);
        Ok(Self { name: manifest.name, bytes, manifest_json })
    }
}

/// Makes a plugin of a core module that knows its world, as `wit-bindgen` and `wit-component` leave it behind, or of a
/// component: takes out what only people read, and puts the manifest of the `plugin.toml` in `manifest_toml_dir`
/// inside, in the place of one that is there. `source_digest` is the SHA-256 of what it was built from; see
/// [`digest_folder`](crate::digest_folder).
///
/// # Errors
/// What is wrong with the module or the manifest.
pub fn componentize(core_module_or_component: &[u8], manifest_toml_dir: &Path, source_digest: &str) -> Result<Vec<u8>> {
    Component::of(core_module_or_component, manifest_toml_dir, source_digest).map(|component| component.bytes)
}

fn as_component(bytes: &[u8]) -> Result<Vec<u8>> {
    match bytes.strip_prefix(MAGIC).and_then(|rest| rest.get(..CORE.len())) {
        Some(COMPONENT) => Ok(bytes.to_owned()),
        Some(CORE) => ComponentEncoder::default()
            .validate(true)
            .module(bytes)
            .and_then(|encoder| encoder.encode())
            .context("making a component of the core module: was it built for a world of farrier:policy?"),
        _ => bail!("this is no WASM module and no component"),
    }
}

/// The module or component without its custom sections, those of what is inside, too: names and producers, which only
/// people read, and a manifest.
fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let cut_off = "the module is cut off";
    let (header, mut rest) = module.split_at_checked(HEADER_BYTES).context(cut_off)?;
    let is_component = header.ends_with(COMPONENT);
    let mut stripped = header.to_owned();
    while let Some((id, after_id)) = rest.split_first() {
        let (length, body) = split_leb128(after_id).context(cut_off)?;
        let (body, next) = body.split_at_checked(length).context(cut_off)?;
        if is_component && NESTED.contains(id) {
            let inner = strip(body)?;
            stripped.push(*id);
            push_leb128(&mut stripped, inner.len());
            stripped.extend_from_slice(&inner);
        } else if *id != CUSTOM {
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

fn push_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{ComponentBuilder, ExportKind, ExportSection, Module, ModuleSection};

    fn custom(name: &'static str) -> CustomSection<'static> {
        CustomSection { name: name.into(), data: b"data".into() }
    }

    /// How often the bytes of a name are in it.
    fn count(bytes: &[u8], name: &str) -> usize {
        bytes.windows(name.len()).filter(|window| *window == name.as_bytes()).count()
    }

    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = "name = \"a\"\nversion = \"1.0.0\"\ndescription = \"A.\"\nlicense = \"MIT\"\nwit = \"1.0.0\"\n\
                    world = \"applicability\"\nscopes = [\"a\"]\n";
        std::fs::write(folder.path().join("plugin.toml"), text).unwrap();
        folder
    }

    fn component() -> Vec<u8> {
        let mut exports = ExportSection::new();
        exports.export("farrier:policy/compliance@1.0.0", ExportKind::Func, 0);
        let mut module = Module::new();
        module.section(&exports).section(&custom("producers")).section(&custom(MANIFEST_SECTION));
        let mut component = ComponentBuilder::default();
        component.core_module(None, &module);
        component.custom_section(&custom("name"));
        component.custom_section(&custom(MANIFEST_SECTION));
        component.finish()
    }

    #[test]
    fn a_component_gets_exactly_one_manifest_and_loses_what_people_read() {
        let (folder, source) = (project(), "a".repeat(64));
        let once = componentize(&component(), folder.path(), &source).unwrap();
        assert_eq!((count(&once, MANIFEST_SECTION), count(&once, "producers"), count(&once, "data")), (1, 0, 0));
        assert_eq!(count(&once, &format!(r#""source":"{source}""#)), 1);
        assert_eq!(componentize(&once, folder.path(), &source).unwrap(), once, "a manifest replaces the one before");
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        let (folder, source) = (project(), "a".repeat(64));
        for bytes in [&b""[..], b"\0asm", b"\0asm\x02\0\0\0", b"#!/bin/sh"] {
            assert!(componentize(bytes, folder.path(), &source).is_err());
        }
        let whole = component();
        for length in HEADER_BYTES + 1..whole.len() {
            // Cut between two sections it is a component; what it lacks, the host says.
            if let Ok(bytes) = componentize(&whole[..length], folder.path(), &source) {
                assert_eq!(count(&bytes, MANIFEST_SECTION), 1);
            }
        }
        let error = componentize(&Module::new().finish(), folder.path(), &source).unwrap_err();
        assert!(format!("{error:#}").contains("farrier:policy/compliance@"), "{error:#}");
    }

    #[test]
    fn leb128_numbers_are_written_as_they_are_read() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX as usize] {
            let mut bytes = Vec::new();
            push_leb128(&mut bytes, number);
            assert_eq!(split_leb128(&bytes), Some((number, &[][..])));
        }
        assert!(module_section_is_one());
    }

    /// The number of the section is wasm-encoder's, too.
    fn module_section_is_one() -> bool {
        let mut bytes = Vec::new();
        ModuleSection(&Module::new()).append_to_component(&mut bytes);
        bytes[0] == NESTED[0]
    }
}
