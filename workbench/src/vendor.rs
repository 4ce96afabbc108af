//! The SDK and the WIT that this program brings along for projects outside of Farrier's repository.

use crate::{Language, languages};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

mod packed {
    include!(concat!(env!("OUT_DIR"), "/packed.rs"));
}

pub(crate) use packed::TEMPLATES;

/// Where they are in a project.
pub const FOLDER: &str = "vendor/farrier";
/// Where the WIT is in a project.
pub const WIT: &str = "vendor/farrier/wit";

/// Writes what a project in this language needs of Farrier into it, in the place of what is there: for Rust the SDK and
/// the WIT, else the WIT and what the language has beside it.
///
/// # Errors
/// When the folder cannot be written.
pub fn vendor(project: &Path, language: Language) -> Result<()> {
    let folder = project.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing the old {}", folder.display()))?;
    }
    if language != Language::Rust {
        vendor_wit(project)?;
        return languages::vendored(language)
            .iter()
            .try_for_each(|(name, text)| write(&folder.join(name), text.as_bytes()));
    }
    for (name, content) in packed::VENDORED {
        write(&folder.join(name), content)?;
    }
    Ok(())
}

/// Writes only the WIT.
pub(crate) fn vendor_wit(project: &Path) -> Result<()> {
    for (name, content) in wit_files() {
        write(&project.join(WIT).join(name), content.as_bytes())?;
    }
    Ok(())
}

/// The WIT of this program: file names and text.
pub(crate) fn wit_files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let wit = |(name, content): &(&'static str, &'static [u8])| {
        let name = name.strip_prefix("wit/").filter(|name| name.ends_with(".wit") && !name.contains('/'))?;
        Some((name, str::from_utf8(content).ok()?))
    };
    packed::VENDORED.iter().filter_map(wit)
}

pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_vendored_is_a_workspace_that_has_all_that_is_inherited() {
        let files: BTreeMap<_, _> = packed::VENDORED.iter().copied().collect();
        let table = |name: &str| -> toml::Table { toml::from_str(str::from_utf8(files[name]).unwrap()).unwrap() };
        let (workspace, sdk) = (table("Cargo.toml"), table("plugins/sdk/Cargo.toml"));
        assert!(!sdk.contains_key("dev-dependencies"));
        let dependencies = workspace["workspace"].get("dependencies").unwrap();
        for (name, dependency) in sdk["dependencies"].as_table().unwrap() {
            let inherits = dependency.get("workspace").is_some();
            assert!(!inherits || dependencies.get(name).is_some(), "{name} is inherited");
        }
        assert!(files.contains_key("wit/facts.wit") && files.contains_key("plugins/sdk/src/lib.rs"));
        assert!(!files.keys().any(|name| name.contains("released") || name.contains("tests/")));
    }
}
