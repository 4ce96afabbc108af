//! Languages other than Rust: how a project of theirs is known, and how it becomes a component.
//!
//! Their templates are `templates/LANGUAGE/WORLD/`; see [`crate::new`] for what is put into them. The author's source is one
//! file, `plugin.c`, `plugin.js` or `plugin.py`; what lies between it and the agent's calls comes with this program. The
//! compilers come from the package registries of Python and Node.js, see [`tools`].

mod c;
mod javascript;
mod python;
mod tools;

use crate::Language;
use anyhow::{Context as _, Error, Result, ensure};
use farrier_runtime::World;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The world that these languages have adapters for.
const WORLD: &str = "applicability";

/// The author's source file of a language.
fn source(language: Language) -> Option<&'static str> {
    match language {
        Language::Rust => None,
        Language::C => Some("plugin.c"),
        Language::JavaScript => Some("plugin.js"),
        Language::Python => Some("plugin.py"),
    }
}

/// The language of the project in this folder, if it is one of these.
#[must_use]
pub fn detect(folder: &Path) -> Option<Language> {
    let is_there = |language: &Language| source(*language).is_some_and(|name| folder.join(name).is_file());
    Language::ALL.into_iter().find(is_there)
}

/// What a project has of Farrier beside the WIT, to be read by its author: file names and text.
pub(crate) fn vendored(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::C => &[(c::HEADER_FILE, c::HEADER)],
        Language::Rust | Language::JavaScript | Language::Python => &[],
    }
}

/// Builds the component of the project in this folder, its manifest inside. What is only needed for building goes into
/// `target` below it. Progress is told on standard error.
///
/// # Errors
/// What failed, and what to do.
pub fn build(language: Language, folder: &Path) -> Result<Vec<u8>> {
    check_world(folder)?;
    let work = Work::of(folder)?;
    let built = match language {
        Language::C => c::build(&work),
        Language::JavaScript => javascript::build(&work),
        Language::Python => python::build(&work),
        Language::Rust => anyhow::bail!("a plugin in Rust is built by cargo"),
    };
    let built = built.with_context(|| format!("building {}", folder.display()))?;
    let component = farrier_plugins_build::componentize(&built, folder, &farrier_plugins_build::digest_folder(folder)?);
    component.map_err(|error| with_cause(language, error))
}

/// A core module that imports WASI becomes no component; the linker's name of it tells an author little.
fn with_cause(language: Language, error: Error) -> Error {
    if language != Language::C || !format!("{error:#}").contains("wasi_snapshot_preview1") {
        return error;
    }
    error.context(
        "the C code calls something of an operating system, such as `fopen`, `printf`, `exit` or `time`, and a plugin has \
         none: use what farrier.h has",
    )
}

/// Where a project is built.
struct Work {
    /// The project.
    folder: PathBuf,
    /// The interfaces.
    wit: PathBuf,
    /// What the build makes.
    target: PathBuf,
}

impl Work {
    fn of(folder: &Path) -> Result<Self> {
        let target = folder.join("target/build");
        fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
        let wit = folder.join("vendor/farrier/wit");
        if !wit.is_dir() {
            // A project that did not come from `farrier plugin new` has no copy; this program has one.
            crate::vendor::vendor_wit(&target)?;
            return Ok(Self { folder: folder.to_owned(), wit: target.join("vendor/farrier/wit"), target });
        }
        Ok(Self { folder: folder.to_owned(), wit, target })
    }

    /// Puts a file of this program among what the build makes.
    fn put(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.target.join(name);
        crate::vendor::write(&path, content.as_bytes())?;
        Ok(path)
    }
}

/// Only what has an adapter can be built.
fn check_world(folder: &Path) -> Result<()> {
    let path = folder.join("plugin.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: toml::Table = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let world = manifest.get("world").and_then(toml::Value::as_str).unwrap_or_default();
    let worlds = World::ALL.map(World::as_str);
    ensure!(
        worlds.contains(&world),
        "{}: there is no world `{world}`: there are `{}`",
        path.display(),
        worlds.join("` and `")
    );
    ensure!(
        world == WORLD,
        "{}: in this language there are plugins of the world `{WORLD}` only, and this one is for `{world}`: write it in Rust",
        path.display()
    );
    Ok(())
}

/// Runs a tool; what it says is shown when it fails.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{program} failed:\n{}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_source() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(detect(folder.path()), None);
        fs::write(folder.path().join("plugin.py"), "").unwrap();
        assert_eq!(detect(folder.path()), Some(Language::Python));
    }

    #[test]
    fn an_installer_in_another_language_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "world = \"installer\"\n").unwrap();
        let error = build(Language::C, folder.path()).unwrap_err().to_string();
        assert!(error.contains("this one is for `installer`: write it in Rust"), "{error}");
    }

    #[test]
    fn a_world_that_is_none_is_told_which_there_are() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), "world = \"foo\"\n").unwrap();
        let error = build(Language::C, folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("there is no world `foo`: there are `applicability` and `installer`"), "{error}");
    }

    #[test]
    fn what_needs_an_operating_system_is_explained_in_c() {
        let error = || Error::msg("failed to resolve import `wasi_snapshot_preview1::fd_close`");
        let explained = format!("{:#}", with_cause(Language::C, error()));
        assert!(explained.contains("use what farrier.h has: failed to resolve import `wasi_snap"), "{explained}");
        assert_eq!(with_cause(Language::Python, error()).to_string(), error().to_string());
    }

    #[test]
    fn what_a_tool_says_is_in_the_error() {
        let error = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "sh failed:\nno such thing");
    }
}
