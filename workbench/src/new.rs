//! `farrier plugin new`: a project that builds and passes its tests as it is.
//!
//! A project is made of the files of `templates/LANGUAGE/WORLD/`. A file name loses the ending `.in`, and a beginning
//! `dot-` is a dot: so no file among the templates means anything to cargo or git. In the files stand
//!
//! | text | means |
//! |---|---|
//! | `{{name}}` | the plugin's name: `disk-quota` |
//! | `{{Name}}` | the same as a type: `DiskQuota` |
//! | `{{wit}}` | the version of `farrier:policy` of this program |

use crate::vendor::{self, TEMPLATES};
use crate::{Language, vendor::write};
use anyhow::{Context as _, Result, bail, ensure};
use farrier_protocol::assignment::MAX_NAME_BYTES;
use farrier_runtime::{WIT_VERSION, World};
use std::fs;
use std::path::{Path, PathBuf};

/// What kind of project is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The world of the plugin.
    pub world: World,
    /// What it is written in.
    pub language: Language,
}

/// Makes the project `NAME` in a new folder of this name.
///
/// # Errors
/// When the name is none, the folder is there already, or there is no template for it.
pub fn new(parent: &Path, name: &str, kind: Kind) -> Result<PathBuf> {
    check_name(name)?;
    let files: Vec<_> = template(kind).collect();
    ensure!(
        !files.is_empty(),
        "there is no template for an {} plugin in {}; write it in {}",
        kind.world,
        kind.language,
        languages_of(kind.world)
    );
    let folder = parent.join(name);
    if folder.exists() {
        bail!("{} is there already: choose another name, or remove it", folder.display());
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for (path, content) in files {
        write(&folder.join(file_name(path)), &filled(content, name))?;
    }
    vendor::vendor(&folder, kind.language)?;
    Ok(folder)
}

/// The files of the template: path below the project, and content.
fn template(kind: Kind) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let folder = format!("{}/{}/", kind.language, kind.world);
    TEMPLATES.iter().filter_map(move |(path, content)| Some((path.strip_prefix(&folder)?, *content)))
}

fn languages_of(world: World) -> String {
    let has = |language: &Language| template(Kind { world, language: *language }).next().is_some();
    Vec::from_iter(Language::ALL.into_iter().filter(has).map(Language::as_str)).join(" or ")
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-') && !name.contains("--");
    ensure!(
        begins_well && name.len() <= MAX_NAME_BYTES && name.chars().all(plain),
        "`{}` is no name of a plugin: write lower-case letters and digits, with single hyphens between, at most \
         {MAX_NAME_BYTES}",
        name.escape_default()
    );
    Ok(())
}

/// What a template's file is called in a project.
fn file_name(path: &str) -> String {
    let path = path.strip_suffix(".in").unwrap_or(path);
    let parts = path.split('/').map(|part| match part.strip_prefix("dot-") {
        Some(hidden) => format!(".{hidden}"),
        None => part.to_owned(),
    });
    Vec::from_iter(parts).join("/")
}

fn filled(content: &[u8], name: &str) -> Vec<u8> {
    let Ok(text) = str::from_utf8(content) else { return content.to_owned() };
    let text = text.replace("{{name}}", name).replace("{{Name}}", &type_name(name)).replace("{{wit}}", WIT_VERSION);
    text.into_bytes()
}

/// `disk-quota` as the name of a type: `DiskQuota`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: Kind = Kind { world: World::Applicability, language: Language::Rust };

    #[test]
    fn a_project_has_the_plugins_name_everywhere_and_the_sdk_beside_it() {
        for world in World::ALL {
            let parent = tempfile::tempdir().unwrap();
            let folder = new(parent.path(), "disk-quota", Kind { world, ..RUST }).unwrap();
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            assert!(read("Cargo.toml").contains("name = \"disk-quota\""), "{world}");
            assert!(read("src/lib.rs").contains("DiskQuota"), "{world}");
            let manifest: toml::Table = toml::from_str(&read("plugin.toml")).unwrap();
            assert_eq!(manifest["world"].as_str(), Some(world.as_str()));
            assert_eq!(manifest["wit"].as_str(), Some(WIT_VERSION));
            for name in ["README.md", ".gitignore", "tests/basic.toml", "vendor/farrier/Cargo.toml", "rule.schema.json"]
            {
                assert!(!read(name).contains("{{"), "{world}: {name}");
            }
            assert!(folder.join("vendor/farrier/wit/types.wit").exists());
        }
    }

    #[test]
    fn a_project_in_c_has_the_header_where_its_editor_looks_for_it() {
        let parent = tempfile::tempdir().unwrap();
        let kind = Kind { world: World::Applicability, language: Language::C };
        let folder = new(parent.path(), "disk-quota", kind).unwrap();
        let flags = fs::read_to_string(folder.join("compile_flags.txt")).unwrap();
        let include = flags.lines().find_map(|flag| flag.strip_prefix("-I")).unwrap();
        assert!(fs::read_to_string(folder.join(include).join("farrier.h")).unwrap().contains("plugin_evaluate"));
        assert!(folder.join("vendor/farrier/wit/types.wit").exists());
    }

    #[test]
    fn nothing_is_overwritten_and_a_name_is_one() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("taken")).unwrap();
        let error = |name| new(parent.path(), name, RUST).unwrap_err().to_string();
        assert!(error("taken").ends_with("is there already: choose another name, or remove it"));
        for name in ["", "Upper", "../x", "a/b", "-a", "a-", "a--b", "1a", &"a".repeat(MAX_NAME_BYTES + 1)] {
            assert!(error(name).contains("is no name of a plugin"), "{name}");
        }
    }

    #[test]
    fn names_of_files_and_types() {
        assert_eq!(file_name("dot-gitignore"), ".gitignore");
        assert_eq!(file_name("Cargo.toml.in"), "Cargo.toml");
        assert_eq!(type_name("a-disk2-quota"), "ADisk2Quota");
    }
}
